//! Probes and metrics over HTTP: `/livez`, `/readyz`, `/metrics`.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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
    let listener = listen(address)
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
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

/// All addresses of both families share one listener, where the host has both.
async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error)
            if address.ip() == Ipv6Addr::UNSPECIFIED
                && !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) =>
        {
            tracing::info!(%error, "this host has no IPv6: serving on IPv4");
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        listener => listener,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn start(address: &str) -> std::io::Result<SocketAddr> {
        let stop = CancellationToken::new();
        serve(address.parse().unwrap(), Vec::new(), Metrics::new(), stop).await
    }

    #[tokio::test]
    async fn what_listens_everywhere_answers_both_families() {
        let port = start("[::]:0").await.unwrap().port();
        assert!(
            tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_ok()
        );
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            assert!(
                tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                    .await
                    .is_ok()
            );
        }
    }

    #[tokio::test]
    async fn an_address_that_is_in_use_is_named() {
        let address = start("127.0.0.1:0").await.unwrap().to_string();
        let error = start(&address).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
    }
}
