//! A managed field that differs.

use std::fmt;

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

/// A list of differences for people, as in `displayName "A" → "B", quotaAllowance 20 → 99`.
#[derive(Default)]
pub(super) struct Differences(Vec<String>);

impl Differences {
    /// Adds one, if there is one.
    #[must_use]
    pub(super) fn and<T: fmt::Debug>(mut self, name: &str, field: Option<&Field<T>>) -> Self {
        if let Some(Field { from, to }) = field {
            self.0.push(format!("{name} {from:?} → {to:?}"));
        }
        self
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}
