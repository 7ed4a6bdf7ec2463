use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, AtomicUsize},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::Request,
    http::StatusCode as Status,
    response::{Html, IntoResponse, Redirect},
    routing::{any, get},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

mod gateway;
mod large;
mod tls;

use super::*;
use crate::coder::{
    BreakerConfig, BreakerState, Config, CreateOrganization, Observer, OrganizationId, OrganizationRef,
    client::tests::config,
};

/// A server on a port of its own, for as long as the test runs.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    url
}

fn client(url: &str) -> Client {
    Client::new(config(url)).unwrap()
}

/// Answers every request with the same, and counts them.
fn always<R: IntoResponse>(answer: impl Fn() -> R + Clone + Send + Sync + 'static) -> (Router, Arc<AtomicUsize>) {
    let hits = Arc::new(AtomicUsize::new(0));
    let count = hits.clone();
    let handler = move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(answer().into_response())
    };
    (Router::new().fallback(any(handler)), hits)
}

fn create() -> CreateOrganization {
    CreateOrganization {
        name: "alpha".into(),
        ..CreateOrganization::default()
    }
}

#[tokio::test]
async fn a_call_says_who_it_is_and_where_it_goes() {
    let echo = |request: Request| async move {
        let header = |name| {
            request
                .headers()
                .get(name)
                .map(|value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned())
        };
        Json(json!([
            request.method().as_str(),
            request.uri().to_string(),
            header("coder-session-token"),
            header("accept"),
            header("user-agent"),
            header("x-coder-bypass-ratelimit"),
            header("referer"),
        ]))
    };
    let url = serve(Router::new().fallback(any(echo))).await;
    let client = Client::new(Config {
        user_agent: "coder-operator/1 (test)".into(),
        ..config(&format!("{url}/prefix/"))
    })
    .unwrap();
    let path = || {
        Path::new("/organizations/{organization}/groups")
            .segment("a/../b?c#d")
            .query("q", "x y&z")
    };
    let uri = "/prefix/api/v2/organizations/a%2F..%2Fb%3Fc%23d/groups?q=x+y%26z";
    let expected = json!([
        "GET",
        uri,
        "id-topsecret",
        "application/json",
        client.user_agent(),
        null,
        null
    ]);
    assert_eq!(client.get::<Value>(path()).await.unwrap(), expected);
    client.set_bypass(true);
    assert_eq!(client.get::<Value>(path()).await.unwrap()[5], "true");
}

#[tokio::test]
async fn the_token_never_leaves_the_origin() {
    let (elsewhere, hits) = always(|| Json(json!([])));
    let elsewhere = serve(elsewhere).await;
    let target = format!("{elsewhere}/api/v2/organizations");
    let (here, _) = always(move || Redirect::temporary(&target));
    let client = client(&serve(here).await);
    for error in [
        client.list_organizations().await.unwrap_err(),
        client.create_organization(&create()).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, Error::Redirect { to, .. } if *to == elsewhere),
            "{error}"
        );
        assert_eq!((error.class(), error.outcome_unknown()), (Class::Protocol, false));
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn reads_follow_redirects_at_home_and_writes_do_not() {
    let url = serve(
        Router::new()
            .route("/api/v2/organizations", any(|| async { Redirect::permanent("/moved") }))
            .route("/moved", any(|| async { Json(json!([])) }))
            .route(
                "/api/v2/groups",
                get(|| async { Redirect::permanent("/api/v2/groups") }),
            )
            .route("/api/v2/licenses", any(|| async { Status::FOUND })),
    )
    .await;
    let client = client(&url);
    assert!(client.list_organizations().await.unwrap().is_empty());
    for error in [
        client.create_organization(&create()).await.unwrap_err(),
        // In a circle.
        client.list_all_groups().await.unwrap_err(),
        // To nowhere.
        client.list_licenses().await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("a redirect to "), "{error}");
        assert!(!error.outcome_unknown());
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let endless = || async {
        let chunks = futures::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024])));
        ([("content-type", "application/json")], Body::from_stream(chunks))
    };
    let url = serve(Router::new().fallback(any(endless))).await;
    let client = Client::new(Config {
        max_body_bytes: 100_000,
        ..config(&url)
    })
    .unwrap();
    let error = client.list_organizations().await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 100_000, .. }), "{error}");
}

