//! The token of a proxy: why there is to be a new one, and how it gets into the Secret.

use url::Url;

use super::{Desired, Observed};
use crate::api::annotation;
use crate::coder::ProxyWithToken;
use crate::engine::issued::{self, Credential, Issued};
use crate::engine::{Cx, Error, Reason};
use crate::kinds::issued::{Why, Words};
use crate::lists::{Proxies, TOKEN};

/// How a token is called.
pub(super) const WORDS: Words = Words {
    field: TOKEN,
    noun: "token",
    means: "running proxies need the new Secret and a restart",
};

/// Whether a new token is to be issued, and why.
pub(super) fn why(desired: &Desired, observed: &Observed) -> Option<Why> {
    let Observed { token, ended, .. } = observed;
    let replaced = *ended && desired.terms.expected && !desired.fought_over;
    desired
        .terms
        .why(token.as_ref())
        .or(token.as_ref().filter(|_| replaced).map(|_| Why::Ended))
}

/// What to say where the Secret holds no token that works and none is issued unasked.
pub(super) fn not_issued(ended: bool) -> String {
    let why = if ended {
        "the token in its Secret was ended in Coder by somebody else"
    } else {
        "its token is known only to whoever created it"
    };
    format!(
        "taken over: {why}; the annotation {} issues a new one, which ends the old one",
        annotation::ROTATE
    )
}

/// Two that end each other's tokens would stop the proxies again and again.
pub(super) fn fought_over() -> Error {
    let message = format!(
        "the token in the Secret was ended in Coder once more, as DriftRepeats says, so none is issued: let only one of \
         the two manage the proxy, then change the annotation {}",
        annotation::ROTATE
    );
    Error::terminal(Reason::Conflict, message)
}

/// Whether somebody else had another token issued since this one was, which no list shows.
pub(super) fn is_ended(cx: &Cx<'_>, id: &str, token: &Issued) -> bool {
    let ended = cx.changed_by_others(&Proxies, id, TOKEN);
    ended.is_some_and(|ended| token.at.is_none_or(|issued| ended > issued))
}

/// Puts the token that Coder just showed into the Secret.
pub(super) async fn keep(
    cx: &Cx<'_>,
    desired: &Desired,
    answer: ProxyWithToken,
    inherits: bool,
    before: Option<&str>,
) -> Result<Observed, Error> {
    // By Coder's clock, as the audit log tells when somebody else has one issued.
    let at = answer.proxy.updated_at;
    let proxy = Proxies::without_volatile(answer.proxy);
    cx.put(&Proxies, proxy.clone());
    let Some(token) = answer.proxy_token else {
        return Err(Error::NotConverging("Coder answered without a token".to_owned()));
    };
    let Desired { home, terms, .. } = desired;
    let shown = Credential {
        at,
        ..Credential::of(token)
    };
    issued::keep(cx, home, shown, terms.rotate.as_deref(), inherits, before).await?;
    let token = issued::find(cx, home, &[&proxy.id.to_string()]).await?;
    Ok(Observed {
        proxy,
        token,
        ended: false,
    })
}

/// By which URL proxies reach the deployment: as the spec says, or as the deployment says, or as the operator reaches it.
pub(super) fn access_url(cx: &Cx<'_>, given: Option<&str>) -> String {
    let usable = |url: &&str| Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    given
        .or_else(|| Some(cx.connection.access_url.as_str()).filter(usable))
        .unwrap_or(cx.connection.link.url.as_str())
        .trim_end_matches('/')
        .to_owned()
}
