//! Faults: what goes wrong on the way to the server, in it, and on the way back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::answer::Answer;
use crate::gateway::Page;
use crate::stale::Past;

/// A fault on a route. It stays until it is used up ([`Fault::times`]) or cleared.
#[derive(Clone, Debug)]
pub struct Fault {
    method: Option<Method>,
    template: Option<String>,
    skip: u64,
    remaining: Option<u64>,
    until: Option<Instant>,
    actions: Vec<Action>,
}

#[derive(Clone, Debug)]
enum Action {
    Latency(Duration),
    AnswerAfter(Duration),
    Instead(u16, Value),
    Answer(u16, Option<u64>, Value),
    Page(Page),
    Hang,
    Past(Past),
    CutBefore,
    CutAfter,
    PauseBefore(Gate),
    PauseAfter(Gate),
}

impl Fault {
    /// On calls of `method` to the route with this template, for example `/api/v2/groups/{group}`.
    #[must_use]
    pub fn on(method: Method, template: &str) -> Self {
        Self {
            method: Some(method),
            template: Some(template.to_owned()),
            ..Self::on_any()
        }
    }

    /// On every call of `method`.
    #[must_use]
    pub fn on_method(method: Method) -> Self {
        Self {
            method: Some(method),
            ..Self::on_any()
        }
    }

    /// On every call.
    #[must_use]
    pub fn on_any() -> Self {
        Self {
            method: None,
            template: None,
            skip: 0,
            remaining: None,
            until: None,
            actions: Vec::new(),
        }
    }

    /// Only the next `n` matching calls.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.remaining = Some(n);
        self
    }

    /// Only matching calls that come within that time from now.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.until = Some(Instant::now() + time);
        self
    }

    /// Every matching call until the fault is cleared: the default.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.remaining = None;
        self
    }

    /// Lets the next `n` matching calls pass first.
    #[must_use]
    pub fn after(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// Waits before doing anything.
    #[must_use]
    pub fn latency(self, delay: Duration) -> Self {
        self.with(Action::Latency(delay))
    }

    /// Answers this instead of doing anything.
    #[must_use]
    pub fn status(self, code: u16, body: Value) -> Self {
        self.with(Action::Answer(code, None, body))
    }

    /// Answers 429 as the server does, with `Retry-After`.
    #[must_use]
    pub fn rate_limited(self, retry_after: Duration) -> Self {
        let body = json!({ "message": "You've been rate limited for sending more than 512 requests in 1m0s." });
        self.with(Action::Answer(429, Some(retry_after.as_secs()), body))
    }

    /// A gateway in front answers instead, and the server never sees the call.
    #[must_use]
    pub fn page(self, page: Page) -> Self {
        self.with(Action::Page(page))
    }

    /// Does what was asked at once, and answers that much later.
    #[must_use]
    pub fn answer_after(self, delay: Duration) -> Self {
        self.with(Action::AnswerAfter(delay))
    }

    /// Does what was asked, and then answers and logs that it failed with this status: the older server does so where it
    /// may not read what it has to answer (recording 14).
    #[must_use]
    pub fn done_but_answered(self, code: u16, body: Value) -> Self {
        self.with(Action::Instead(code, body))
    }

    /// Does nothing and never answers; the connection stays open until the client gives up.
    #[must_use]
    pub fn hang(self) -> Self {
        self.with(Action::Hang)
    }

    /// Drops the connection with nothing done.
    #[must_use]
    pub fn cut_before(self) -> Self {
        self.with(Action::CutBefore)
    }

    /// Does what was asked, then drops the connection without an answer.
    #[must_use]
    pub fn cut_after(self) -> Self {
        self.with(Action::CutAfter)
    }

    pub(crate) fn past(self, past: Past) -> Self {
        self.with(Action::Past(past))
    }

    fn with(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    fn matches(&self, method: &Method, template: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self.template.as_ref().is_none_or(|wanted| wanted == template)
    }
}

/// Holds calls until it is opened. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate {
    arrived: Arc<watch::Sender<u64>>,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    fn new() -> Self {
        Self {
            arrived: Arc::new(watch::Sender::new(0)),
            open: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Waits until a call has arrived at the gate.
    pub async fn arrived(&self) {
        self.arrived_times(1).await;
    }

    /// Waits until `n` calls have arrived at the gate.
    pub async fn arrived_times(&self, n: u64) {
        let mut arrived = self.arrived.subscribe();
        // The sender lives in `self`: the wait cannot fail.
        let _ = arrived.wait_for(|count| *count >= n).await;
    }

    /// How many calls have arrived.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        *self.arrived.borrow()
    }

    /// Lets all calls through, those that wait and those to come.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    async fn pass(&self) {
        self.arrived.send_modify(|count| *count += 1);
        let mut open = self.open.subscribe();
        let _ = open.wait_for(|open| *open).await;
    }
}

