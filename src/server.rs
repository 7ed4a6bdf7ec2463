//! Probes and metrics over HTTP: `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::engine::cluster::coverage::Coverage;
use crate::metrics::Metrics;

struct Shared {
    coverage: Vec<Coverage>,
    metrics: Arc<Metrics>,
}

/// Serves until told to stop. Answers with the address it listens on.
///
/// # Errors
/// When the address cannot be used.
pub async fn serve(
    address: SocketAddr,
    coverage: Vec<Coverage>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Arc::new(Shared { coverage, metrics }));
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "probes and metrics are not served any more");
        }
    });
    Ok(address)
}

/// Ready when every list has come, on the leader and on those who stand by. What has come is worked with all the same.
async fn ready(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let incomplete = shared.coverage.iter().filter(|coverage| !coverage.is_complete());
    let missing: Vec<String> = incomplete
        .flat_map(Coverage::missing)
        .map(|missing| missing.to_string())
        .collect();
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        let text = format!(
            "not ready: no complete list yet of {}; is the CustomResourceDefinition installed, may the operator list it?\n",
            missing.join(", ")
        );
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

async fn metrics_text(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], shared.metrics.render())
}
