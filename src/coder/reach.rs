//! Whether Coder itself answered, or something in front of it: a gateway's page while Coder restarts, a login page, a
//! rate limit of somebody else's. Such an answer says nothing about the object that was asked for.
//!
//! Coder signs every answer. Where its signature arrives (something in between may take headers away), only what is
//! signed is Coder's; where none was ever seen, whatever is JSON.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// This long something else may answer in Coder's place until it takes a human: longer than a rolling update, shorter
/// than anybody wants to search in the wrong place.
pub(super) const PASSING: Duration = Duration::from_mins(2);

/// What an answer looks like from the outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// It is an answer to what was asked, not a refusal.
    pub(super) success: bool,
    /// It carries Coder's signature.
    pub(super) signed: bool,
    /// It is JSON, or empty where Coder answers so.
    pub(super) json: bool,
}

/// What is known of the way to Coder.
#[derive(Debug, Default)]
pub(super) struct Reach(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Coder answered at this URL before.
    proven: bool,
    /// Its signature arrives here.
    signs: bool,
    /// Since when something else answers, by endpoint.
    foreign: HashMap<&'static str, Instant>,
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answerer {
    /// Coder.
    Coder,
    /// Something else, at a URL where nobody ever saw Coder.
    Stranger,
    /// Something in front of Coder.
    Gateway {
        /// For longer than passes by itself.
        lasting: bool,
    },
}

impl Reach {
    /// Who gave that answer; remembers it.
    pub(super) fn answered(&self, template: &'static str, looks: Looks) -> Answerer {
        let mut state = self.lock();
        let own = if state.signs {
            looks.signed
        } else {
            looks.signed || looks.json
        };
        if own {
            state.signs |= looks.signed;
            state.proven |= looks.signed || looks.success;
            state.foreign.remove(template);
            return Answerer::Coder;
        }
        if !state.proven {
            return Answerer::Stranger;
        }
        let now = Instant::now();
        let since = *state.foreign.entry(template).or_insert(now);
        Answerer::Gateway {
            lasting: now.duration_since(since) > PASSING,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODER: Looks = Looks {
        success: true,
        signed: true,
        json: true,
    };
    const PAGE: Looks = Looks {
        success: true,
        signed: false,
        json: false,
    };
    const JSON_OF_OTHERS: Looks = Looks { json: true, ..PAGE };

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_told_from_what_passes_endpoint_by_endpoint() {
        let reach = Reach::default();
        assert_eq!(
            reach.answered("/a", PAGE),
            Answerer::Stranger,
            "nobody ever saw Coder here"
        );
        assert_eq!(reach.answered("/a", CODER), Answerer::Coder);
        let gateway = |lasting| Answerer::Gateway { lasting };
        assert_eq!(reach.answered("/a", PAGE), gateway(false));
        tokio::time::advance(PASSING).await;
        assert_eq!(reach.answered("/a", PAGE), gateway(false));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(reach.answered("/a", PAGE), gateway(true));
        assert_eq!(reach.answered("/b", PAGE), gateway(false), "only now");
        reach.answered("/b", CODER);
        assert_eq!(reach.answered("/a", PAGE), gateway(true), "another endpoint works");
        reach.answered("/a", CODER);
        assert_eq!(reach.answered("/a", PAGE), gateway(false), "it was over in between");
    }

    #[test]
    fn where_the_signature_arrives_json_alone_proves_nothing() {
        let reach = Reach::default();
        assert_eq!(
            reach.answered("/a", JSON_OF_OTHERS),
            Answerer::Coder,
            "it may be taken away"
        );
        assert_eq!(reach.answered("/a", CODER), Answerer::Coder);
        assert_eq!(
            reach.answered("/a", JSON_OF_OTHERS),
            Answerer::Gateway { lasting: false }
        );
    }

    #[test]
    fn a_refusal_without_signature_proves_no_connection() {
        let refusal = Looks {
            success: false,
            ..JSON_OF_OTHERS
        };
        let reach = Reach::default();
        assert_eq!(reach.answered("/a", refusal), Answerer::Coder);
        assert_eq!(reach.answered("/a", PAGE), Answerer::Stranger);
    }
}
