//! What differs from run to run, and how it is recognized: by shape only.

use std::collections::HashMap;

use serde_json::Value;

/// Fields that hold secrets. They are bound like ids; beyond that they must be of the same length and alphabet.
const SECRETS: [&str; 5] = [
    "key",
    "proxy_token",
    "client_secret_full",
    "client_secret_truncated",
    "session_token",
];

/// Recorded values and what the simulator has for them.
#[derive(Clone, Default)]
pub(crate) struct Bindings {
    /// Lists under this name are compared in any order, by username.
    pub(crate) any_order: Option<&'static str>,
    ids: HashMap<String, String>,
    recorded_ids: HashMap<String, String>,
    times: HashMap<String, String>,
    secrets: HashMap<String, String>,
    urls: (String, String),
}

#[derive(Debug, PartialEq)]
enum Atom<'a> {
    Text(&'a str),
    Id(&'a str),
    Time(&'a str),
}

impl Bindings {
    pub(crate) fn new(recorded_url: &str, own_url: &str) -> Self {
        Self {
            urls: (recorded_url.to_owned(), own_url.to_owned()),
            ..Self::default()
        }
    }

    /// A recorded request's text with the simulator's ids in it.
    pub(crate) fn translate(&self, recorded: &str) -> String {
        let text = recorded.replace(&self.urls.0, &self.urls.1);
        let atoms = atoms(&text).into_iter().map(|atom| match atom {
            Atom::Text(text) | Atom::Time(text) => text.to_owned(),
            Atom::Id(id) => self.ids.get(id).cloned().unwrap_or_else(|| id.to_owned()),
        });
        atoms.collect()
    }

    /// A text of the simulator with the recorded ids in it.
    pub(crate) fn recorded(&self, own: &str) -> String {
        let text = own.replace(&self.urls.1, &self.urls.0);
        let atoms = atoms(&text).into_iter().map(|atom| match atom {
            Atom::Text(text) | Atom::Time(text) => text.to_owned(),
            Atom::Id(id) => self.recorded_ids.get(id).cloned().unwrap_or_else(|| id.to_owned()),
        });
        atoms.collect()
    }

    /// Compares an answer and binds what is new in it; the differences, by path.
    pub(crate) fn compare(&mut self, at: &str, recorded: &Value, own: &Value, differences: &mut Vec<String>) {
        match (recorded, own) {
            // A text that is the whole body comes with the recorded ids in it.
            (Value::String(left), Value::String(right)) if at == "body" && left == right => {}
            (Value::Object(left), Value::Object(right)) => {
                for (key, value) in left {
                    match right.get(key) {
                        Some(other) => self.compare(&format!("{at}.{key}"), value, other, differences),
                        None => differences.push(format!("{at}.{key}: missing, recorded {value}")),
                    }
                }
                for (key, value) in right {
                    if !left.contains_key(key) {
                        differences.push(format!("{at}.{key}: not recorded, is {value}"));
                    }
                }
            }
            (Value::Array(left), Value::Array(right)) => {
                let (mut left, mut right) = (left.clone(), right.clone());
                if self.any_order.is_some_and(|name| at.ends_with(&format!(".{name}"))) {
                    left.sort_by_key(|value| value["username"].to_string());
                    right.sort_by_key(|value| value["username"].to_string());
                }
                if left.len() != right.len() {
                    differences.push(format!("{at}: {} elements recorded, are {}", left.len(), right.len()));
                }
                for (index, (value, other)) in left.iter().zip(&right).enumerate() {
                    self.compare(&format!("{at}[{index}]"), value, other, differences);
                }
            }
            (Value::String(left), Value::String(right)) => {
                let field = at.rsplit('.').next().unwrap_or_default();
                let same = if SECRETS.contains(&field) {
                    self.same_secret(left, right)
                } else {
                    self.same_text(left, right)
                };
                if !same {
                    differences.push(format!("{at}: recorded {left:?}, is {right:?}"));
                }
            }
            _ if recorded == own => {}
            _ => differences.push(format!("{at}: recorded {recorded}, is {own}")),
        }
    }

    /// Whether two texts are the same but for ids, times and the server's address.
    pub(crate) fn same_text(&mut self, recorded: &str, own: &str) -> bool {
        let recorded = recorded.replace(&self.urls.0, &self.urls.1);
        let (left, right) = (atoms(&recorded), atoms(own));
        left.len() == right.len()
            && left.iter().zip(&right).all(|pair| match pair {
                (Atom::Id(id), Atom::Id(own)) => self.same_id(id, own),
                // Two different recorded times may fall together here: not the other way round.
                (Atom::Time(time), Atom::Time(own)) => {
                    self.times
                        .entry((*time).to_owned())
                        .or_insert_with(|| (*own).to_owned())
                        == own
                }
                (left, right) => left == right,
            })
    }

    fn same_id(&mut self, recorded: &str, own: &str) -> bool {
        let forth = self.ids.entry(recorded.to_owned()).or_insert_with(|| own.to_owned()) == own;
        let back = self
            .recorded_ids
            .entry(own.to_owned())
            .or_insert_with(|| recorded.to_owned())
            == recorded;
        forth && back
    }

    fn same_secret(&mut self, recorded: &str, own: &str) -> bool {
        // A proxy's token begins with the proxy's id.
        let (recorded, own) = match (recorded.split_once(':'), own.split_once(':')) {
            (Some((id, secret)), Some((own_id, own_secret))) if self.same_id(id, own_id) => (secret, own_secret),
            (None, None) => (recorded, own),
            _ => return false,
        };
        let shape = |text: &str| {
            text.chars()
                .map(|c| if c.is_ascii_alphanumeric() { 'x' } else { c })
                .collect::<String>()
        };
        if shape(recorded) != shape(own) {
            return false;
        }
        // The end of a secret is shown again later.
        let end = |text: &str| text.chars().skip(text.len().saturating_sub(6)).collect::<String>();
        self.secrets.entry(end(recorded)).or_insert_with(|| end(own));
        self.secrets
            .entry(recorded.to_owned())
            .or_insert_with(|| own.to_owned())
            == own
    }
}

/// Cuts a text at ids and times. The nil id and Go's zero time mean something: they are text.
fn atoms(text: &str) -> Vec<Atom<'_>> {
    let mut atoms = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        let Some(rest) = text.get(at..) else {
            at += 1;
            continue;
        };
        let found = id_length(rest)
            .map(|n| (n, true))
            .or_else(|| time_length(rest).map(|n| (n, false)));
        match found {
            Some((length, id)) => {
                if start < at {
                    atoms.push(Atom::Text(&text[start..at]));
                }
                let value = &text[at..at + length];
                atoms.push(match value {
                    "00000000-0000-0000-0000-000000000000" | "0001-01-01T00:00:00Z" => Atom::Text(value),
                    _ if id => Atom::Id(value),
                    _ => Atom::Time(value),
                });
                at += length;
                start = at;
            }
            None => at += 1,
        }
    }
    if start < text.len() {
        atoms.push(Atom::Text(&text[start..]));
    }
    atoms
}

