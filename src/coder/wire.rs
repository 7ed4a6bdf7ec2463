//! What Go's JSON needs from a reader: `null` for an empty list, words that later versions add, secrets.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serializer};

/// `null` reads as the default: older servers write an empty list or mapping as `null` (recordings of v2.16.1).
pub(super) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list call's body: the list, or `null` for an empty one.
#[derive(Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
pub(super) struct List<T>(#[serde(deserialize_with = "null_default")] pub(super) Vec<T>);

/// A one-time secret; `""`, `null` and absent are none.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(SecretString::from))
}

/// The one place where a secret is written into a request body.
pub(super) fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    use secrecy::ExposeSecret;
    serializer.serialize_str(secret.expose_secret())
}

/// An enum of words that keeps a word it does not know, because a newer server may send one.
macro_rules! open_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A word this version does not know, as the server wrote it.
            Other(String),
        }

        impl $name {
            /// The word on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer).map(|word| Self::from(word.as_str()))
            }
        }
    };
}
pub(super) use open_enum;

#[cfg(test)]
#[allow(unreachable_pub)] // the macro's types are public
mod tests {
    use super::*;

    open_enum! {
        /// For the tests.
        pub enum Colour {
            /// Red.
            Red = "red",
        }
    }

    #[test]
    fn an_unknown_word_survives_a_round_trip() {
        let colours: Vec<Colour> = serde_json::from_str(r#"["red","octarine"]"#).unwrap();
        assert_eq!(colours, [Colour::Red, Colour::Other("octarine".into())]);
        assert_eq!(serde_json::to_string(&colours).unwrap(), r#"["red","octarine"]"#);
    }

    #[test]
    fn a_null_list_is_an_empty_one() {
        assert!(serde_json::from_str::<List<u8>>("null").unwrap().0.is_empty());
        assert_eq!(serde_json::from_str::<List<u8>>("[1]").unwrap().0, [1]);
    }

    #[test]
    fn an_empty_secret_is_none() {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, deserialize_with = "secret")]
            token: Option<SecretString>,
        }
        for body in ["{}", r#"{"token":""}"#, r#"{"token":null}"#] {
            assert!(serde_json::from_str::<Answer>(body).unwrap().token.is_none(), "{body}");
        }
        assert!(
            serde_json::from_str::<Answer>(r#"{"token":"t"}"#)
                .unwrap()
                .token
                .is_some()
        );
    }
}
