//! Every write to Kubernetes passes here: none is sent, nor sent again, by a process that does not lead.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::{Method, Request};
use kube::client::{Body, ClientBuilder, DynBody};
use kube::{Client, Config};
use tower::{BoxError, Service};

use super::Leadership;

/// A write was not made because this process does not lead.
#[derive(Debug, thiserror::Error)]
#[error("this process does not lead, so that it writes nothing")]
pub struct NotLeading;

impl NotLeading {
    /// Whether that is why a call failed.
    #[must_use]
    pub fn is_cause_of(error: &kube::Error) -> bool {
        matches!(error, kube::Error::Service(cause) if cause.is::<Self>())
    }
}

/// A client whose writes pass only while this process leads.
///
/// # Errors
/// When the configuration is of no use.
pub fn client(config: Config, leadership: Leadership) -> kube::Result<Client> {
    let builder = ClientBuilder::try_from(config)?;
    let gate = tower::layer::layer_fn(move |inner| Gate {
        inner,
        leadership: leadership.clone(),
    });
    Ok(builder.with_layer(&gate).build::<Box<DynBody>>())
}

struct Gate<S> {
    inner: S,
    leadership: Leadership,
}

type Sent<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Error = BoxError>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Sent<S::Response, BoxError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.method() == Method::GET {
            return Box::pin(self.inner.call(request));
        }
        let leadership = self.leadership.clone();
        if !leadership.leads() {
            return Box::pin(std::future::ready(Err(NotLeading.into())));
        }
        let mut sent = Box::pin(self.inner.call(request));
        // Asked at every step: the call may wait before it is sent, or sent again, longer than the leadership lasts.
        Box::pin(std::future::poll_fn(move |cx| {
            if leadership.leads() {
                sent.as_mut().poll(cx)
            } else {
                Poll::Ready(Err(NotLeading.into()))
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::Response;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use kube::api::PostParams;

    use super::*;

    #[tokio::test]
    async fn who_does_not_lead_reads_and_sends_no_write() {
        let leadership = Leadership::candidate(std::time::Duration::from_secs(15));
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let server = tower::service_fn(move |request: Request<Body>| {
            let writes = request.method() != Method::GET;
            counted.fetch_add(usize::from(writes), Ordering::SeqCst);
            async {
                let body = Body::from(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#.to_vec());
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        let gate = Gate {
            inner: tower::ServiceExt::<Request<Body>>::map_err(server, BoxError::from),
            leadership: leadership.clone(),
        };
        let maps: Api<ConfigMap> = Api::namespaced(Client::new(gate, "default"), "default");
        assert!(maps.get("a").await.is_ok());
        let map = ConfigMap::default();
        let refused = maps.create(&PostParams::default(), &map).await.unwrap_err();
        assert!(NotLeading::is_cause_of(&refused), "{refused}");
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        leadership.beat_now();
        assert!(maps.create(&PostParams::default(), &map).await.is_ok());
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
