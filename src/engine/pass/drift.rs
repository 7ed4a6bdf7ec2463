//! What somebody else made of an object, and who it was, in words.

use crate::mirror::Author;

/// The field of a [`Deviation`] that is the whole object.
pub(in crate::engine) const WHOLE: &str = "";

/// One field that is not what the spec says, as somebody else's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The field of the spec; empty for the whole object.
    pub field: &'static str,
    /// What became of it, from what the spec says: `quotaAllowance 20 → 99`.
    pub text: String,
}

impl Deviation {
    /// The object is gone.
    #[must_use]
    pub fn deleted() -> Self {
        Self {
            field: WHOLE,
            text: "deleted".to_owned(),
        }
    }

    /// Who of these did it: the last who changed this field, as far as they say which.
    fn author<'a>(&self, authors: &'a [Author]) -> Option<&'a Author> {
        authors
            .iter()
            .filter(|author| self.field == WHOLE || author.changed(self.field))
            .max_by_key(|author| author.at)
    }
}

/// Deviations, each with who made it.
pub(in crate::engine) struct Attributed(pub(in crate::engine) Vec<(Deviation, Option<Author>)>);

impl Attributed {
    /// Finds the author of each.
    pub(in crate::engine) fn new(deviations: Vec<Deviation>, authors: &[Author]) -> Self {
        let pairs = deviations.into_iter().map(|deviation| {
            let author = deviation.author(authors).cloned();
            (deviation, author)
        });
        Self(pairs.collect())
    }

    /// Adds what is nobody's doing.
    pub(in crate::engine) fn and_unattributed(mut self, texts: Vec<String>) -> Self {
        let pairs = texts.into_iter().map(|text| (Deviation { field: WHOLE, text }, None));
        self.0.extend(pairs);
        self
    }

    /// Whether any author is known.
    pub(in crate::engine) fn names_anybody(&self) -> bool {
        self.0.iter().any(|(_, author)| author.is_some())
    }

    /// Whether that text says the same, whoever it names.
    pub(in crate::engine) fn is_said_by(&self, text: &str) -> bool {
        let mut rest = text;
        for (deviation, _) in &self.0 {
            let start = ["; ", ", "].iter().find_map(|separator| rest.strip_prefix(separator));
            let Some(after) = start.unwrap_or(rest).strip_prefix(&*deviation.text) else {
                return false;
            };
            rest = match after.strip_prefix(" by ") {
                Some(named) => named.trim_start_matches(|letter| !";, ".contains(letter)),
                None => after,
            };
        }
        rest.is_empty()
    }

    /// For an event: `quotaAllowance 20 → 99, name "a" → "b" by bob at 10:03 UTC; members -ann by carl at 10:04 UTC`.
    pub(in crate::engine) fn with_times(&self) -> String {
        self.text(|author| format!(" by {} at {}", author.name, author.at.strftime("%H:%M UTC")))
    }

    /// For a condition, which must not change while its cause does not: the same without times.
    pub(in crate::engine) fn without_times(&self) -> String {
        self.text(|author| format!(" by {}", author.name))
    }

    /// Neighbours of one author are named together.
    fn text(&self, by: impl Fn(&Author) -> String) -> String {
        let suffix = |author: &Option<Author>| author.as_ref().map(&by).unwrap_or_default();
        let groups = self.0.chunk_by(|(_, one), (_, next)| suffix(one) == suffix(next));
        let lines = groups.map(|group| {
            let texts: Vec<&str> = group.iter().map(|(deviation, _)| &*deviation.text).collect();
            let by = group.first().map(|(_, author)| suffix(author)).unwrap_or_default();
            format!("{}{by}", texts.join(", "))
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Fields;

    fn author(name: &str, minute: i8, fields: Fields) -> Author {
        let at = jiff::civil::date(2026, 1, 1).at(10, minute, 0, 0).in_tz("UTC").unwrap();
        Author {
            name: name.to_owned(),
            at: at.timestamp(),
            fields,
        }
    }

    fn deviation(field: &'static str, text: &str) -> Deviation {
        Deviation {
            field,
            text: format!("{field} {text}"),
        }
    }

    fn named(fields: &[&str]) -> Fields {
        Fields::Named(fields.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_field_is_the_doing_of_who_changed_it_last() {
        let authors = [
            author("bob", 3, named(&["quotaAllowance", "name"])),
            author("carl", 4, named(&["members"])),
            author("dora", 1, named(&["name"])),
        ];
        let what = vec![
            deviation("name", "\"a\" → \"b\""),
            deviation("quotaAllowance", "20 → 99"),
            deviation("members", "-ann"),
            deviation("avatarURL", "\"\" → \"x\""),
        ];
        let what = Attributed::new(what, &authors);
        assert_eq!(
            what.with_times(),
            "name \"a\" → \"b\", quotaAllowance 20 → 99 by bob at 10:03 UTC; members -ann by carl at 10:04 UTC; \
             avatarURL \"\" → \"x\""
        );
        assert_eq!(
            what.without_times(),
            "name \"a\" → \"b\", quotaAllowance 20 → 99 by bob; members -ann by carl; avatarURL \"\" → \"x\""
        );
    }

    #[test]
    fn a_text_that_names_authors_says_the_same_as_one_that_does_not() {
        let what = || {
            vec![
                deviation("name", "1 → 2"),
                deviation("icon", "3 → 4"),
                deviation("members", "-ann"),
            ]
        };
        let known = Attributed::new(
            what(),
            &[
                author("bob", 1, named(&["name"])),
                author("carl", 1, named(&["members"])),
            ],
        );
        let unknown = Attributed::new(what(), &[]);
        assert!(known.names_anybody() && !unknown.names_anybody());
        for told in [known.without_times(), unknown.without_times()] {
            assert!(unknown.is_said_by(&told), "{told}");
            assert!(!unknown.is_said_by(&format!("{told}, more")), "{told}");
        }
        assert!(!Attributed::new(what()[1..].to_vec(), &[]).is_said_by(&known.without_times()));
    }

    #[test]
    fn who_changed_the_object_as_a_whole_changed_every_field() {
        let what = Attributed::new(
            vec![deviation("members", "-ann"), Deviation::deleted()],
            &[author("bob", 3, Fields::All)],
        );
        assert_eq!(what.without_times(), "members -ann, deleted by bob");
    }
}
