use std::sync::atomic::{AtomicU16, Ordering};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Json, Router};
use secrecy::SecretString;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::api::{ObjectKey, Reference};
use crate::coder::{Class, Client, Config};
use crate::mirror::{Collection, Concerned, Log, Observer, Waker};

/// Means nothing to anybody.
struct Nobody;

impl Meaning for Nobody {
    fn touches(&self, _: &Mirror, _: &AuditEntry) -> Vec<Touch> {
        Vec::new()
    }
    fn is_by_us(&self, _: &AuditEntry) -> bool {
        false
    }
    fn vanished(&self) {}
    fn state(&self, _: &FeedState) {}
    fn read(&self, _: usize, _: usize, _: Option<Duration>) {}
}

impl Waker for Nobody {
    fn wake(&self, _: &Reference) {}
}

impl Observer for Nobody {
    fn fetched(&self, _: &'static str, _: Result<Duration, Class>) {}
}

/// A list that the log covers.
#[derive(Clone, Debug)]
struct Covered;

impl Collection for Covered {
    type Item = u32;
    const NAME: &'static str = "covered";
    const LOG: Log<Self> = Log::Complete(|_, _, _| Concerned::NOTHING);

    fn key(item: &u32) -> String {
        item.to_string()
    }

    async fn list(&self, _: &Client) -> Result<Vec<u32>, Error> {
        Ok(Vec::new())
    }
}

/// A reader of a log that answers with that status, after so long.
async fn reader(status: Arc<AtomicU16>, after: Duration) -> Reader {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let log = move || {
        let status = StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap();
        async move {
            tokio::time::sleep(after).await;
            (status, Json(json!({ "message": "Said.", "audit_logs": [] }))).into_response()
        }
    };
    let router = Router::new().fallback(log);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = Client::new(Config::new(url.parse().unwrap(), SecretString::from("token"))).unwrap();
    let mirror = Arc::new(Mirror::new(client, Arc::new(Nobody), Arc::new(Nobody)));
    let interval = Duration::from_millis(1);
    Reader {
        cursor: Cursor::default(),
        trust: Trust::new(interval),
        deep: None,
        refusals: 0,
        looks: Arc::default(),
        _unfed: Unfed(Arc::clone(&mirror)),
        feed: AuditFeed {
            mirror,
            meaning: Arc::new(Nobody),
            interval,
        },
    }
}

#[tokio::test]
async fn a_slow_log_is_read_less_often() {
    let mut reader = reader(Arc::new(AtomicU16::new(200)), Duration::from_millis(50)).await;
    let pause = reader.turn().await;
    assert!(pause >= Duration::from_millis(50) * SHARE, "{pause:?}");
}

#[tokio::test]
async fn what_is_refused_again_and_again_is_asked_for_rarely() {
    let status = Arc::new(AtomicU16::new(401));
    let mut reader = reader(status.clone(), Duration::ZERO).await;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        pauses.push(reader.turn().await.as_secs() / 60);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 16]);
    status.store(200, Ordering::SeqCst);
    assert!(reader.turn().await < REFUSED);
    status.store(403, Ordering::SeqCst);
    assert_eq!(reader.turn().await, REFUSED, "it was answered in between");
}

#[tokio::test]
async fn what_was_written_before_the_log_was_read_is_not_missed_in_it() {
    let reader = reader(Arc::new(AtomicU16::new(200)), Duration::ZERO).await;
    let mirror = Arc::clone(&reader.feed.mirror);
    let by = Reference {
        kind: "K",
        key: ObjectKey::new("ns", "a"),
    };
    // Such as the licence that switches the log on.
    mirror.put(&Covered, 1, &by);
    mirror.remove(&Covered, "1", &by);
    assert!(mirror.writes().missing().is_some());
    let Reader { feed, .. } = reader;
    tokio::time::timeout(Duration::from_millis(100), feed.run(|| 1.0))
        .await
        .unwrap_err();
    assert!(mirror.writes().missing().is_none());
    mirror.remove(&Covered, "1", &by);
    assert!(mirror.writes().missing().is_none(), "somebody else may have been first");
    mirror.put(&Covered, 1, &by);
    assert!(mirror.writes().missing().is_some());
}
