//! What is large or slow.

use futures::StreamExt;

use super::*;
use crate::coder::bodies::Bodies;

/// Says nothing for so long, as often as that.
fn slow(times: usize, time: Duration) -> Router {
    let left = Arc::new(AtomicUsize::new(times));
    Router::new().fallback(any(move || {
        let left = left.clone();
        async move {
            if left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
            {
                tokio::time::sleep(time).await;
            }
            Json(json!([]))
        }
    }))
}

async fn impatient(router: Router) -> Client {
    let breaker = BreakerConfig {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(1),
        ..BreakerConfig::default()
    };
    Client::new(Config {
        call_timeout: Duration::from_millis(500),
        breaker,
        ..config(&serve(router).await)
    })
    .unwrap()
}

#[tokio::test]
async fn a_list_that_needs_longer_gets_longer() {
    let client = impatient(slow(usize::MAX, Duration::from_millis(1500))).await;
    let mut timeouts = 0;
    let organizations = loop {
        match client.list_organizations().await {
            Ok(organizations) => break organizations,
            Err(Error::Timeout { .. }) => timeouts += 1,
            Err(Error::Hanging { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(organizations.is_empty());
    assert!((2..=4).contains(&timeouts), "500, 1000, 2000 ms …: {timeouts}");
    client.list_organizations().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_keeps_coming_is_not_cut_off() {
    let drips = || async {
        let chunks = futures::stream::iter(["[", " ", " ", " ", " ", " ", " ", "]"]).then(|chunk| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, Infallible>(chunk)
        });
        ([("content-type", "application/json")], Body::from_stream(chunks))
    };
    let client = impatient(Router::new().fallback(any(drips))).await;
    assert!(client.list_organizations().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_path_that_hangs_stops_no_other_and_is_met_by_one_call_at_a_time() {
    let hits = Arc::new(AtomicUsize::new(0));
    let count = hits.clone();
    let hangs = move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>()
    };
    let router = Router::new()
        .route("/api/v2/organizations", any(hangs))
        .fallback(any(|| async { Json(json!([])) }));
    let client = Client::new(Config {
        call_timeout: Duration::from_millis(50),
        ..config(&serve(router).await)
    })
    .unwrap();
    for _ in 0..2 {
        let error = client.list_organizations().await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        client.list_licenses().await.unwrap();
    }
    for _ in 0..20 {
        let error = client.list_organizations().await.unwrap_err();
        assert!(
            matches!(error, Error::Hanging { .. }) && error.is_transient(),
            "{error}"
        );
        assert!(error.retry_after().is_some());
        client.list_licenses().await.unwrap();
    }
    assert_eq!(
        (hits.load(Ordering::SeqCst), client.breaker_state()),
        (2, BreakerState::Closed)
    );
}

#[tokio::test]
async fn a_server_that_hangs_on_everything_is_dead() {
    let router = Router::new().fallback(any(std::future::pending::<()>));
    let client = impatient(router).await;
    let calls = (0..20).map(|_| async {
        let _ = client.list_organizations().await;
        let _ = client.list_licenses().await;
    });
    futures::future::join_all(calls).await;
    assert_eq!(client.breaker_state(), BreakerState::Open);
}

#[tokio::test]
async fn large_answers_wait_for_room_and_all_arrive() {
    let large = format!("[{}]", " ".repeat(3 << 20));
    let router = Router::new().fallback(any(move || {
        let large = large.clone();
        async move { ([("content-type", "application/json")], large) }
    }));
    let client = client(&serve(router).await);
    let lists = (0..8).map(|_| client.list_organizations());
    for list in futures::future::join_all(lists).await {
        assert!(list.unwrap().is_empty());
    }
}

/// A list that begins at once, is large, and then comes byte by byte.
async fn dripping() -> String {
    let drip = || {
        let begin = Bytes::from(format!("[{}", " ".repeat(2 << 20)));
        let bytes = futures::stream::unfold(Some(begin), |next| async move {
            if next.is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let part = next.unwrap_or_else(|| Bytes::from_static(b" "));
            Some((Ok::<_, Infallible>(part), None))
        });
        async move { ([("content-type", "application/json")], Body::from_stream(bytes)) }
    };
    serve(Router::new().fallback(any(drip))).await
}

#[tokio::test]
async fn who_answers_byte_by_byte_keeps_nobody_else_from_being_read() {
    let bodies = Bodies::default();
    let patient = |url: &str, bodies: &Bodies| {
        let config = Config {
            call_timeout: Duration::from_millis(400),
            bodies: bodies.clone(),
            ..config(url)
        };
        Client::new(config).unwrap()
    };
    let slow: Vec<Client> = [dripping().await, dripping().await]
        .iter()
        .map(|url| patient(url, &bodies))
        .collect();
    let lists: Vec<_> = slow
        .into_iter()
        .map(|client| tokio::spawn(async move { client.list_organizations().await }))
        .collect();
    tokio::time::timeout(Duration::from_secs(20), async {
        while bodies.free() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("both places are taken");
    let large = format!("[{}]", " ".repeat(3 << 20));
    let router = Router::new().fallback(any(move || {
        let large = large.clone();
        async move { ([("content-type", "application/json")], large) }
    }));
    let client = patient(&serve(router).await, &bodies);
    let read = tokio::time::timeout(Duration::from_secs(20), client.list_organizations()).await;
    assert!(read.expect("it gets a place").unwrap().is_empty());
    for list in lists {
        list.abort();
    }
}