#[tokio::test]
async fn an_endless_error_still_has_its_status() {
    let endless = || async {
        let chunks = futures::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024])));
        let signed = [("x-coder-build-version", "v2.35.1")];
        (Status::UNAUTHORIZED, signed, Body::from_stream(chunks))
    };
    let error = client(&serve(Router::new().fallback(any(endless))).await)
        .me()
        .await
        .unwrap_err();
    assert_eq!((error.status(), error.class()), (Some(401), Class::Unauthorized));
}

#[tokio::test]
async fn a_silent_server_runs_into_the_timeout() {
    let url = serve(Router::new().fallback(any(std::future::pending::<()>))).await;
    let client = Client::new(Config {
        call_timeout: Duration::from_millis(50),
        ..config(&url)
    })
    .unwrap();
    let error = client.list_organizations().await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout { .. }) && error.is_transient() && !error.outcome_unknown(),
        "{error:?}"
    );
    assert!(
        client
            .create_organization(&create())
            .await
            .unwrap_err()
            .outcome_unknown()
    );
}

#[tokio::test]
async fn a_refused_connection_had_no_effect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).create_organization(&create()).await.unwrap_err();
    assert!(
        matches!(error, Error::Connect { .. }) && !error.outcome_unknown(),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("refused") && !error.to_string().contains(&url),
        "{error}"
    );
}