fn id_length(text: &str) -> Option<usize> {
    let candidate = text.as_bytes().get(..36)?;
    let fits = candidate.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    fits.then_some(36)
}

fn time_length(text: &str) -> Option<usize> {
    let head = text.as_bytes().get(..19)?;
    let fits = head.iter().enumerate().all(|(index, byte)| match index {
        4 | 7 => *byte == b'-',
        10 => *byte == b'T',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !fits {
        return None;
    }
    let rest = &text[19..];
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |digits| 1 + digits.bytes().take_while(u8::is_ascii_digit).count());
    let zone = &rest[fraction..];
    if zone.starts_with('Z') {
        return Some(19 + fraction + 1);
    }
    (zone.starts_with('+') || zone.starts_with('-')).then_some(19 + fraction + 6)
}

#[test]
fn ids_and_times_are_cut_out_of_a_text() {
    let text = "org=\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\" at 2026-11-22T08:14:04.5Z, 2026-11-23T02:00:00+01:00";
    let ids = atoms(text).iter().filter(|atom| matches!(atom, Atom::Id(_))).count();
    let times = atoms(text).iter().filter(|atom| matches!(atom, Atom::Time(_))).count();
    assert_eq!((ids, times), (1, 2));
}

#[test]
fn a_recorded_id_stands_for_one_id_only() {
    let mut bindings = Bindings::new("http://a", "http://b");
    let (one, two) = (
        "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "7f9619ff-8b86-d011-b42d-00cf4fc964ff",
    );
    assert!(bindings.same_text(one, two));
    assert!(!bindings.same_text(one, one));
    assert!(!bindings.same_text(two, two));
}
