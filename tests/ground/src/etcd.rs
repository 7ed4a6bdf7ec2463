//! The store behind the API server, past every check of it.

use http::Request;
use k8s_openapi::ByteString;
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Error, Result};

/// Reads and writes raw keys, through etcd's JSON gateway.
///
/// For objects that exist in real clusters and that the API server would not take today: written before a validation
/// rule was added, by a version whose schema was wider, or simply broken. The API server's watch cache follows etcd, so
/// that a write made here reaches watchers as any other.
///
/// Custom resources are stored as JSON. Built-in types are stored as protobuf, which this type moves around but cannot
/// write for you.
#[derive(Clone)]
pub struct EtcdRaw {
    client: Client,
}

impl std::fmt::Debug for EtcdRaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdRaw").finish_non_exhaustive()
    }
}

/// A key as the gateway gives it. `value` is absent for the empty value, as protobuf's JSON has it.
#[derive(Deserialize)]
struct KeyValue {
    key: ByteString,
    #[serde(default)]
    value: Option<ByteString>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

impl EtcdRaw {
    pub(crate) fn new(url: &str) -> Result<Self> {
        // kube's client is an HTTP client with a base URL; this server happens not to be Kubernetes.
        let config = Config::new(url.parse().map_err(Error::format("etcd's address"))?);
        let client = Client::try_from(config).map_err(Error::kube("cannot make a client"))?;
        Ok(Self { client })
    }

    /// The key of a namespaced custom resource.
    #[must_use]
    pub fn custom_resource_key(group: &str, plural: &str, namespace: &str, name: &str) -> String {
        format!("/registry/{group}/{plural}/{namespace}/{name}")
    }

    /// Writes a value, whether or not there was one.
    pub async fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<()> {
        let body = json!({"key": bytes(key), "value": ByteString(value.into())});
        self.call("put", &body).await.map(drop)
    }

    /// Writes an object as the API server stores custom resources.
    pub async fn put_json(&self, key: &str, object: &Value) -> Result<()> {
        self.put(key, object.to_string()).await
    }

    /// The value of a key, if there is one.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let range = self.range(&json!({"key": bytes(key)})).await?;
        Ok(range.kvs.into_iter().next().map(|it| it.value.unwrap_or_default().0))
    }

    /// The stored form of a custom resource, if there is one.
    pub async fn get_json(&self, key: &str) -> Result<Option<Value>> {
        self.get(key)
            .await?
            .map(|text| serde_json::from_slice(&text).map_err(Error::format(key)))
            .transpose()
    }

    /// All keys that begin with `prefix`, sorted.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let body = json!({"key": bytes(prefix), "range_end": ByteString(after_prefix(prefix)), "keys_only": true});
        let range = self.range(&body).await?;
        Ok(range
            .kvs
            .iter()
            .map(|it| String::from_utf8_lossy(&it.key.0).into_owned())
            .collect())
    }

    /// Removes a key, finalizers or not.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.call("deleterange", &json!({"key": bytes(key)})).await.map(drop)
    }

    async fn range(&self, body: &Value) -> Result<Range> {
        let answer = self.call("range", body).await?;
        serde_json::from_value(answer).map_err(Error::format("etcd's answer"))
    }

    async fn call(&self, operation: &str, body: &Value) -> Result<Value> {
        let request = Request::post(format!("/v3/kv/{operation}"))
            .body(body.to_string().into_bytes())
            .map_err(Error::format("a request to etcd"))?;
        self.client
            .request(request)
            .await
            .map_err(Error::kube(format!("etcd {operation}")))
    }
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

/// The first key that no longer begins with `prefix`: etcd's own rule for prefix ranges.
fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // etcd's word for "to the end".
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_next_sibling() {
        assert_eq!(after_prefix("/registry/a"), b"/registry/b");
        assert_eq!(after_prefix(""), [0]);
    }
}
