//! What stands in front of Coder, and answers in its place.

use super::*;

/// A server that answers as Coder does, signed, until it is told what else to answer.
struct Front {
    client: Client,
    page: Arc<Mutex<Option<Page>>>,
}

#[derive(Clone, Copy)]
struct Page {
    status: u16,
    headers: [(&'static str, &'static str); 2],
    body: &'static str,
}

const NONE: (&str, &str) = ("x-none", "");
const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
const JSON: (&str, &str) = ("content-type", "application/json");

fn page(status: u16, content_type: (&'static str, &'static str)) -> Page {
    Page {
        status,
        headers: [content_type, NONE],
        body: "{}",
    }
}

impl Front {
    async fn new() -> Self {
        let page: Arc<Mutex<Option<Page>>> = Arc::default();
        let shown = page.clone();
        let (router, _) = always(move || match *shown.lock().unwrap() {
            Some(Page { status, headers, body }) => (Status::from_u16(status).unwrap(), headers, body).into_response(),
            None => ([("x-coder-build-version", "v2.35.1")], Json(json!([]))).into_response(),
        });
        let client = client(&serve(router).await);
        Self { client, page }
    }

    /// A connection on which Coder answered.
    async fn proven() -> Self {
        let front = Self::new().await;
        front.client.list_organizations().await.unwrap();
        front
    }

    async fn ask(&self, page: Page) -> Error {
        *self.page.lock().unwrap() = Some(page);
        self.client.list_organizations().await.unwrap_err()
    }
}

#[tokio::test]
async fn what_is_not_coders_passes_on_a_connection_that_was_proven() {
    for page in [
        page(200, HTML),
        page(404, HTML),
        page(403, HTML),
        page(401, HTML),
        // Not Coder's own, although it looks like it.
        page(401, JSON),
        page(404, JSON),
        page(200, JSON),
        Page {
            headers: [HTML, ("location", "https://login.example.com/?next=x")],
            ..page(302, HTML)
        },
    ] {
        let front = Front::proven().await;
        let error = front.ask(page).await;
        assert_eq!(error.class(), Class::Gateway, "{} {error}", page.status);
        assert!(
            error.to_string().starts_with("something in front of Coder answered"),
            "{error}"
        );
        *front.page.lock().unwrap() = None;
        front.client.list_organizations().await.unwrap();
    }
}

#[tokio::test]
async fn it_takes_a_human_only_when_it_lasts() {
    let front = Front::proven().await;
    assert_eq!(front.ask(page(404, HTML)).await.class(), Class::Gateway);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(121)).await;
    tokio::time::resume();
    let error = front.ask(page(404, HTML)).await;
    assert_eq!(error.class(), Class::Protocol);
    assert!(error.to_string().contains("for minutes already"), "{error}");
    assert_eq!(
        front.ask(page(503, HTML)).await.class(),
        Class::Transient,
        "a server that is down"
    );
}

#[tokio::test]
async fn at_first_contact_it_is_said_at_once() {
    let front = Front::new().await;
    let error = front.ask(page(401, HTML)).await;
    assert_eq!(error.class(), Class::Protocol);
    assert!(error.to_string().contains("text/html, not JSON"), "{error}");
}

#[tokio::test]
async fn coders_own_refusals_stay_its_own() {
    let front = Front::proven().await;
    let signed = Page {
        headers: [JSON, ("x-coder-build-version", "v2.35.1")],
        body: r#"{"message":"You are not logged in."}"#,
        ..page(401, JSON)
    };
    assert_eq!(front.ask(signed).await.class(), Class::Unauthorized);
}

#[tokio::test]
async fn anybody_who_asks_for_patience_gets_it() {
    let in_a_minute = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&in_a_minute)
        .unwrap();
    for (after, seconds) in [("7", 7..=7), ("86400", 600..=600), (&*date.leak(), 50..=60)] {
        for signature in [NONE, ("x-coder-build-version", "v2.35.1")] {
            let front = Front::proven().await;
            let busy = |status, content_type| Page {
                headers: [("retry-after", after), signature],
                ..page(status, content_type)
            };
            let error = front.ask(busy(503, HTML)).await;
            assert_eq!(error.class(), Class::Transient);
            let wait = error.retry_after().unwrap().as_secs();
            assert!(seconds.contains(&wait), "{after}: {wait}");
            assert_eq!(front.ask(busy(429, HTML)).await.class(), Class::RateLimited);
            let waits = front.client.list_organizations().await.unwrap_err();
            assert!(matches!(waits, Error::CoolingDown { .. }), "{waits}");
        }
    }
}

#[tokio::test]
async fn who_the_operator_is_to_a_gateway_goes_with_every_call() {
    let who = |headers: axum::http::HeaderMap| async move {
        let of = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        Json(json!([of("cf-access-client-id"), of("cf-access-client-secret")]))
    };
    let url = serve(Router::new().fallback(any(who))).await;
    let headers = |headers: &[(&str, &str)]| Config {
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), secrecy::SecretString::from(*value)))
            .collect(),
        ..config(&url)
    };
    let two = headers(&[
        ("CF-Access-Client-Id", "operator"),
        ("cf-access-client-secret", "topsecret\n"),
    ]);
    assert!(!format!("{two:?}").contains("topsecret"));
    let client = Client::new(two).unwrap();
    let answer = client.get::<Value>(Path::new("/organizations")).await.unwrap();
    assert_eq!(answer, json!(["operator", "topsecret"]));
    for (name, value) in [
        ("Host", "a"),
        ("coder-session-token", "a"),
        ("a b", "c"),
        ("x-a", "topsecret\n\r x"),
    ] {
        let error = Client::new(headers(&[(name, value)])).unwrap_err();
        assert!(matches!(error, Error::Setup { .. }) && !format!("{error:?}").contains("topsecret"));
    }
}
