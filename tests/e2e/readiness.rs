//! Probes: a missing definition is named and waited for, and everything else works meanwhile.

use serde_json::json;
use test_ground::{ControlPlane, Options};

use coder_operator::api::{CoderInstance, CoderOrganization};
use coder_operator::crds;

use crate::support::{Coder, Operator, Settings, World, prepare, ready};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_definition_is_named_and_waited_for() {
    test_ground::init();
    // A cluster of its own: the definitions of the shared one are there.
    let ground: &ControlPlane = Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()));
    let admin = ground.admin().unwrap();
    prepare(ground).await;
    let groups = "codergroups.coder-operator.dev";
    let api =
        kube::Api::<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition>::all(
            admin.clone(),
        );
    let uid = api.get(groups).await.unwrap().metadata.uid.unwrap();
    api.delete(groups, &kube::api::DeleteParams::default()).await.unwrap();
    kube::runtime::wait::await_condition(api, groups, kube::runtime::wait::conditions::is_deleted(&uid))
        .await
        .unwrap();

    let settings = Settings {
        namespaces: Vec::new(),
        ..Settings::watching("")
    };
    let world = World {
        ground,
        namespace: ground.namespace("readiness").await.unwrap(),
        coder: Coder::any().await,
        operator: Operator::start(ground, &settings).await,
        kube: admin.clone(),
    };
    let probe = async |wanted: u16| {
        let waited = tokio::time::timeout(crate::support::PATIENCE, async {
            loop {
                let (status, text) = world.operator.http("/readyz").await;
                if status == wanted && (wanted == 200 || !text.contains("CoderLicense")) {
                    return text;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        waited.await.expect("the probe answers as wanted")
    };
    let text = probe(503).await;
    assert!(
        text.contains("CoderGroup") && text.contains("CustomResourceDefinition"),
        "{text}"
    );
    assert_eq!(
        world.operator.http("/livez").await.0,
        200,
        "waiting is no reason to be restarted"
    );
    world.connect(world.ns(), "default", json!({})).await;
    world.wait::<CoderInstance>("default", ready).await;
    let name = world.name("platform");
    let spec = json!({ "name": name, "deletionPolicy": "Delete" });
    world.apply::<CoderOrganization>("platform", spec).await;
    world.wait::<CoderOrganization>("platform", ready).await;
    // There are no groups where there is no definition of them.
    world.delete::<CoderOrganization>("platform").await;
    world.gone::<CoderOrganization>("platform").await;
    assert!(world.coder.organization(&name).await.is_none());
    test_ground::install_crds(&admin, &crds::all()).await.unwrap();
    probe(200).await;
    world.finish().await;
}
