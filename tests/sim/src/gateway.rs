//! What stands in front of a deployment: a gateway that answers in the server's place.
//!
//! Its pages are not Coder's: they carry no `X-Coder-Build-Version`, and the server behind never sees the call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use serde::Deserialize;

use crate::answer::Answer;
use crate::server::Shared;
use crate::sim::Sim;

const HTML: &str = "text/html; charset=utf-8";

/// What a gateway answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    status: u16,
    content_type: String,
    body: String,
    headers: Vec<(&'static str, String)>,
}

impl Page {
    /// An HTML page of this status, as gateways and proxies have them built in.
    #[must_use]
    pub fn html(status: u16) -> Self {
        let body = format!(
            "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n\
             <hr><center>gateway</center>\r\n</body>\r\n</html>\r\n"
        );
        Self::of(status, HTML, body)
    }

    /// A plain text of this status.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self::of(status, "text/plain; charset=utf-8", body.to_owned())
    }

    /// A JSON body of this status that is not one of Coder's.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::of(status, "application/json", body.to_string())
    }

    /// 302 to a login page, usually of another origin.
    #[must_use]
    pub fn login(url: &str) -> Self {
        let mut page = Self::of(302, HTML, format!("<a href=\"{url}\">Found</a>.\n"));
        page.headers.push(("location", url.to_owned()));
        page
    }

    /// The same page with `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.headers.push(("retry-after", delay.as_secs().to_string()));
        self
    }

    /// The same page with another body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    fn of(status: u16, content_type: &str, body: String) -> Self {
        Self {
            status,
            content_type: content_type.to_owned(),
            body,
            headers: Vec::new(),
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        let mut answer = Answer::of_gateway(self.status, &self.content_type, &self.body);
        answer.headers.clone_from(&self.headers);
        answer
    }
}

/// What the gateway does at the moment.
#[derive(Debug, Default)]
pub(crate) struct Front {
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    page: Option<(Option<u64>, Page)>,
    demand: Option<Demand>,
}

#[derive(Debug)]
struct Demand {
    name: String,
    value: String,
    page: Page,
}

impl Front {
    /// What the gateway answers to a call with these headers, if it does not let it through.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Option<Answer> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |demand: &Demand| {
            headers
                .get(&demand.name)
                .is_some_and(|own| own == demand.value.as_str())
        };
        if let Some(demand) = rules.demand.as_ref().filter(|demand| !known(demand)) {
            return Some(demand.page.answer());
        }
        let (left, page) = rules.page.as_mut()?;
        let answer = page.answer();
        if let Some(left) = left {
            *left = left.saturating_sub(1);
        }
        if *left == Some(0) {
            rules.page = None;
        }
        Some(answer)
    }
}

/// The gateway in front of a simulator. It lets everything through until told otherwise.
#[derive(Debug)]
pub struct Gateway<'a>(&'a Shared);

impl Sim {
    /// What stands in front of the server.
    #[must_use]
    pub fn gateway(&self) -> Gateway<'_> {
        Gateway(&self.shared)
    }
}

impl Gateway<'_> {
    /// From now on every call is answered with this page.
    pub fn answer(&self, page: Page) {
        self.set(None, page);
    }

    /// The next `calls` calls are answered with this page.
    pub fn answer_times(&self, calls: u64, page: Page) {
        self.set((calls > 0).then_some(calls), page);
    }

    /// From now on calls without this header and value are answered with this page: a gateway that wants to know who
    /// comes.
    pub fn demand(&self, name: &str, value: &str, page: Page) {
        self.rules(|rules| {
            rules.demand = Some(Demand {
                name: name.to_owned(),
                value: value.to_owned(),
                page,
            });
        });
    }

    /// Everything is let through again.
    pub fn clear(&self) {
        self.rules(|rules| *rules = Rules::default());
    }

    fn set(&self, times: Option<u64>, page: Page) {
        self.rules(|rules| rules.page = Some((times, page)));
    }

    fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.0.front.rules.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A page as another process asks for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageRequest {
    status: u16,
    text: Option<String>,
    location: Option<String>,
    retry_after: Option<u64>,
}

impl PageRequest {
    pub(crate) fn page(self) -> Page {
        let mut page = match (&self.text, &self.location) {
            (Some(text), _) => Page::text(self.status, text),
            (None, Some(url)) => Page::login(url),
            (None, None) => Page::html(self.status),
        };
        page.status = self.status;
        match self.retry_after {
            Some(seconds) => page.retry_after(Duration::from_secs(seconds)),
            None => page,
        }
    }
}

/// What [`Gateway`] can do, from another process.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    page: PageRequest,
    times: Option<u64>,
    demand: Option<(String, String)>,
}

impl Command {
    pub(crate) fn run(self, shared: &Shared) {
        let gateway = Gateway(shared);
        let page = self.page.page();
        match (self.demand, self.times) {
            (Some((name, value)), _) => gateway.demand(&name, &value, page),
            (None, Some(times)) => gateway.answer_times(times, page),
            (None, None) => gateway.answer(page),
        }
    }
}

pub(crate) fn clear(shared: &Shared) {
    Gateway(shared).clear();
}
