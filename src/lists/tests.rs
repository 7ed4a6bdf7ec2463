use uuid::Uuid;

use super::*;
use crate::coder::{self, LicenseClaims, UserId};
use crate::mirror::{Concerned, Snapshot};

/// An entry about `id`, in the organization `within` (0: in none).
fn entry(resource: &str, action: &str, id: u128, within: u128, diff: &[&str]) -> AuditEntry {
    let diff: serde_json::Map<_, _> = diff
        .iter()
        .map(|field| ((*field).to_owned(), serde_json::json!({ "old": 1, "new": 2 })))
        .collect();
    let body = serde_json::json!({
        "id": Uuid::nil(), "time": "2026-01-01T00:00:00Z", "resource_type": resource, "action": action,
        "resource_id": Uuid::from_u128(id), "organization_id": Uuid::from_u128(within), "diff": diff,
    });
    serde_json::from_value(body).unwrap()
}

fn organization(id: u128) -> OrganizationId {
    OrganizationId(Uuid::from_u128(id))
}

fn group(id: u128, within: u128, members: &[u128]) -> GroupItem {
    GroupItem {
        id: Uuid::from_u128(id).into(),
        organization: organization(within),
        name: format!("group-{id}"),
        display_name: String::new(),
        avatar_url: String::new(),
        quota_allowance: 0,
        members: members
            .iter()
            .map(|id| (UserId(Uuid::from_u128(*id)), format!("user-{id}")))
            .collect(),
        hidden_members: false,
    }
}

/// What an entry means to a list that holds these.
fn concerned<C: Collection>(list: &C, items: Vec<C::Item>, entry: &AuditEntry) -> Concerned {
    C::LOG.concerned(list, entry, &Snapshot::of::<C>(items))
}

fn item(id: u128, fields: Fields) -> Concerned {
    Concerned::item(&Uuid::from_u128(id), fields)
}

#[test]
fn the_fields_of_an_entry_are_called_as_the_specs_call_them() {
    let of = |entry: &AuditEntry| concerned(&Groups(organization(2)), vec![], entry);
    let logged = ["quota_allowance", "display_name", "avatar_url", "members"];
    let named = Fields::named(["quotaAllowance", "displayName", "avatarURL", "members"]);
    assert_eq!(of(&entry("group", "write", 1, 2, &logged)), item(1, named));
    let everyone = Fields::named(["everyoneQuotaAllowance"]);
    assert_eq!(
        of(&entry("group", "write", 2, 2, &["quota_allowance"])),
        item(2, everyone)
    );
    assert_eq!(of(&entry("group", "delete", 1, 2, &logged)), item(1, Fields::All));
}

#[test]
fn entries_of_another_organization_concern_no_list_of_this_one() {
    let entry = |resource| entry(resource, "write", 1, 3, &["name"]);
    assert_eq!(
        concerned(&Groups(organization(2)), vec![], &entry("group")),
        Concerned::NOTHING
    );
    let members = Members(organization(2));
    assert_eq!(
        concerned(&members, vec![], &entry("organization_member")),
        Concerned::NOTHING
    );
    let sync = GroupSync::of(organization(2));
    assert_eq!(
        concerned(&sync, vec![], &entry("idp_sync_settings_group")),
        Concerned::NOTHING
    );
}

#[test]
fn who_leaves_or_changes_shows_in_every_list_that_has_them() {
    let groups = || vec![group(10, 2, &[5, 6]), group(11, 2, &[6]), group(12, 2, &[5])];
    let members = || {
        let named = |id: u128| MemberItem {
            id: UserId(Uuid::from_u128(id)),
            username: String::new(),
            email: String::new(),
            roles: Vec::new(),
            is_suspended: None,
        };
        vec![named(5), named(6)]
    };
    let ids = [10, 12].map(|id| (Uuid::from_u128(id).to_string(), Fields::named(["members"])));
    let with_5 = Concerned::Items(ids.into());
    let left = entry("organization_member", "delete", 5, 2, &[]);
    assert_eq!(concerned(&Groups(organization(2)), groups(), &left), with_5);
    assert_eq!(
        concerned(&Members(organization(2)), members(), &left),
        item(5, Fields::All)
    );
    let changed = entry("user", "write", 5, 0, &["username"]);
    assert_eq!(concerned(&Groups(organization(2)), groups(), &changed), with_5);
    assert_eq!(
        concerned(&Members(organization(2)), members(), &changed),
        item(5, Fields::All)
    );
    let stranger = entry("user", "write", 7, 0, &["username"]);
    assert_eq!(
        concerned(&Members(organization(2)), members(), &stranger),
        Concerned::NOTHING
    );
}

