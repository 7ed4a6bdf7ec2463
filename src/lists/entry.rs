//! What lists of all sorts read in an entry: which fields of the specs it concerns, whether somebody signed in.

use crate::coder::AuditEntry;
use crate::mirror::Fields;

/// The fields that an entry names, as the specs call them: the log writes `display_name` for `displayName`.
pub(super) fn logged(entry: &AuditEntry) -> Fields {
    logged_as(entry, &[])
}

/// The same, where the specs call some of them something else.
pub(super) fn logged_as(entry: &AuditEntry, other: &[(&str, &str)]) -> Fields {
    // A diff may be missing although something changed: then it may be anything.
    if entry.action != "write" || entry.diff.is_empty() {
        return Fields::All;
    }
    Fields::named(entry.diff.keys().map(|logged| {
        let other = other.iter().find(|(from, _)| from == logged);
        other.map_or_else(|| camel_case(logged), |(_, to)| (*to).to_owned())
    }))
}

/// Whether somebody signed in, perhaps for the first time: `resource_id` is then the user.
pub(super) fn is_sign_in(entry: &AuditEntry) -> bool {
    entry.resource_type == "api_key" && matches!(entry.action.as_str(), "login" | "register")
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        match (word, letters.next()) {
            ("url", _) => camel.push_str("URL"),
            (_, Some(initial)) => {
                camel.extend(initial.to_uppercase());
                camel.push_str(letters.as_str());
            }
            (_, None) => {}
        }
        camel
    })
}

#[cfg(test)]
mod tests {
    use super::camel_case;

    #[test]
    fn logged_names_become_those_of_the_specs() {
        for (logged, spec) in [
            ("name", "name"),
            ("display_name", "displayName"),
            ("avatar_url", "avatarURL"),
            ("auto_create_missing_groups", "autoCreateMissingGroups"),
        ] {
            assert_eq!(camel_case(logged), spec);
        }
    }
}
