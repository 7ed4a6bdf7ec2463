//! The way to Kubernetes leads through a proxy where the environment says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use coder_operator::api::{CoderGroup, CoderInstance};

use crate::support::{Coder, Operator, Settings, World, cluster, ready};

/// A proxy that lets everything through; counts the tunnels.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tunnels);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(tunnel(client, Arc::clone(&count)));
        }
    });
    (address, tunnels)
}

async fn tunnel(client: TcpStream, count: Arc<AtomicUsize>) {
    let mut client = BufReader::new(client);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if client.read_line(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let Some(target) = target else { return };
    let mut server = TcpStream::connect(target).await.expect("the target");
    count.fetch_add(1, Ordering::SeqCst);
    let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_with_a_kubeconfig_works_through_the_proxy_of_its_environment() {
    let ground = cluster().await;
    let namespace = ground.namespace("http-proxy").await.unwrap();
    let (proxy, tunnels) = proxy().await;
    let settings = Settings {
        environment: vec![
            ("HTTPS_PROXY".to_owned(), proxy),
            ("NO_PROXY".to_owned(), String::new()),
        ],
        ..Settings::watching(namespace.name())
    };
    let world = World {
        ground,
        coder: Coder::any().await,
        operator: Operator::start(ground, &settings).await,
        namespace,
        kube: ground.admin().unwrap(),
    };
    world.connect(world.ns(), "default", json!({})).await;
    world.wait::<CoderInstance>("default", ready).await;
    let name = world.name("backend");
    world
        .apply::<CoderGroup>("backend", json!({ "organization": "default", "name": name }))
        .await;
    world.wait::<CoderGroup>("backend", ready).await;
    assert!(tunnels.load(Ordering::SeqCst) > 0);
    world.finish().await;
}
