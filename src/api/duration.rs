//! Durations as users write them: `30s`, `10m`, `1h30m`, `30d`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A duration in the notation of Go, extended by `d` for days of 24 hours. Kept as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationString(pub String);

/// The text is no duration.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a duration such as 30s, 10m, 1h30m or 30d")]
pub struct InvalidDuration(String);

impl DurationString {
    /// The length of time.
    ///
    /// # Errors
    /// When the text is no duration; the API server refuses such text already.
    pub fn parse(&self) -> Result<Duration, InvalidDuration> {
        let invalid = || InvalidDuration(self.0.clone());
        let span: Span = self.0.parse().map_err(|_| invalid())?;
        let signed = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| invalid())?;
        Duration::try_from(signed).map_err(|_| invalid())
    }
}

impl JsonSchema for DurationString {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && self.matches('[1-9]')",
                "message": "must be a duration longer than zero such as 30s, 10m, 1h30m or 30d",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_counts() {
        for (text, seconds) in [
            ("30s", 30),
            ("10m", 600),
            ("1h30m", 5400),
            ("30d", 2_592_000),
            ("1d2h3m4s", 93_784),
        ] {
            assert_eq!(
                DurationString(text.into()).parse().unwrap(),
                Duration::from_secs(seconds),
                "{text}"
            );
        }
    }

    #[test]
    fn nonsense_names_itself() {
        for text in ["", "ten minutes", "-5m", "10"] {
            assert!(DurationString(text.into()).parse().is_err(), "{text}");
        }
    }
}
