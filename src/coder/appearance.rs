//! What everybody sees of a deployment: `/appearance`. Without the licensed feature `appearance` it reads as if nobody had set
//! it, and is written all the same (recording 20).

use serde::{Deserialize, Serialize};

use super::{Client, Error, Method, Path, wire::null_default};

/// What everybody sees. A write replaces all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Appearance {
    /// The name on the sign-in page; empty for Coder's own.
    #[serde(default, deserialize_with = "null_default")]
    pub application_name: String,
    /// URL of the logo; empty for Coder's own.
    #[serde(default, deserialize_with = "null_default")]
    pub logo_url: String,
    /// On top of every page, in this order.
    #[serde(default, deserialize_with = "null_default")]
    pub announcement_banners: Vec<Banner>,
}

/// A banner.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Banner {
    /// Whether it is shown.
    #[serde(default, deserialize_with = "null_default")]
    pub enabled: bool,
    /// What it says.
    #[serde(default, deserialize_with = "null_default")]
    pub message: String,
    /// `#` and six digits.
    #[serde(default, deserialize_with = "null_default")]
    pub background_color: String,
}

impl Client {
    /// What everybody sees.
    pub async fn appearance(&self) -> Result<Appearance, Error> {
        self.get(Path::new("/appearance")).await
    }

    /// Replaces it.
    pub async fn update_appearance(&self, to: &Appearance) -> Result<(), Error> {
        self.call_unit(Method::Put, Path::new("/appearance"), Some(to)).await
    }
}
