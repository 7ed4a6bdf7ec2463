//! Who is in a group: ids and names, close together, because an organization has a hundred thousand of them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::coder::{GroupMember, UserId};

/// Users by their ids, with their names. Copies share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster(Arc<[(UserId, Arc<str>)]>);

impl Roster {
    /// Whether that user is in it.
    #[must_use]
    pub fn contains_key(&self, id: &UserId) -> bool {
        self.0.binary_search_by_key(id, |(id, _)| *id).is_ok()
    }

    /// All, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (UserId, &str)> {
        self.0.iter().map(|(id, name)| (*id, &**name))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Arc<str>>> FromIterator<(UserId, N)> for Roster {
    fn from_iter<T: IntoIterator<Item = (UserId, N)>>(users: T) -> Self {
        let mut users: Vec<(UserId, Arc<str>)> = users.into_iter().map(|(id, name)| (id, name.into())).collect();
        users.sort_by_key(|(id, _)| *id);
        users.dedup_by_key(|(id, _)| *id);
        Self(users.into())
    }
}

/// Keeps the name of somebody who is in many groups once.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<UserId, Arc<str>>);

impl Names {
    /// The members of a group.
    pub(super) fn roster(&mut self, members: Vec<GroupMember>) -> Roster {
        let shared = |member: GroupMember| {
            let name = self.0.entry(member.id).or_insert_with(|| member.username.into());
            (member.id, Arc::clone(name))
        };
        members.into_iter().map(shared).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(id: u128) -> UserId {
        UserId(Uuid::from_u128(id))
    }

    #[test]
    fn each_user_is_in_it_once_and_found_by_id() {
        let roster: Roster = [(user(3), "carl"), (user(1), "ann"), (user(3), "carl")]
            .into_iter()
            .collect();
        assert_eq!(roster.iter().collect::<Vec<_>>(), [(user(1), "ann"), (user(3), "carl")]);
        assert!(roster.contains_key(&user(3)) && !roster.contains_key(&user(2)));
        assert_eq!((roster.len(), roster.is_empty()), (2, false));
    }

    #[test]
    fn a_name_that_is_in_many_groups_is_kept_once() {
        let member =
            || serde_json::from_value(serde_json::json!({ "id": Uuid::from_u128(1), "username": "ann" })).unwrap();
        let mut names = Names::default();
        let (one, other) = (names.roster(vec![member()]), names.roster(vec![member()]));
        assert_eq!(one, other);
        assert!(Arc::ptr_eq(&one.0[0].1, &other.0[0].1));
    }
}
