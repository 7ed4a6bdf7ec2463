//! Probes: a missing definition is named and waited for.

use test_ground::{ControlPlane, Options};

use coder_operator::crds;

use crate::support::{Operator, Settings, prepare};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_definition_is_named_and_waited_for() {
    test_ground::init();
    // A cluster of its own: the definitions of the shared one are there.
    let ground = ControlPlane::start(Options::default()).await.unwrap();
    let admin = ground.admin().unwrap();
    prepare(&ground).await;
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
        election: None,
        user: "coder-operator",
    };
    let operator = Operator::start(&ground, &settings).await;
    let probe = async |wanted: u16| {
        let waited = tokio::time::timeout(crate::support::PATIENCE, async {
            loop {
                let (status, text) = operator.http("/readyz").await;
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
        operator.http("/livez").await.0,
        200,
        "waiting is no reason to be restarted"
    );
    test_ground::install_crds(&admin, &crds::all()).await.unwrap();
    probe(200).await;
    drop(operator);
    ground.stop().await;
}
