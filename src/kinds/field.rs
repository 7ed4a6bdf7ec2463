//! A managed field that differs.

use std::fmt;

use crate::engine::Deviation;

/// A message names at most this many of each sort.
const NAMED: usize = 10;

/// From what to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<T> {
    /// What Coder holds.
    pub from: T,
    /// What shall be.
    pub to: T,
}

impl<T: Clone + PartialEq> Field<T> {
    /// The difference, if the field is managed and differs.
    pub fn differing(wanted: Option<&T>, held: &T) -> Option<Self> {
        wanted.filter(|wanted| *wanted != held).map(|wanted| Self {
            from: held.clone(),
            to: wanted.clone(),
        })
    }

    /// What to send.
    pub fn to(field: Option<&Self>) -> Option<T> {
        field.map(|field| field.to.clone())
    }
}

/// A request that changes fields, together with what it changes.
#[derive(Clone, Debug, Default)]
pub struct Update<Q> {
    /// What is sent; what is absent in it stays.
    pub request: Q,
    differences: Differences,
}

impl<Q> Update<Q> {
    /// Sets a field, if it is managed and differs.
    #[must_use]
    pub(super) fn set<T: Clone + PartialEq + fmt::Debug>(
        mut self,
        name: &'static str,
        wanted: Option<&T>,
        held: &T,
        slot: impl FnOnce(&mut Q) -> &mut Option<T>,
    ) -> Self {
        if let Some(wanted) = wanted {
            self.differences = self.differences.differing(name, held, wanted);
            *slot(&mut self.request) = Some(wanted).filter(|wanted| *wanted != held).cloned();
        }
        self
    }

    /// Nothing if it would change nothing.
    pub(super) fn unless_empty(self) -> Option<Self> {
        (!self.differences.is_empty()).then_some(self)
    }

    /// What it changes.
    pub(super) fn differences(&self) -> &Differences {
        &self.differences
    }
}

/// What a call changes, for people. It reads both ways: as what the call does (`Display`:
/// `displayName "A" → "B", members +ann`), and as what somebody did that made it necessary ([`Differences::deviations`]:
/// `displayName "B" → "A"`, `members -ann`).
#[derive(Clone, Debug, Default)]
pub struct Differences(Vec<(&'static str, What)>);

#[derive(Clone, Debug)]
enum What {
    Value { from: String, to: String },
    List { more: Vec<String>, fewer: Vec<String> },
}

impl Differences {
    /// Adds a value, if it differs.
    #[must_use]
    pub(super) fn and<T: fmt::Debug>(mut self, name: &'static str, field: Option<&Field<T>>) -> Self {
        if let Some(Field { from, to }) = field {
            let (from, to) = (format!("{from:?}"), format!("{to:?}"));
            self.0.push((name, What::Value { from, to }));
        }
        self
    }

    /// Adds what is one thing and shall be another, if it differs.
    #[must_use]
    pub(super) fn differing<T: fmt::Debug + PartialEq + ?Sized>(
        mut self,
        name: &'static str,
        from: &T,
        to: &T,
    ) -> Self {
        if from != to {
            let (from, to) = (format!("{from:?}"), format!("{to:?}"));
            self.0.push((name, What::Value { from, to }));
        }
        self
    }

    /// The same of what is shown as these texts.
    #[must_use]
    pub(super) fn shown(mut self, name: &'static str, from: String, to: String) -> Self {
        if from != to {
            self.0.push((name, What::Value { from, to }));
        }
        self
    }

    /// Adds those of another change.
    #[must_use]
    pub(super) fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a list that gets more entries, and fewer.
    #[must_use]
    pub(super) fn list(mut self, name: &'static str, mut more: Vec<String>, mut fewer: Vec<String>) -> Self {
        more.sort();
        fewer.sort();
        self.0.push((name, What::List { more, fewer }));
        self
    }

    /// What somebody did, so that this is to be changed.
    pub(super) fn deviations(&self) -> Vec<Deviation> {
        let deviations = self.0.iter().map(|(field, what)| {
            let change = match what {
                What::Value { from, to } => value(to, from),
                What::List { more, fewer } => list(fewer, more),
            };
            Deviation {
                field,
                text: format!("{field} {change}"),
            }
        });
        deviations.collect()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter().map(|(field, what)| {
            let change = match what {
                What::Value { from, to } => value(from, to),
                What::List { more, fewer } => list(more, fewer),
            };
            format!("{field} {change}")
        });
        f.write_str(&lines.collect::<Vec<_>>().join(", "))
    }
}

fn value(from: &str, to: &str) -> String {
    format!("{from} → {to}")
}

fn list(more: &[String], fewer: &[String]) -> String {
    let sides = [("+", more), ("-", fewer)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty());
    let sides = sides.map(|(sign, names)| some(names, sign, " "));
    sides.collect::<Vec<_>>().join(" ")
}

/// These names, or as many of them as a message holds and how many more there are.
pub(super) fn few(names: &[String]) -> String {
    some(names, "", ", ")
}

fn some(names: &[String], sign: &str, separator: &str) -> String {
    let few: Vec<String> = names.iter().take(NAMED).map(|name| format!("{sign}{name}")).collect();
    let few = few.join(separator);
    match names.len().saturating_sub(NAMED) {
        0 => few,
        more => format!("{few} … and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_read_both_ways() {
        let quota = Field { from: 99, to: 20 };
        let differences = Differences::default()
            .and("quotaAllowance", Some(&quota))
            .and("name", None::<&Field<String>>)
            .list("members", vec!["bob".into(), "ann".into()], vec!["carl".into()]);
        assert_eq!(
            differences.to_string(),
            "quotaAllowance 99 → 20, members +ann +bob -carl"
        );
        let texts: Vec<String> = differences.deviations().into_iter().map(|one| one.text).collect();
        assert_eq!(texts, ["quotaAllowance 20 → 99", "members +carl -ann -bob"]);
    }

    #[test]
    fn of_many_names_a_few_are_said_and_the_rest_is_counted() {
        let names: Vec<String> = (10..1510).map(|number| format!("u{number}")).collect();
        let ten = "u10, u11, u12, u13, u14, u15, u16, u17, u18, u19";
        assert_eq!(few(&names), format!("{ten} … and 1490 more"));
        assert_eq!(few(&names[..10]), ten);
        let differences = Differences::default().list("members", names[..12].to_vec(), names[..1].to_vec());
        let added = ten.replace(", ", " +");
        assert_eq!(differences.to_string(), format!("members +{added} … and 2 more -u10"));
    }
}