#[tokio::test]
async fn a_connection_lost_after_sending_may_have_had_its_effect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        // Closed at once, then in the middle of the answer.
        for answer in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(answer).await.unwrap();
        }
    });
    let client = client(&url);
    for _ in 0..2 {
        let error = client.create_organization(&create()).await.unwrap_err();
        assert!(
            matches!(error, Error::Cut { .. }) && error.outcome_unknown(),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn tls_that_fails_is_told_from_no_connection() {
    let (plain, _) = always(|| Json(json!([])));
    let url = serve(plain).await.replace("http:", "https:");
    let error = client(&url).create_organization(&create()).await.unwrap_err();
    assert!(
        matches!(error, Error::Tls { .. }) && !error.outcome_unknown(),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_dashboard_is_not_the_api() {
    let (dashboard, _) = always(|| Html("<!doctype html>"));
    let client = client(&serve(dashboard).await);
    let errors = [
        client.list_organizations().await.unwrap_err(),
        client
            .delete_organization(OrganizationId(uuid::Uuid::nil()))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.status(), error.class()), (Some(200), Class::Protocol));
        assert!(error.to_string().contains("text/html, not JSON"), "{error}");
    }
}

#[tokio::test]
async fn only_coders_own_404_means_absent() {
    let status = Arc::new(AtomicU16::new(404));
    let body = Arc::new(Mutex::new(json!({})));
    let (set_status, set_body) = (status.clone(), body.clone());
    let (router, _) = always(move || {
        (
            Status::from_u16(status.load(Ordering::SeqCst)).unwrap(),
            Json(body.lock().unwrap().clone()),
        )
    });
    let client = client(&serve(router).await);
    let alpha = OrganizationRef::Name("alpha".into());
    for (code, message, class) in [
        (
            404,
            "Resource not found or you do not have access to this resource",
            None,
        ),
        (404, "Route not found.", Some(Class::Unsupported)),
        (404, "no Route matched with those values", Some(Class::Protocol)),
        (403, "Forbidden.", Some(Class::Forbidden)),
        (500, "An internal server error occurred.", Some(Class::Transient)),
    ] {
        set_status.store(code, Ordering::SeqCst);
        *set_body.lock().unwrap() = json!({ "message": message });
        match client.get_organization(&alpha).await {
            Ok(found) => assert!(found.is_none() && class.is_none(), "{message}"),
            Err(error) => assert_eq!(Some(error.class()), class, "{message}"),
        }
    }
}

#[tokio::test]
async fn a_path_that_was_refused_for_its_rate_is_left_alone() {
    let limited = || {
        (
            Status::TOO_MANY_REQUESTS,
            [("retry-after", "60")],
            Json(json!({"message": "You've been rate limited"})),
        )
    };
    let (router, hits) = always(limited);
    let client = client(&serve(router).await);
    assert_eq!(
        client.list_organizations().await.unwrap_err().retry_after(),
        Some(Duration::from_mins(1))
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(20)).await;
    let error = client.list_organizations().await.unwrap_err();
    assert!(matches!(error, Error::CoolingDown { .. }), "{error:?}");
    assert_eq!(error.class(), Class::RateLimited);
    assert!(error.retry_after().unwrap() <= Duration::from_secs(40));
    tokio::time::advance(Duration::from_secs(41)).await;
    tokio::time::resume();
    assert_eq!(client.list_organizations().await.unwrap_err().status(), Some(429));
    assert_eq!(
        client.list_licenses().await.unwrap_err().status(),
        Some(429),
        "another path"
    );
    assert_eq!(hits.load(Ordering::SeqCst), 3);
}

#[derive(Default)]
struct Seen(Mutex<Vec<CallInfo>>);

impl Observer for Seen {
    fn call(&self, call: &CallInfo) {
        self.0.lock().unwrap().push(*call);
    }
}

#[tokio::test]
async fn a_dead_server_is_probed_and_everyone_else_waits() {
    let alive = Arc::new(AtomicUsize::new(0));
    let switch = alive.clone();
    let (router, hits) = always(move || match switch.load(Ordering::SeqCst) {
        0 => Status::BAD_GATEWAY.into_response(),
        _ => Json(json!([])).into_response(),
    });
    let seen = Arc::new(Seen::default());
    let breaker = BreakerConfig {
        threshold: 2,
        first: Duration::from_hours(1),
        longest: Duration::from_hours(1),
        ..BreakerConfig::default()
    };
    let config = Config {
        breaker,
        observer: seen.clone(),
        ..config(&serve(router).await)
    };
    let client = Client::new(config).unwrap();
    client.list_organizations().await.unwrap_err();
    client.list_licenses().await.unwrap_err();
    assert_eq!(client.breaker_state(), BreakerState::Open);
    let error = client.list_organizations().await.unwrap_err();
    assert!(
        matches!(error, Error::BreakerOpen { .. }) && error.is_transient(),
        "{error:?}"
    );
    assert_eq!(hits.load(Ordering::SeqCst), 2);

    alive.store(1, Ordering::SeqCst);
    let mut watch = client.breaker();
    tokio::time::pause();
    tokio::time::advance(Duration::from_hours(2)).await;
    tokio::time::resume();
    client.list_licenses().await.unwrap();
    assert_eq!(
        *watch.wait_for(|state| *state == BreakerState::Closed).await.unwrap(),
        BreakerState::Closed
    );
    client.list_organizations().await.unwrap();
    let failed = (Some(502), Some(Class::Transient), true);
    let kept = (None, Some(Class::Transient), false);
    let good = (Some(200), None, true);
    let expected = [failed, failed, kept, good, good];
    assert_eq!(
        seen.0
            .lock()
            .unwrap()
            .iter()
            .map(|call| (call.status, call.class, call.sent))
            .collect::<Vec<_>>(),
        expected
    );
}

#[tokio::test]
async fn a_refused_bypass_is_not_sent_again() {
    let (router, _) = always(|| {
        (
            Status::PRECONDITION_REQUIRED,
            "\"X-Coder-Bypass-Ratelimit\" provided but user is not owner\n",
        )
    });
    let client = Client::new(Config {
        bypass_rate_limit: true,
        ..config(&serve(router).await)
    })
    .unwrap();
    assert_eq!(client.me().await.unwrap_err().class(), Class::BypassRefused);
    assert!(!client.bypass());
}

#[tokio::test]
async fn members_come_from_whichever_list_the_server_has() {
    let member = json!({"user_id": uuid::Uuid::nil(), "organization_id": uuid::Uuid::nil()});
    let absent = || async { (Status::NOT_FOUND, Json(json!({"message": "Route not found."}))) };
    let organization = OrganizationId(uuid::Uuid::nil());
    let path = format!("/api/v2/organizations/{organization}");
    let old = {
        let members = json!([member]);
        Router::new()
            .route(&format!("{path}/members"), get(|| async { Json(members) }))
            .fallback(any(absent))
    };
    assert_eq!(
        client(&serve(old).await)
            .list_members(organization)
            .await
            .unwrap()
            .len(),
        1
    );
    let new = Router::new().route(
        &format!("{path}/paginated-members"),
        get(|| async move { Json(json!({"members": [member], "count": 1})) }),
    );
    assert_eq!(
        client(&serve(new).await)
            .list_members(organization)
            .await
            .unwrap()
            .len(),
        1
    );
    let none = Router::new().fallback(any(absent));
    assert!(
        client(&serve(none).await)
            .list_members(organization)
            .await
            .unwrap_err()
            .is_unsupported()
    );
}

#[tokio::test]
async fn a_deleted_user_is_absent_although_its_id_answers() {
    let id = uuid::Uuid::from_u128(1);
    let user = json!({"id": id, "username": "cat", "status": "active"});
    let other = json!({"id": uuid::Uuid::from_u128(2), "username": "cat", "status": "active"});
    let url = serve(
        Router::new()
            .route(&format!("/api/v2/users/{id}"), get(|| async { Json(user) }))
            .route("/api/v2/users/cat", get(|| async { Json(other) })),
    )
    .await;
    assert_eq!(client(&url).user_by_id(id.into()).await.unwrap(), None);
}

#[tokio::test]
async fn the_search_by_address_is_exact() {
    let body = json!({"count": 2, "users": [
        {"id": uuid::Uuid::from_u128(1), "username": "ann2", "status": "active", "email": "joann@example.com"},
        {"id": uuid::Uuid::from_u128(2), "username": "ann", "status": "active", "email": "Ann@Example.com"},
    ]});
    let client = client(&serve(Router::new().fallback(any(|| async { Json(body) }))).await);
    assert_eq!(
        client.user_by_email("ann@example.com").await.unwrap().unwrap().username,
        "ann"
    );
    assert_eq!(client.user_by_email("nn@example.com").await.unwrap(), None);
    assert_eq!(client.user_by_email("status:active").await.unwrap(), None);
}

#[tokio::test]
async fn who_may_not_write_any_more_sends_nothing_and_takes_no_answer() {
    let (hits, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let (count, answer) = (hits.clone(), answers.clone());
    let slow = move || {
        let answer = answer.clone();
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            answer.acquire().await.unwrap().forget();
            Json(json!([]))
        }
    };
    let may_write = Arc::new(AtomicBool::new(false));
    let asked = may_write.clone();
    let client = Client::new(Config {
        may_write: Arc::new(move || asked.load(Ordering::SeqCst)),
        ..config(&serve(Router::new().fallback(any(slow))).await)
    })
    .unwrap();
    let error = client.create_organization(&create()).await.unwrap_err();
    assert!(matches!(error, Error::Barred { .. }), "{error}");
    assert_eq!(hits.load(Ordering::SeqCst), 0);
    answers.add_permits(1);
    assert!(client.list_organizations().await.is_ok(), "reads are harmless");

    // Another one leads before the answer is there.
    may_write.store(true, Ordering::SeqCst);
    let under_way = client.clone();
    let call = tokio::spawn(async move { under_way.create_organization(&create()).await.unwrap_err() });
    while hits.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    may_write.store(false, Ordering::SeqCst);
    answers.add_permits(1);
    let error = call.await.unwrap();
    assert!(
        matches!(error, Error::Barred { .. }) && error.outcome_unknown(),
        "{error}"
    );
    assert_eq!(client.breaker_state(), BreakerState::Closed);
}