#[test]
fn who_signs_in_may_have_been_moved_by_the_identity_provider() {
    for action in ["login", "register"] {
        let entry = entry("api_key", action, 5, 0, &[]);
        assert_eq!(concerned(&Groups(organization(2)), vec![], &entry), Concerned::Perhaps);
        assert_eq!(concerned(&Members(organization(2)), vec![], &entry), Concerned::Perhaps);
    }
    let made = entry("api_key", "create", 5, 0, &[]);
    assert_eq!(concerned(&Groups(organization(2)), vec![], &made), Concerned::NOTHING);
}

#[test]
fn settings_of_an_organization_are_told_apart_by_where_it_happened() {
    let written = entry("idp_sync_settings_group", "write", 99, 2, &["regex_filter"]);
    let whole = Concerned::Whole(Fields::named(["regexFilter"]));
    assert_eq!(
        concerned(
            &GroupSync::of(organization(2)),
            vec![coder::GroupSyncSettings::default()],
            &written
        ),
        whole
    );
}

#[test]
fn a_custom_role_is_found_by_its_name_because_nothing_else_shows_its_id() {
    let mut changed = entry("custom_role", "write", 99, 2, &["org_permissions", "display_name"]);
    changed.resource_target = "template-author".to_owned();
    let fields = Fields::named(["permissions", "displayName"]);
    let of = |within| concerned(&Roles(organization(within)), vec![], &changed);
    assert_eq!(of(2), Concerned::item(&"template-author", fields));
    assert_eq!(of(3), Concerned::NOTHING);
}

#[test]
fn a_licence_is_found_by_its_uuid_and_an_unknown_one_may_be_any() {
    let license = LicenseItem {
        id: crate::coder::LicenseId(3),
        uuid: Some(Uuid::from_u128(1).to_string()),
        digest: String::new(),
        claims: LicenseClaims {
            key_id: None,
            algorithm: None,
            raw: serde_json::Map::new(),
        },
        uploaded_at: None,
    };
    let of = |id| {
        concerned(
            &Licenses,
            vec![license.clone()],
            &entry("license", "delete", id, 0, &[]),
        )
    };
    assert_eq!(of(1), Concerned::item(&3, Fields::All));
    assert_eq!(of(2), Concerned::Whole(Fields::All));
}

#[test]
fn what_the_log_leaves_out_keeps_the_short_sweep() {
    assert!(Groups::LOG.is_complete() && Members::LOG.is_complete());
    assert!(Licenses::LOG.is_complete() && Organizations::LOG.is_complete());
    assert!(!Sharing::LOG.is_complete() && !Proxies::LOG.is_complete() && !GroupSync::LOG.is_complete());
}

#[test]
fn a_write_that_changed_nothing_concerns_nobody_unless_the_log_does_not_show_what_changed() {
    let void = |resource| entry(resource, "write", 1, 2, &[]);
    assert_eq!(
        concerned(&Groups(organization(2)), vec![], &void("group")),
        Concerned::NOTHING
    );
    assert_eq!(
        concerned(&Organizations, vec![], &void("organization")),
        Concerned::NOTHING
    );
    assert_eq!(
        concerned(&Proxies, vec![], &void("workspace_proxy")),
        Concerned::NOTHING
    );
    let switched_off = void("idp_sync_settings_group");
    let whole = Concerned::Whole(Fields::All);
    assert_eq!(concerned(&GroupSync::of(organization(2)), vec![], &switched_off), whole);
}

#[test]
fn a_change_that_was_answered_as_a_failure_is_looked_at_and_a_refusal_is_not() {
    let answered = |status| {
        let mut entry = entry("group", "write", 1, 2, &[]);
        entry.status_code = status;
        entry
    };
    assert!(answered(403).is_refused() && !answered(500).is_refused());
    let looks = concerned(&Groups(organization(2)), vec![], &answered(500));
    assert_eq!(looks, item(1, Fields::All));
}

#[test]
fn a_new_token_of_a_proxy_shows_in_no_list_and_is_told_all_the_same() {
    let renewed = entry("workspace_proxy", "write", 1, 0, &["token_hashed_secret"]);
    let unseen = Concerned::Unseen(vec![(Uuid::from_u128(1).to_string(), Fields::named([TOKEN]))]);
    assert_eq!(concerned(&Proxies, vec![], &renewed), unseen);
}