/// The faults in force. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    list: Arc<Mutex<Vec<Fault>>>,
}

impl Faults {
    /// Puts a fault in force. Of several on one call the first added acts.
    pub fn add(&self, fault: Fault) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// Holds matching calls before anything is done, until the gate is opened.
    #[must_use]
    pub fn pause(&self, fault: Fault) -> Gate {
        let gate = Gate::new();
        self.add(fault.with(Action::PauseBefore(gate.clone())));
        gate
    }

    /// Holds the answer of matching calls: what was asked is done already.
    #[must_use]
    pub fn pause_after_effect(&self, fault: Fault) -> Gate {
        let gate = Gate::new();
        self.add(fault.with(Action::PauseAfter(gate.clone())));
        gate
    }

    /// Takes all faults away. Calls held at a gate stay there until it is opened.
    pub fn clear(&self) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault for this call, used once.
    pub(crate) fn take(&self, method: &Method, template: &str) -> Option<Planned> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|fault| fault.until.is_none_or(|until| Instant::now() < until));
        let mut chosen = None;
        for fault in list.iter_mut().filter(|fault| fault.matches(method, template)) {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(remaining) = &mut fault.remaining {
                if *remaining == 0 {
                    continue;
                }
                *remaining -= 1;
            }
            chosen = Some(Planned {
                actions: fault.actions.clone(),
            });
            break;
        }
        list.retain(|fault| fault.remaining != Some(0));
        chosen
    }
}

/// What a fault does to one call.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    actions: Vec<Action>,
}

/// How a call goes on after the first half of its fault.
pub(crate) enum Before {
    Proceed,
    Answer(Answer),
    Cut,
    Hang,
}

impl Planned {
    /// What happens before the call has its effect.
    pub(crate) async fn before(&self) -> Before {
        for action in &self.actions {
            match action {
                Action::Latency(delay) => tokio::time::sleep(*delay).await,
                Action::PauseBefore(gate) => gate.pass().await,
                Action::CutBefore => return Before::Cut,
                Action::Hang => return Before::Hang,
                Action::Page(page) => return Before::Answer(page.answer()),
                Action::Answer(code, retry_after, body) => {
                    let answer = Answer::json(*code, body);
                    return Before::Answer(match retry_after {
                        Some(seconds) => answer.header("retry-after", seconds.to_string()),
                        None => answer,
                    });
                }
                Action::CutAfter
                | Action::PauseAfter(_)
                | Action::AnswerAfter(_)
                | Action::Past(_)
                | Action::Instead(..) => {}
            }
        }
        Before::Proceed
    }

    /// What happens between the effect and the answer; `false` cuts the connection.
    pub(crate) async fn after(&self) -> bool {
        for action in &self.actions {
            match action {
                Action::PauseAfter(gate) => gate.pass().await,
                Action::AnswerAfter(delay) => tokio::time::sleep(*delay).await,
                Action::CutAfter => return false,
                _ => {}
            }
        }
        true
    }

    /// The past that a read is to be answered from.
    pub(crate) fn past(&self) -> Option<&Past> {
        self.actions.iter().find_map(|action| match action {
            Action::Past(past) => Some(past),
            _ => None,
        })
    }

    /// What is answered instead of what was done.
    pub(crate) fn instead(&self) -> Option<Answer> {
        self.actions.iter().find_map(|action| match action {
            Action::Instead(code, body) => Some(Answer::json(*code, body)),
            _ => None,
        })
    }

    pub(crate) fn cuts_after(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::CutAfter))
    }
}
