//! Request bodies as Go decodes them: keys in any case, unknown keys ignored, `null` as zero, and Go's error texts.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::answer::Answer;

/// A decoded object: the fields of the request struct called `owner`.
pub(crate) struct Fields {
    owner: &'static str,
    map: Map<String, Value>,
}

impl Fields {
    /// Decodes a request body that is an object.
    pub(crate) fn parse(body: &[u8], owner: &'static str) -> Result<Self, Answer> {
        let text = String::from_utf8_lossy(body);
        if let Some(problem) = syntax::problem(&text) {
            return Err(invalid(problem));
        }
        // A body may be followed by more: Go's decoder reads one value and stops.
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(map))) => Ok(Self { owner, map }),
            Some(Ok(Value::Null)) => Ok(Self { owner, map: Map::new() }),
            Some(Ok(other)) => Err(invalid(format!(
                "json: cannot unmarshal {} into Go value of type codersdk.{owner}",
                kind(&other)
            ))),
            Some(Err(error)) => Err(invalid(error.to_string())),
            None => Err(invalid("EOF")),
        }
    }

    /// The object under `name`, or an empty one.
    pub(crate) fn object(&self, name: &str, owner: &'static str) -> Result<Self, Answer> {
        match self.get(name) {
            None => Ok(Self { owner, map: Map::new() }),
            Some(Value::Object(map)) => Ok(Self {
                owner,
                map: map.clone(),
            }),
            Some(other) => Err(self.mismatch(name, other, owner)),
        }
    }

    /// The objects in the array under `name`; `None` when it is absent or null.
    pub(crate) fn objects(&self, name: &str, owner: &'static str) -> Result<Option<Vec<Self>>, Answer> {
        let Some(values) = self.array(name, "[]codersdk.Object")? else {
            return Ok(None);
        };
        let objects = values.into_iter().map(|value| match value {
            Value::Object(map) => Ok(Self { owner, map }),
            Value::Null => Ok(Self { owner, map: Map::new() }),
            other => Err(self.mismatch(name, &other, owner)),
        });
        objects.collect::<Result<_, _>>().map(Some)
    }

    /// The value under `name` in any case, `None` when it is absent or null. Of several the last wins.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let found = self
            .map
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next_back();
        found.filter(|value| !value.is_null())
    }

    /// Every key with its value.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.map.iter()
    }

    pub(crate) fn opt_string(&self, name: &str) -> Result<Option<String>, Answer> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.mismatch(name, other, "string")),
        }
    }

    pub(crate) fn string(&self, name: &str) -> Result<String, Answer> {
        Ok(self.opt_string(name)?.unwrap_or_default())
    }

    pub(crate) fn opt_bool(&self, name: &str) -> Result<Option<bool>, Answer> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.mismatch(name, other, "bool")),
        }
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Answer> {
        Ok(self.opt_bool(name)?.unwrap_or_default())
    }

    pub(crate) fn opt_int(&self, name: &str) -> Result<Option<i64>, Answer> {
        match self.get(name) {
            None => Ok(None),
            Some(value @ Value::Number(number)) => match number.as_i64() {
                Some(value) => Ok(Some(value)),
                None => Err(self.mismatch_text(name, &format!("number {value}"), "int")),
            },
            Some(other) => Err(self.mismatch(name, other, "int")),
        }
    }

    pub(crate) fn opt_strings(&self, name: &str) -> Result<Option<Vec<String>>, Answer> {
        let Some(values) = self.array(name, "[]string")? else {
            return Ok(None);
        };
        let strings = values.iter().map(|value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            other => Err(self.mismatch(name, other, "string")),
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, Answer> {
        Ok(self.opt_strings(name)?.unwrap_or_default())
    }

    /// A UUID field; absent is the nil UUID.
    pub(crate) fn uuid(&self, name: &str) -> Result<Uuid, Answer> {
        match self.get(name) {
            None => Ok(Uuid::nil()),
            Some(Value::String(text)) => decode_uuid(text),
            Some(other) => Err(self.mismatch(name, other, "uuid.UUID")),
        }
    }

    pub(crate) fn uuids(&self, name: &str) -> Result<Vec<Uuid>, Answer> {
        self.strings(name)?.iter().map(|text| decode_uuid(text)).collect()
    }

    fn array(&self, name: &str, target: &str) -> Result<Option<Vec<Value>>, Answer> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values.clone())),
            Some(other) => Err(self.mismatch(name, other, target)),
        }
    }

    fn mismatch(&self, name: &str, found: &Value, wanted: &str) -> Answer {
        self.mismatch_text(name, kind(found), wanted)
    }

    fn mismatch_text(&self, name: &str, found: &str, wanted: &str) -> Answer {
        let owner = self.owner;
        invalid(format!(
            "json: cannot unmarshal {found} into Go struct field {owner}.{name} of type {wanted}"
        ))
    }
}

/// The refusal of a body that cannot be decoded.
pub(crate) fn invalid(detail: impl Into<String>) -> Answer {
    Answer::detail(400, "Request body must be valid JSON.", detail)
}

/// A UUID inside a body (recording 06).
pub(crate) fn decode_uuid(text: &str) -> Result<Uuid, Answer> {
    parse_uuid(text).map_err(invalid)
}

