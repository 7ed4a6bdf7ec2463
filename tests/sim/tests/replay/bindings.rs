//! What differs from run to run, and how it is recognized: by shape only.

use std::collections::HashMap;

use serde_json::Value;

use crate::conversation::Tolerance;

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
    /// What may differ in the answer at hand.
    pub(crate) tolerance: Option<Tolerance>,
    ids: HashMap<String, String>,
    recorded_ids: HashMap<String, String>,
    times: HashMap<String, String>,
    secrets: HashMap<String, String>,
    /// Ids of tokens, and names that were made up for them.
    words: HashMap<String, String>,
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
        let mut text: String = atoms.collect();
        for (recorded, own) in &self.words {
            text = text.replace(recorded, own);
        }
        text
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
                // Keys can be ids too.
                let keys: HashMap<String, &String> = left.keys().map(|key| (self.translate(key), key)).collect();
                for (key, recorded) in &keys {
                    let value = &left[*recorded];
                    match right.get(key) {
                        Some(other) => self.compare(&format!("{at}.{recorded}"), value, other, differences),
                        None => differences.push(format!("{at}.{recorded}: missing, recorded {value}")),
                    }
                }
                for (key, value) in right {
                    if !keys.contains_key(key) {
                        differences.push(format!("{at}.{key}: not recorded, is {value}"));
                    }
                }
            }
            _ if self.may_differ(at) => {}
            (Value::Array(left), Value::Array(right)) => {
                let (mut left, mut right) = (left.clone(), right.clone());
                if self.may_come_in_any_order(at) {
                    left.sort_by_key(|value| self.translate(&shown_name(value)));
                    right.sort_by_key(shown_name);
                }
                if left.len() != right.len() {
                    differences.push(format!("{at}: {} elements recorded, are {}", left.len(), right.len()));
                }
                for (index, (value, other)) in left.iter().zip(&right).enumerate() {
                    self.compare(&format!("{at}[{index}]"), value, other, differences);
                }
            }
            (Value::String(left), Value::String(right)) => {
                let same = if field(at) == "id" && is_token_id(left) || field(at) == "token_name" && is_made_up(left) {
                    self.same_word(left, right)
                } else if SECRETS.contains(&field(at)) {
                    self.same_secret(left, right)
                } else if let Some(known) = self.secrets.get(left) {
                    known == right
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

    fn may_differ(&self, at: &str) -> bool {
        match self.tolerance {
            Some(Tolerance::Values(names)) => names.contains(&field(at)),
            _ => false,
        }
    }

    fn may_come_in_any_order(&self, at: &str) -> bool {
        match self.tolerance {
            Some(Tolerance::AnyOrder(names) | Tolerance::AnyOrderByChance(names)) => names.contains(&field(at)),
            _ => false,
        }
    }

    /// Whether two texts are the same but for ids, times and the server's address.
    pub(crate) fn same_text(&mut self, recorded: &str, own: &str) -> bool {
        // Servers built to explain say whose rights did not suffice; a deployment does not.
        let recorded = recorded.split(": (subject: ").next().unwrap_or(recorded);
        let recorded = recorded.replace(&self.urls.0, &self.urls.1);
        if let (Some(left), Some(right)) = (printed_map(&recorded), printed_map(own)) {
            return self.same_map(left, right);
        }
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

    /// Maps that Go printed: sorted by keys, which are ids here.
    fn same_map(&self, recorded: &str, own: &str) -> bool {
        let recorded = self.translate(recorded);
        let sorted = |map: &str| {
            let mut entries: Vec<String> = map
                .split("] ")
                .map(|entry| entry.trim_end_matches(']').to_owned())
                .collect();
            entries.sort();
            entries
        };
        sorted(&recorded) == sorted(own)
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

    fn same_word(&mut self, recorded: &str, own: &str) -> bool {
        let alike = |text: &str| (is_token_id(text), is_made_up(text));
        alike(recorded) == alike(own) && self.words.entry(recorded.to_owned()).or_insert_with(|| own.to_owned()) == own
    }

    fn same_secret(&mut self, recorded: &str, own: &str) -> bool {
        // A user's token begins with its id.
        if let (Some((id, _)), Some((own_id, _))) = (recorded.split_once('-'), own.split_once('-'))
            && is_token_id(id)
            && !self.same_word(id, own_id)
        {
            return false;
        }
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
        self.words.insert(recorded.to_owned(), own.to_owned());
        // The end of a secret is shown again later.
        let end = |text: &str| text.chars().skip(text.len().saturating_sub(6)).collect::<String>();
        self.secrets.entry(end(recorded)).or_insert_with(|| end(own));
        self.secrets
            .entry(recorded.to_owned())
            .or_insert_with(|| own.to_owned())
            == own
    }
}

/// Ten letters and digits: the part of a token that names it.
fn is_token_id(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Two words and a number.
fn is_made_up(text: &str) -> bool {
    let words = text.trim_end_matches(|c: char| c.is_ascii_digit());
    words != text
        && words.split_once('_').is_some_and(|(one, two)| {
            [one, two]
                .iter()
                .all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
        })
}

/// The last name of a path.
fn field(at: &str) -> &str {
    at.rsplit('.').next().unwrap_or_default()
}

/// What things in a list are sorted by where their order says nothing.
fn shown_name(value: &Value) -> String {
    let name = ["username", "name", "token_name"]
        .iter()
        .find_map(|name| value.get(name));
    format!("{} {}", name.unwrap_or(value), value.get("id").unwrap_or(&Value::Null))
}

/// What is in a map that Go printed.
fn printed_map(text: &str) -> Option<&str> {
    text.strip_prefix("map[")?.strip_suffix(']')
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
        10 => matches!(*byte, b'T' | b' '),
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
    // As Go prints a time that nobody formats.
    if zone.starts_with(" +0000 UTC") {
        return Some(19 + fraction + 10);
    }
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
