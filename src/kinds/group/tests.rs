use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::change::{SLICE, of_members};
use super::people::{REMEMBERED, REMEMBERED_BYTES};
use super::*;
use crate::api::Origin;
use crate::coder::UserId;
use crate::engine::remote::Change as _;
use crate::kinds::properties::{Model, few_names, few_texts, hold_for};
use crate::lists::{MemberItem, Roster};

hold_for!(CoderGroup);

fn organization() -> Parent {
    Parent {
        id: Uuid::from_u128(7).into(),
        name: "platform".into(),
        moved: None,
    }
}

fn any_users() -> BoxedStrategy<BTreeMap<UserId, String>> {
    let user = (1_u128..6).prop_map(|id| UserId(Uuid::from_u128(id)));
    btree_map(user, few_names(), 0..4).boxed()
}

fn group(name: &str) -> Observed {
    let group = GroupItem {
        id: Uuid::from_u128(1).into(),
        organization: organization().id,
        name: name.to_owned(),
        display_name: String::new(),
        avatar_url: String::new(),
        quota_allowance: 0,
        members: Roster::default(),
        hidden_members: false,
    };
    Observed {
        group,
        organization: organization().name,
        prebuilds: false,
    }
}

fn desired(name: &str) -> Desired {
    Desired {
        organization: organization(),
        name: name.to_owned(),
        display_name: None,
        avatar_url: None,
        quota_allowance: None,
        members: None,
    }
}

impl Model for CoderGroup {
    fn any_desired() -> BoxedStrategy<Desired> {
        let added = btree_set((1_u128..6).prop_map(user), 0..4);
        let wanted = (any::<bool>(), any_users(), vec(few_names(), 0..2), any::<bool>(), added).prop_map(
            |(exact, users, pending, prebuilds, added)| Wanted {
                exact,
                users,
                pending,
                prebuilds,
                added,
                ..Wanted::default()
            },
        );
        (
            few_names(),
            option::of(few_texts()),
            option::of(few_texts()),
            option::of(0..3),
            option::of(wanted),
        )
            .prop_map(|(name, display_name, avatar_url, quota_allowance, members)| Desired {
                display_name,
                avatar_url,
                quota_allowance,
                members,
                ..desired(&name)
            })
            .boxed()
    }

    fn any_observed() -> BoxedStrategy<Observed> {
        (few_names(), few_texts(), few_texts(), 0..3, any_users(), any::<bool>())
            .prop_map(
                |(name, display_name, avatar_url, quota_allowance, members, prebuilds)| {
                    let Observed { group, .. } = group(&name);
                    Observed {
                        group: GroupItem {
                            display_name,
                            avatar_url,
                            quota_allowance,
                            members: members.into_iter().collect(),
                            ..group
                        },
                        organization: organization().name,
                        prebuilds,
                    }
                },
            )
            .boxed()
    }

    fn bare(with: Desired) -> Desired {
        desired(&with.name)
    }

    fn optional_part(observed: &Observed) -> String {
        let GroupItem {
            display_name,
            avatar_url,
            quota_allowance,
            members,
            ..
        } = &observed.group;
        format!(
            "{display_name:?} {avatar_url:?} {quota_allowance} {members:?} {}",
            observed.prebuilds
        )
    }

    fn after(desired: &Desired, before: Option<Observed>, change: &Change) -> Observed {
        let mut after = before.unwrap_or_else(|| group("new"));
        match change {
            Change::Create(request) => {
                after = group(&request.name);
                after.group.display_name = request.display_name.clone().unwrap_or_default();
                after.group.avatar_url = request.avatar_url.clone().unwrap_or_default();
                after.group.quota_allowance = request.quota_allowance.unwrap_or_default();
            }
            Change::Update(update) => {
                let request = update.request.clone();
                after.group.name = request.name.unwrap_or(after.group.name);
                after.group.display_name = request.display_name.unwrap_or(after.group.display_name);
                after.group.avatar_url = request.avatar_url.unwrap_or(after.group.avatar_url);
                after.group.quota_allowance = request.quota_allowance.unwrap_or(after.group.quota_allowance);
            }
            Change::Members(slice) => {
                // As Coder does: who is added twice, or was no member, makes it refuse the whole.
                let held = &mut after.group.members;
                assert!(slice.add.iter().all(|id| !held.contains_key(id)), "added twice");
                assert!(
                    slice.remove.iter().all(|id| held.contains_key(id)),
                    "removed without being there"
                );
                let users = &desired.members.as_ref().unwrap().users;
                let stay = held.iter().filter(|(id, _)| !slice.remove.contains(id));
                let added = slice.add.iter().map(|id| (*id, &*users[id]));
                *held = stay.chain(added).collect();
            }
            Change::Prebuilds(there) => after.prebuilds = *there,
        }
        after
    }
}

fn user(id: u128) -> UserId {
    UserId(Uuid::from_u128(id))
}