/// A UUID with Go's error text.
pub(crate) fn parse_uuid(text: &str) -> Result<Uuid, String> {
    match text.len() {
        32 | 36 | 38 | 45 => Uuid::try_parse(text).map_err(|_| "invalid UUID format".to_owned()),
        length => Err(format!("invalid UUID length: {length}")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The first syntax error, in Go's words (recording 01 has one of them; the others follow its scanner's states).
mod syntax {
    use std::iter::Peekable;
    use std::str::Chars;

    type Input<'a> = Peekable<Chars<'a>>;

    pub(super) fn problem(text: &str) -> Option<String> {
        let mut input = text.chars().peekable();
        skip_space(&mut input);
        if input.peek().is_none() {
            return Some("EOF".to_owned());
        }
        value(&mut input, "looking for beginning of value").err()
    }

    fn skip_space(input: &mut Input<'_>) {
        while input.next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
    }

    fn unexpected(found: Option<char>, context: &str) -> String {
        match found {
            None => "unexpected EOF".to_owned(),
            Some('\'') => format!("invalid character '\\'' {context}"),
            Some('"') => format!("invalid character '\"' {context}"),
            Some('\n') => format!("invalid character '\\n' {context}"),
            Some(c) => format!("invalid character '{c}' {context}"),
        }
    }

    fn value(input: &mut Input<'_>, context: &str) -> Result<(), String> {
        skip_space(input);
        match input.peek().copied() {
            Some('{') => object(input),
            Some('[') => array(input),
            Some('"') => string(input),
            Some('t') => literal(input, "true"),
            Some('f') => literal(input, "false"),
            Some('n') => literal(input, "null"),
            Some(c) if c == '-' || c.is_ascii_digit() => number(input),
            other => Err(unexpected(other, context)),
        }
    }

    fn object(input: &mut Input<'_>) -> Result<(), String> {
        input.next();
        skip_space(input);
        if input.next_if_eq(&'}').is_some() {
            return Ok(());
        }
        loop {
            skip_space(input);
            if input.peek() != Some(&'"') {
                return Err(unexpected(
                    input.peek().copied(),
                    "looking for beginning of object key string",
                ));
            }
            string(input)?;
            skip_space(input);
            match input.next() {
                Some(':') => value(input, "looking for beginning of value")?,
                other => return Err(unexpected(other, "after object key")),
            }
            skip_space(input);
            match input.next() {
                Some(',') => {}
                Some('}') => return Ok(()),
                other => return Err(unexpected(other, "after object key:value pair")),
            }
        }
    }

    fn array(input: &mut Input<'_>) -> Result<(), String> {
        input.next();
        skip_space(input);
        if input.next_if_eq(&']').is_some() {
            return Ok(());
        }
        loop {
            value(input, "looking for beginning of value")?;
            skip_space(input);
            match input.next() {
                Some(',') => {}
                Some(']') => return Ok(()),
                other => return Err(unexpected(other, "after array element")),
            }
        }
    }

    fn string(input: &mut Input<'_>) -> Result<(), String> {
        input.next();
        loop {
            match input.next() {
                Some('"') => return Ok(()),
                Some('\\') => match input.next() {
                    Some('b' | 'f' | 'n' | 'r' | 't' | '\\' | '/' | '"') => {}
                    Some('u') => {
                        for _ in 0..4 {
                            match input.next() {
                                Some(c) if c.is_ascii_hexdigit() => {}
                                other => return Err(unexpected(other, "in \\u hexadecimal character escape")),
                            }
                        }
                    }
                    other => return Err(unexpected(other, "in string escape code")),
                },
                Some(c) if c < ' ' => return Err(unexpected(Some(c), "in string literal")),
                Some(_) => {}
                None => return Err(unexpected(None, "")),
            }
        }
    }

    fn literal(input: &mut Input<'_>, word: &str) -> Result<(), String> {
        for expected in word.chars() {
            let found = input.next();
            if found != Some(expected) {
                return Err(unexpected(
                    found,
                    &format!("in literal {word} (expecting '{expected}')"),
                ));
            }
        }
        Ok(())
    }

    fn number(input: &mut Input<'_>) -> Result<(), String> {
        input.next_if_eq(&'-');
        match input.next() {
            Some('0') => {}
            Some(c) if c.is_ascii_digit() => digits(input),
            other => return Err(unexpected(other, "in numeric literal")),
        }
        if input.next_if_eq(&'.').is_some() {
            one_digit(input, "after decimal point in numeric literal")?;
        }
        if input.next_if(|c| matches!(c, 'e' | 'E')).is_some() {
            input.next_if(|c| matches!(c, '+' | '-'));
            one_digit(input, "in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn one_digit(input: &mut Input<'_>, context: &str) -> Result<(), String> {
        match input.next() {
            Some(c) if c.is_ascii_digit() => {
                digits(input);
                Ok(())
            }
            other => Err(unexpected(other, context)),
        }
    }

    fn digits(input: &mut Input<'_>) {
        while input.next_if(char::is_ascii_digit).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail_of(body: &str) -> String {
        let answer = Fields::parse(body.as_bytes(), "Request").err().expect("a refusal");
        let body: Value = serde_json::from_str(&answer.body.expect("a body")).expect("JSON");
        body["detail"].as_str().expect("a detail").to_owned()
    }

    #[test]
    fn syntax_errors_are_told_in_the_servers_words() {
        assert_eq!(
            detail_of("{nope"),
            "invalid character 'n' looking for beginning of object key string"
        );
        assert_eq!(detail_of(""), "EOF");
        assert_eq!(detail_of("{\"a\":1"), "unexpected EOF");
        assert_eq!(detail_of("{\"a\" 1}"), "invalid character '1' after object key");
        assert_eq!(
            detail_of("[1]"),
            "json: cannot unmarshal array into Go value of type codersdk.Request"
        );
    }

    #[test]
    fn keys_match_in_any_case_and_null_is_nothing() {
        let Ok(fields) = Fields::parse(br#"{"NAME":"x","count":null}"#, "Request") else {
            panic!("an object")
        };
        assert_eq!(fields.string("name").ok().as_deref(), Some("x"));
        assert_eq!(fields.opt_int("count").ok(), Some(None));
    }
}
