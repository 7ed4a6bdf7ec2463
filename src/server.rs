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

use crate::engine::cluster::watch::Synced;
use crate::metrics::Metrics;

/// Something that must be complete before the process is ready, by the name that `/readyz` shows.
pub type Part = (String, Synced);

struct Shared {
    parts: Vec<Part>,
    metrics: Arc<Metrics>,
}

/// Serves until told to stop. Answers with the address it listens on.
///
/// # Errors
/// When the address cannot be used.
pub async fn serve(
    address: SocketAddr,
    parts: Vec<Part>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Arc::new(Shared { parts, metrics }));
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "probes and metrics are not served any more");
        }
    });
    Ok(address)
}

/// Ready when every cache is complete, on the leader and on those who stand by.
async fn ready(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let missing: Vec<&str> = shared
        .parts
        .iter()
        .filter(|(_, synced)| !synced.is_synced())
        .map(|(name, _)| name.as_str())
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