fn with_members(users: &[(u128, &str)]) -> Observed {
    let members = users.iter().map(|(id, name)| (user(*id), (*name).to_owned())).collect();
    let Observed {
        group,
        organization,
        prebuilds,
    } = group("a");
    Observed {
        organization,
        group: GroupItem { members, ..group },
        prebuilds,
    }
}

fn wanting(exact: bool, users: &[(u128, &str)]) -> Desired {
    let users = users.iter().map(|(id, name)| (user(*id), (*name).to_owned())).collect();
    Desired {
        members: Some(Wanted {
            exact,
            users,
            ..Wanted::default()
        }),
        ..desired("a")
    }
}

fn lines(desired: &Desired, observed: &Observed) -> Vec<String> {
    CoderGroup::plan(desired, Some(observed))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn members_are_a_difference_by_name() {
    let held = with_members(&[(1, "ann"), (2, "bob")]);
    assert_eq!(
        lines(&wanting(true, &[(2, "bob"), (3, "carl")]), &held),
        ["members +carl -ann"]
    );
    assert_eq!(lines(&wanting(false, &[(3, "carl")]), &held), ["members +carl"]);
    assert_eq!(lines(&wanting(true, &[]), &held), ["members -ann -bob"]);
    assert!(lines(&desired("a"), &held).is_empty());
}

#[test]
fn hidden_members_stop_the_comparison_only_where_members_are_managed() {
    let mut held = with_members(&[(1, "ann")]);
    held.group.hidden_members = true;
    let refusal = CoderGroup::check(&wanting(true, &[]), &held).unwrap_err();
    assert_eq!(refusal.reason(), Reason::PartialVisibility);
    assert!(CoderGroup::check(&desired("a"), &held).is_ok());
}

#[test]
fn those_who_were_waited_for_are_no_drift() {
    let mut before = GroupStatus {
        pending_members: vec!["carl".into()],
        ..GroupStatus::default()
    };
    let wanted = wanting(true, &[(3, "carl")]).members.unwrap();
    let changes = of_members(&wanted, &Roster::default());
    assert_eq!(changes[0].deviations(&before), []);
    before.pending_members.clear();
    let deviations = changes[0].deviations(&before);
    assert_eq!(deviations.first().map(|one| &*one.text), Some("members -carl"));
}

#[test]
fn many_members_are_changed_in_slices_that_read_as_one_change() {
    let held: Roster = (0..700).map(|id| (user(id), format!("u{id:04}"))).collect();
    let users = (700..5700).map(|id| (user(id), format!("u{id:04}"))).collect();
    let wanted = Wanted {
        exact: true,
        users,
        ..Wanted::default()
    };
    let changes = of_members(&wanted, &held);
    let texts: BTreeSet<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    let text = texts.first().unwrap();
    assert!(
        text.contains("… and 4990 more") && text.contains("… and 690 more"),
        "{text}"
    );
    let (mut added, mut removed) = (0, 0);
    for change in &changes {
        let Change::Members(slice) = change else {
            panic!("{change}")
        };
        assert!(slice.add.len() + slice.remove.len() <= SLICE);
        added += slice.add.len();
        removed += slice.remove.len();
    }
    assert_eq!((added, removed), (5000, 700));
}

fn member(id: u128, name: &str) -> MemberItem {
    MemberItem {
        id: user(id),
        username: name.into(),
        email: format!("{name}@example.com"),
        roles: Vec::new(),
        is_suspended: None,
    }
}

fn among(members: &[MemberItem], names: &[&str], status: Option<&GroupStatus>) -> Wanted {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let memory = Memory::of(status, organization().id);
    Wanted::among(members.iter(), &names, true, memory)
}

/// The status that a pass leaves which meant these.
fn status_after(wanted: &Wanted) -> GroupStatus {
    let mut status = GroupStatus {
        organization_id: Some(organization().id.to_string()),
        ..GroupStatus::default()
    };
    status.common.origin = Some(Origin::Created);
    report::record(Some(wanted), &group("a"), &mut status);
    status
}

#[test]
fn a_member_is_meant_by_id_email_or_name_in_any_case() {
    let members = [member(1, "Ann")];
    for name in ["ann", "ANN", "Ann@Example.com", &user(1).to_string()] {
        assert_eq!(among(&members, &[name], None).users.len(), 1, "{name}");
    }
    for name in ["anna", "ann@example.org", &user(2).to_string()] {
        let wanted = among(&members, &[name], None);
        assert_eq!((wanted.users.len(), wanted.pending.len()), (0, 1), "{name}");
    }
    let twice = among(&members, &["ann", "ANN", "ann", "bob", "Bob"], None);
    assert_eq!((twice.users.len(), twice.pending.len()), (1, 1));
}

#[test]
fn thirty_two_digits_without_hyphens_are_a_name() {
    let digits = user(2).to_string().replace('-', "");
    let wanted = among(&[member(1, &digits), member(2, "bob")], &[&digits], None);
    assert_eq!(wanted.users.keys().collect::<Vec<_>>(), [&user(1)]);
}

#[test]
fn a_name_means_whom_it_led_to_at_first() {
    let before = status_after(&among(&[member(1, "ann")], &["ann"], None));
    let renamed = among(&[member(1, "anna")], &["ann"], Some(&before));
    assert!(renamed.users.contains_key(&user(1)));
    assert_eq!(renamed.moved, ["ann is anna now"]);
    let both = [member(1, "anna"), member(2, "ann")];
    let taken = among(&both, &["ann"], Some(&before));
    assert_eq!(taken.users.keys().collect::<Vec<_>>(), [&user(1)]);
    assert!(taken.moved[0].contains("somebody else"), "{:?}", taken.moved);
    let gone = among(&[member(2, "ann")], &["ann"], Some(&before));
    assert_eq!(gone.pending, ["ann"]);
    assert!(gone.moved[0].contains("somebody else"), "{:?}", gone.moved);
    let left = among(&[], &["ann"], Some(&before));
    assert_eq!((left.pending.len(), left.moved.len()), (1, 0));
    let named_by_id = among(&both, &[&user(2).to_string()], Some(&before));
    assert!(named_by_id.users.contains_key(&user(2)) && named_by_id.moved.is_empty());
    // Off the list and on it again: it is read anew.
    let without = status_after(&among(&both, &[], Some(&before)));
    assert!(without.member_ids.is_empty());
    let anew = among(&both, &["ann"], Some(&without));
    assert!(anew.users.contains_key(&user(2)) && anew.moved.is_empty());
}

#[test]
fn a_status_of_another_group_remembers_nobody() {
    let before = status_after(&among(&[member(1, "ann")], &["ann"], None));
    let mut unowned = before.clone();
    unowned.common.origin = None;
    let elsewhere = GroupStatus {
        organization_id: Some(Uuid::from_u128(8).to_string()),
        ..before
    };
    for status in [unowned, elsewhere] {
        let wanted = among(&[member(2, "ann")], &["ann"], Some(&status));
        assert!(wanted.users.contains_key(&user(2)) && wanted.moved.is_empty());
    }
}

#[test]
fn large_lists_are_found_and_only_so_many_of_them_remembered() {
    let members: Vec<MemberItem> = (0..20_000).map(|id| member(id, &format!("u{id}"))).collect();
    let names: Vec<String> = (0..5000)
        .map(|id| match id % 3 {
            0 => format!("U{id}"),
            1 => format!("u{id}@example.com"),
            _ => user(id).to_string(),
        })
        .collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let wanted = among(&members, &names, None);
    assert_eq!((wanted.users.len(), wanted.pending.len()), (5000, 0));
    assert_eq!(status_after(&wanted).member_ids.len(), REMEMBERED);
    let long: Vec<MemberItem> = (0..1000).map(|id| member(id, &format!("{id:0200}"))).collect();
    let emails: Vec<&str> = long.iter().map(|member| &*member.email).collect();
    let remembered = status_after(&among(&long, &emails, None)).member_ids;
    let bytes: usize = remembered.iter().map(|(name, id)| name.len() + id.len()).sum();
    assert!(
        bytes <= REMEMBERED_BYTES && remembered.len() > 500,
        "{} names",
        remembered.len()
    );
    let nobody = status_after(&among(&[], &names, None));
    assert_eq!(nobody.pending_members.len(), 100);
    assert_eq!(nobody.pending_member_count, Some(5000));
}

#[test]
fn only_whom_this_object_adds_is_noted_as_added() {
    let mut status = status_after(&Wanted::default());
    let wanted = wanting(false, &[(1, "ann"), (2, "bob")]);
    CoderGroup::prepare(&wanted, &with_members(&[(2, "bob"), (3, "carl")]), &mut status);
    assert_eq!(status.added_members, [user(1).to_string()]);
    // Named no more: she goes, bob and carl do not.
    let held = with_members(&[(1, "ann"), (2, "bob"), (3, "carl")]);
    let nobody = Wanted::among([].iter(), &[], false, Memory::of(Some(&status), organization().id));
    let nobody = Desired {
        members: Some(nobody),
        ..desired("a")
    };
    assert_eq!(lines(&nobody, &held), ["members -ann"]);
    // Exactly these: nothing needs to be remembered, and nothing is.
    let exact = wanting(true, &[(1, "ann")]);
    let _ = CoderGroup::report(&exact, &held, &mut status, Timestamp::UNIX_EPOCH);
    assert!(status.added_members.is_empty());
    // More than can be remembered: said.
    let many: Vec<(u128, String)> = (0..1500).map(|id| (id, format!("u{id}"))).collect();
    let many: Vec<(u128, &str)> = many.iter().map(|(id, name)| (*id, &**name)).collect();
    let many = wanting(false, &many);
    CoderGroup::prepare(&many, &group("a"), &mut status);
    assert_eq!(status.added_members.len(), REMEMBERED);
    let report = CoderGroup::report(&many, &group("a"), &mut status, Timestamp::UNIX_EPOCH);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.type_ == crate::api::NoteType::MembersStay)
    );
}
