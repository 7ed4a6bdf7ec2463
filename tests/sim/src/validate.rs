//! The validator's tags: names, display names, URLs, and how a failed one is reported.

use crate::answer::Answer;

/// Collects failed tags in the order of the request's fields, then refuses once.
#[derive(Default)]
pub(crate) struct Checks {
    failed: Vec<(&'static str, String)>,
}

impl Checks {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Fails `field` with `tag` unless `valid`.
    pub(crate) fn tag(mut self, field: &'static str, tag: &str, value: &str, valid: bool) -> Self {
        if !valid {
            self.failed.push((
                field,
                format!("Validation failed for tag \"{tag}\" with value: \"{value}\""),
            ));
        }
        self
    }

    /// `required`, then `tag` when there is a value.
    pub(crate) fn required_tag(self, field: &'static str, tag: &str, value: &str, valid: fn(&str) -> bool) -> Self {
        if value.is_empty() {
            self.required(field, value)
        } else {
            self.tag(field, tag, value, valid(value))
        }
    }

    pub(crate) fn required(self, field: &'static str, value: &str) -> Self {
        self.tag(field, "required", value, !value.is_empty())
    }

    /// `omitempty`, then `tag`.
    pub(crate) fn optional_tag(self, field: &'static str, tag: &str, value: &str, valid: fn(&str) -> bool) -> Self {
        self.tag(field, tag, value, value.is_empty() || valid(value))
    }

    pub(crate) fn done(self) -> Result<(), Answer> {
        if self.failed.is_empty() {
            return Ok(());
        }
        Err(Answer::validations(400, "Validation failed.", &self.failed))
    }
}

/// Letters and digits in parts joined by single hyphens.
fn hyphenated(name: &str) -> bool {
    name.split('-')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Names of organizations, users, custom roles and OAuth2 apps.
pub(crate) fn name(name: &str) -> bool {
    name.len() <= 32 && hyphenated(name) && !matches!(name, "new" | "create")
}

/// Names of groups in the newer server: longer (v2.18).
pub(crate) fn group_name(name: &str) -> bool {
    name.len() <= 255 && hyphenated(name) && !matches!(name, "new" | "create")
}

/// Names of groups in v2.16.1.
pub(crate) fn short_group_name(name: &str) -> bool {
    name.len() <= 36 && hyphenated(name) && !matches!(name, "new" | "create")
}

/// Display names: no space at either end.
pub(crate) fn display_name(name: &str) -> bool {
    name.len() <= 64 && !name.contains('\n') && name.trim() == name
}

/// A person's name.
pub(crate) fn real_name(name: &str) -> bool {
    name.len() <= 128 && name.trim() == name
}

/// `http` or `https` with a host.
pub(crate) fn http_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(' '))
}

/// Good enough for what the tests send.
pub(crate) fn email(email: &str) -> bool {
    email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
}

/// 52 bits of entropy: the size of the alphabets used, to the power of the length. What would help, in the server's words.
pub(crate) fn password(password: &str) -> Result<(), String> {
    let any = |of: fn(char) -> bool| password.chars().any(of);
    let special = |c: char| !c.is_ascii_alphanumeric();
    let kinds = [
        (any(special), 33.0, "including more special characters"),
        (any(|c| c.is_ascii_lowercase()), 26.0, "using lowercase letters"),
        (any(|c| c.is_ascii_uppercase()), 26.0, "using uppercase letters"),
        (any(|c| c.is_ascii_digit()), 10.0, "using numbers"),
    ];
    let alphabet: f64 = kinds.iter().filter(|(used, ..)| *used).map(|(_, size, _)| size).sum();
    let length = u32::try_from(password.len()).unwrap_or(u32::MAX);
    if f64::from(length) * alphabet.max(1.0).log2() >= 52.0 {
        return Ok(());
    }
    let missing = kinds.iter().filter(|(used, ..)| !used).map(|(.., help)| *help);
    let help: Vec<&str> = missing.collect();
    let longer = "using a longer password";
    Err(if help.is_empty() {
        format!("insecure password, try {longer}")
    } else {
        format!("insecure password, try {} or {longer}", help.join(", "))
    })
}

/// `#` and six hexadecimal digits.
pub(crate) fn colour(colour: &str) -> bool {
    colour
        .strip_prefix('#')
        .is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A pattern of Go's `regexp`, or the error text Go has for it (recording 06 has one; the others by their kind).
pub(crate) fn pattern(pattern: &str) -> Result<(), String> {
    use regex_syntax::ast::{ErrorKind, parse::Parser};
    let Err(error) = Parser::new().parse(pattern) else {
        return Ok(());
    };
    let rest = pattern.get(error.span().start.offset..).unwrap_or(pattern);
    let problem = match error.kind() {
        ErrorKind::ClassUnclosed => format!("missing closing ]: `{rest}`"),
        ErrorKind::GroupUnclosed => format!("missing closing ): `{pattern}`"),
        ErrorKind::GroupUnopened => format!("unexpected ): `{pattern}`"),
        ErrorKind::RepetitionMissing => format!("missing argument to repetition operator: `{rest}`"),
        ErrorKind::UnsupportedLookAround => {
            let span = error.span();
            let found = pattern.get(span.start.offset..span.end.offset).unwrap_or(rest);
            format!("invalid or unsupported Perl syntax: `{found}`")
        }
        ErrorKind::EscapeUnexpectedEof => "trailing backslash at end of expression: ``".to_owned(),
        _ => format!("invalid or unsupported Perl syntax: `{rest}`"),
    };
    Err(format!("error parsing regexp: {problem}"))
}
