//! What the licences of a deployment give together.

use super::{Entries, Setting};
use crate::coder::{self, Client, Entitlements, OrganizationId};

/// `/entitlements`. It moves by itself whenever the server looks, every ten minutes: who waits for a licence to count
/// waits for that.
#[derive(Clone, Debug)]
pub struct Standing;

impl Setting for Standing {
    type Value = Entitlements;
    const NAME: &'static str = "entitlements";
    const ENTRIES: Entries = Entries::None;

    fn within(&self) -> Option<OrganizationId> {
        None
    }

    async fn read(&self, client: &Client) -> Result<Entitlements, coder::Error> {
        client.entitlements().await
    }
}
