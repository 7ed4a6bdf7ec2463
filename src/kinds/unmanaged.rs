//! Lists and maps that a spec managed and does not any more. Server-side apply drops such a field from the spec when it
//! empties it, so what is in them stays until the empty one is applied again: that alone tells the two apart.

use crate::api::NoteType;
use crate::engine::Note;

/// The names of the lists that the spec manages, and of those that it did and left something in. Each of `lists` is a name,
/// whether it is managed, and whether what Coder holds is empty.
pub(super) fn managed(before: &[String], lists: &[(&str, bool, bool)]) -> Vec<String> {
    let kept = lists.iter().filter(|(name, is_managed, is_empty)| {
        let was_managed = before.iter().any(|one| one == name);
        *is_managed || (was_managed && !is_empty)
    });
    kept.map(|(name, ..)| (*name).to_owned()).collect()
}

/// What to say of those that were left behind; `empty` is how to write the empty one.
pub(super) fn note(left: &[String], empty: &str) -> Option<Note> {
    if left.is_empty() {
        return None;
    }
    let names = left.join(" and ");
    let message =
        format!("{names} was managed and is not any more, so what is there stays: apply {names}: {empty} to remove it");
    Some(Note::new(NoteType::Unmanaged, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_managed_is_remembered_while_something_is_left_of_it() {
        let before = ["roles".to_owned()];
        assert_eq!(managed(&before, &[("roles", false, false)]), ["roles"]);
        assert!(managed(&before, &[("roles", false, true)]).is_empty());
        assert!(managed(&[], &[("roles", false, false)]).is_empty());
        assert_eq!(managed(&[], &[("roles", true, true)]), ["roles"]);
    }
}
