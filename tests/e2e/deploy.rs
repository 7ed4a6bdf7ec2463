//! The manifests in `deploy/`, as a user installs them.

use std::path::Path;
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::Value;
use test_ground::{ControlPlane, Options};

const ACCOUNT: &str = "system:serviceaccount:coder-operator:coder-operator";

/// They name cluster-wide objects that the other tests have for themselves, hence a cluster of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_install_an_operator_with_its_permissions() {
    let ground = ControlPlane::start(Options::default()).await.unwrap();
    apply(&ground).await;
    apply(&ground).await;

    let client = ground.admin().unwrap();
    for (verb, group, resource, subresource, namespace, allowed) in [
        ("watch", "coder-operator.dev", "codergroups", "", "anywhere", true),
        (
            "patch",
            "coder-operator.dev",
            "coderinstances",
            "status",
            "anywhere",
            true,
        ),
        ("get", "", "secrets", "", "anywhere", true),
        ("update", "coordination.k8s.io", "leases", "", "coder-operator", true),
        ("update", "coordination.k8s.io", "leases", "", "anywhere", false),
        // Where Kubernetes asks for it of who changes an owner reference; the operator deletes none.
        ("delete", "", "secrets", "", "anywhere", true),
        ("deletecollection", "", "secrets", "", "anywhere", false),
        ("create", "coder-operator.dev", "codergroups", "", "anywhere", false),
        ("delete", "coder-operator.dev", "codergroups", "", "anywhere", false),
        ("create", "", "pods", "", "coder-operator", false),
    ] {
        let text = |text: &str| Some(text.to_owned());
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: text(ACCOUNT),
                resource_attributes: Some(ResourceAttributes {
                    verb: text(verb),
                    group: text(group),
                    resource: text(resource),
                    subresource: text(subresource),
                    namespace: text(namespace),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = Api::all(client.clone())
            .create(&PostParams::default(), &review)
            .await
            .unwrap();
        let held = answer.status.unwrap().allowed;
        assert_eq!(held, allowed, "{verb} {resource}/{subresource} in {namespace}");
    }

    let deployment = Api::<Deployment>::namespaced(client, "coder-operator")
        .get("coder-operator")
        .await
        .unwrap();
    assert_eq!(
        deployment.metadata.generation,
        Some(1),
        "applied again, nothing changes"
    );
    is_hardened(&deployment);
    starts_the_binary(&deployment);
}

/// What the pod security standard "restricted" asks for, and a read-only root.
fn is_hardened(deployment: &Deployment) {
    let pod = deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let whole = pod.security_context.as_ref().unwrap();
    assert_eq!(whole.run_as_non_root, Some(true));
    assert_eq!(
        (whole.run_as_user, whole.run_as_group),
        (None, None),
        "OpenShift's restricted SCC refuses a fixed user"
    );
    assert_eq!(whole.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault");
    for container in &pod.containers {
        let own = container.security_context.as_ref().unwrap();
        assert_eq!(own.allow_privilege_escalation, Some(false));
        assert_eq!(own.read_only_root_filesystem, Some(true));
        let dropped = own
            .capabilities
            .as_ref()
            .and_then(|capabilities| capabilities.drop.as_deref());
        assert_eq!(dropped, Some(&["ALL".to_owned()][..]));
        assert!(
            container
                .resources
                .as_ref()
                .unwrap()
                .limits
                .as_ref()
                .unwrap()
                .contains_key("memory")
        );
    }
}

/// The image is of this version, and the process knows the arguments and variables it is given.
fn starts_the_binary(deployment: &Deployment) {
    let pod = deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let container = &pod.containers[0];
    let tag = container.image.as_ref().unwrap().rsplit(':').next().unwrap();
    assert_eq!(tag, format!("v{}", env!("CARGO_PKG_VERSION")));
    let arguments = container.args.as_ref().unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_coder-operator"))
        .args(arguments)
        .arg("--help")
        .output()
        .expect("the binary runs");
    assert!(help.status.success(), "{arguments:?}");
    let help = String::from_utf8(help.stdout).unwrap();
    for variable in container.env.iter().flatten() {
        assert!(
            help.contains(&format!("[env: {}=", variable.name)),
            "{} is no variable of {arguments:?}",
            variable.name
        );
    }
}

/// Applies everything as a user does.
#[allow(clippy::print_stderr)] // how a test says what it could not try
async fn apply(ground: &ControlPlane) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let kubeconfig = ground.kubeconfig("admin").unwrap();
    let kubectl = Command::new("kubectl")
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .args(["apply", "-k"])
        .arg(&directory)
        .output();
    match kubectl {
        Ok(output) => {
            let (out, err) = (
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            );
            assert!(output.status.success(), "{out}{err}");
            assert_eq!(err, "", "kubectl warns");
        }
        Err(error) => {
            eprintln!("no kubectl ({error}): the files are applied one by one, and kustomize is not tried");
            one_by_one(ground, &directory).await;
        }
    }
}

/// The same without kubectl.
async fn one_by_one(ground: &ControlPlane, directory: &Path) {
    let client = ground.admin().unwrap();
    for document in documents(directory) {
        let object: DynamicObject = serde_json::from_value(document.clone()).unwrap();
        let kind = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
        let resource = ApiResource::from_gvk(&kind);
        let name = object.metadata.name.unwrap();
        let api: Api<DynamicObject> = match object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let applied = api
            .patch(&name, &PatchParams::apply("test"), &Patch::Apply(document))
            .await;
        applied.unwrap_or_else(|error| panic!("{} {name}: {error}", kind.kind));
    }
}

/// What a kustomization consists of.
fn documents(directory: &Path) -> Vec<Value> {
    let read =
        |path: &Path| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let kustomization: Value = serde_yaml::from_str(&read(&directory.join("kustomization.yaml"))).unwrap();
    let mut documents = Vec::new();
    for resource in kustomization["resources"].as_array().unwrap() {
        let path = directory.join(resource.as_str().unwrap());
        if path.is_dir() {
            documents.extend(self::documents(&path));
        } else {
            let text = read(&path);
            let parsed = serde_yaml::Deserializer::from_str(&text);
            documents.extend(parsed.map(|document| serde::Deserialize::deserialize(document).unwrap()));
        }
    }
    documents
}
