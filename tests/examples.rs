//! The examples do what they say: each is read from its files and planned against a simulated Coder, by the same rules
//! as in a cluster. What the operator would do stands beside each in `plan.txt`;
//! `CODER_OPERATOR_UPDATE_PLANS=1 cargo test --test examples` writes it anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coder_sim::license::{LicenseSpec, mint};
use coder_sim::{Profile, Sim};
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use coder_operator::api::{CoderGroup, CoderInstance, Mode, Object, ObjectKey, Origin, Reference};
use coder_operator::coder::{Client, Config, CreateGroup, CreateOrganization, CreateProxy, UpdateGroup};
use coder_operator::crds;
use coder_operator::engine::cluster::files::{Document, Files, Offline};
use coder_operator::engine::cluster::wake::Wakes;
use coder_operator::engine::connection::{Connection, Link, Terms};
use coder_operator::engine::pass::adoption::{self, Found};
use coder_operator::engine::remote::Change;
use coder_operator::engine::{Disposition, Error, Life, Reason, Remote, Target, access};
use coder_operator::kinds::{self, Visitor};
use coder_operator::metrics::Metrics;
use coder_operator::mirror::Mirror;

/// An example, read.
struct Example {
    instance: Arc<CoderInstance>,
    offline: Offline,
    /// The objects in the order of the registry, in which they may depend on each other.
    objects: Vec<Box<dyn Planned>>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

fn directory(example: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example)
}

/// The names of the examples; `gitops` is a repository with examples of its own, which `tests/e2e/gitops.rs` applies.
fn examples() -> BTreeSet<String> {
    let entries = fs::read_dir(directory("")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "gitops")
        .collect()
}

/// Reads the files; `license.yaml` alone goes with the quickstart.
fn read(example: &str) -> Example {
    let mut files = Files::default();
    let folders = if example == "license" {
        vec!["quickstart", "license"]
    } else {
        vec![example]
    };
    for folder in folders {
        let entries = fs::read_dir(directory(folder)).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        paths.sort();
        for path in paths {
            let jwt = mint(&LicenseSpec::premium(Timestamp::now()));
            let text = fs::read_to_string(&path)
                .unwrap()
                .replace("license: replace-me", &format!("license: {jwt}"));
            // Nothing relies on the namespace that kubectl happens to be in.
            files.read(&path.display().to_string(), &text, "").unwrap();
        }
    }
    let instances = files.add::<CoderInstance>().unwrap();
    let [instance] = instances.as_slice() else {
        panic!("{example} has {} connections", instances.len())
    };
    let mut adding = Adding {
        files,
        objects: Vec::new(),
    };
    kinds::visit(&mut adding);
    let Adding { files, objects } = adding;
    let namespaces = files.rest().iter().map(namespace).collect();
    Example {
        instance: Arc::clone(instance),
        offline: Offline::new(files),
        objects,
        namespaces,
    }
}

/// A namespace and its labels; anything else has no place in an example.
fn namespace(document: &Document) -> (String, BTreeMap<String, String>) {
    assert_eq!(
        (&*document.api_version, &*document.kind),
        ("v1", "Namespace"),
        "{document}"
    );
    let labels = document.value()["metadata"]
        .get("labels")
        .cloned()
        .unwrap_or_else(|| serde_json::json!({}));
    (document.key.name.clone(), serde_json::from_value(labels).unwrap())
}

struct Adding {
    files: Files,
    objects: Vec<Box<dyn Planned>>,
}

impl Visitor for Adding {
    fn visit<R: Remote>(&mut self) {
        let objects = self.files.add::<R>().unwrap();
        self.objects.extend(
            objects
                .into_iter()
                .map(|object| Box::new(One::<R>(object)) as Box<dyn Planned>),
        );
    }
}

/// An object without its type.
trait Planned: Send + Sync {
    fn reference(&self) -> Reference;
    /// What the operator would do, a line each. It is done, as far as that goes without Kubernetes.
    fn plan<'a>(&'a self, example: &'a Example, to: &'a Arc<Connection>) -> BoxFuture<'a, Result<Vec<String>, Error>>;
}

struct One<R: Remote>(Arc<R>);

impl<R: Remote> Planned for One<R> {
    fn reference(&self) -> Reference {
        Reference {
            kind: R::KIND,
            key: self.0.key(),
        }
    }

    fn plan<'a>(&'a self, example: &'a Example, to: &'a Arc<Connection>) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(planned::<R>(&self.0, example, to))
    }
}

async fn planned<R: Remote>(object: &R, example: &Example, to: &Arc<Connection>) -> Result<Vec<String>, Error> {
    let Connection {
        key: instance,
        terms: Terms { access, defaults, .. },
        ..
    } = &**to;
    let namespace = object.key().namespace;
    assert_eq!(object.instance_key(), *instance);
    let (kind, scope) = (R::KIND, R::SCOPE);
    let labels = example.namespaces.get(&namespace);
    let labels = labels.expect("an example makes its namespaces");
    access::check(
        access.as_ref(),
        access::Request {
            instance,
            namespace: &namespace,
            labels: &|| Ok(Some(labels.clone())),
            kind,
            scope,
        },
    )?;

    let cx = example.offline.cx(to, object);
    let desired = R::resolve(&cx, object).await?;
    for organization in R::organizations(Some(&desired), None) {
        access::check_organization(access.as_ref(), instance, &namespace, organization)?;
    }
    let from_nothing = R::plan(&desired, None);
    let creates = from_nothing.first().is_some_and(Change::creates);
    assert_eq!(creates, R::LIFE == Life::Object, "what comes and goes is created");

    let key = R::natural_key(&desired);
    let named = R::observe(&cx, Some(&desired), Target::Key(&key)).await?;
    let mut lines = Vec::new();
    if object.common().mode == Mode::Observe {
        let differences = R::plan(&desired, Some(&named.expect("what is observed is there")));
        return Ok(differences.iter().map(|change| format!("differs: {change}")).collect());
    }
    let policy = object
        .common()
        .adoption_policy
        .or(defaults.adoption_policy)
        .unwrap_or_default();
    let found = Found {
        owned: None,
        pending: None,
        named,
    };
    let mut observed = match adoption::decide_of::<R>(found, &desired, policy, &key)? {
        adoption::Decision::Create => None,
        adoption::Decision::Take(found, Origin::Created) => Some(found),
        adoption::Decision::Manage(found) | adoption::Decision::Take(found, _) => {
            lines.push("take over what is there".to_owned());
            Some(found)
        }
    };
    let writes_secrets = !R::secrets(object).is_empty();
    loop {
        let changes = R::plan(&desired, observed.as_ref());
        if changes.is_empty() {
            break;
        }
        for change in changes {
            lines.push(change.to_string());
            if writes_secrets {
                // What Coder shows once would have no Secret to go to.
                continue;
            }
            let after = R::apply(&cx, &desired, observed.as_ref(), &change).await?;
            observed = Some(if change.creates() {
                R::complete(&cx, &desired, after).await?
            } else {
                after
            });
            if change.creates() {
                break;
            }
        }
        if writes_secrets {
            return Ok(lines);
        }
    }
    if let Some(observed) = observed {
        let mut status = Default::default();
        let report = R::report(&desired, &observed, &mut status, Timestamp::now());
        lines.extend(
            report
                .notes
                .into_iter()
                .map(|note| format!("{}: {}", note.type_, note.message)),
        );
    }
    Ok(lines)
}

/// The connection of an example, to a simulated Coder.
async fn connect(instance: &CoderInstance, sim: &Sim) -> Arc<Connection> {
    let url: url::Url = sim.url().parse().unwrap();
    let client = Client::new(Config::new(
        url.clone(),
        SecretString::from(sim.owner_token().to_owned()),
    ))
    .unwrap();
    let build = client.build_info().await.unwrap();
    let mirror = Arc::new(Mirror::new(client.clone(), Arc::new(Wakes::default()), Metrics::new()));
    let user = client.me().await.unwrap();
    let deployment = build.deployment_id.unwrap();
    let features = client.entitlements().await.unwrap().features.into_iter();
    let features = features
        .filter(|(_, feature)| feature.enabled)
        .map(|(name, _)| name)
        .collect();
    let metadata = &instance.metadata;
    Arc::new(Connection {
        key: ObjectKey::new(metadata.namespace.clone().unwrap(), metadata.name.clone().unwrap()),
        link: Arc::new(Link::new(
            url,
            deployment,
            client,
            mirror,
            tokio::spawn(async {}).abort_handle(),
        )),
        terms: Terms {
            access: instance.spec.access.clone(),
            defaults: instance.spec.defaults,
            ..Terms::default()
        },
        features,
        user,
        version: build.version,
        access_url: build.dashboard_url,
    })
}

/// A new Coder.
async fn coder(example: &str) -> Sim {
    test_ground::init();
    Sim::builder(Profile::Main)
        .users(["ann", "bob"])
        .licensed(example != "license")
        .start()
        .await
}

/// What Coder held before, for the examples that begin with that.
async fn history(example: &str, coder: &Client) {
    let group = |name: &str| CreateGroup {
        name: name.to_owned(),
        ..CreateGroup::default()
    };
    if example != "adopt" && example != "observe-only" {
        return;
    }
    let organizations = coder.list_organizations().await.unwrap();
    let default = organizations.iter().find(|one| one.is_default).unwrap().id;
    let administrators = coder.create_group(default, &group("administrators")).await.unwrap();
    let members = coder.list_members(default).await.unwrap();
    let bob = members.iter().find(|member| member.username == "bob").unwrap().user_id;
    let add = UpdateGroup {
        add_users: vec![bob],
        ..UpdateGroup::default()
    };
    coder.update_group(administrators.id, &add).await.unwrap();
    if example == "adopt" {
        let research = CreateOrganization {
            name: "research".to_owned(),
            ..CreateOrganization::default()
        };
        let research = coder.create_organization(&research).await.unwrap();
        coder.create_group(research.id, &group("scientists")).await.unwrap();
        let (name, display_name) = ("sydney".to_owned(), "sydney".to_owned());
        let proxy = CreateProxy {
            name,
            display_name,
            icon: "/emojis/1f1e6-1f1fa.png".to_owned(),
        };
        coder.create_proxy(&proxy).await.unwrap();
    }
}

async fn plan(name: &str) -> String {
    let (example, sim) = (read(name), coder(name).await);
    let connection = connect(&example.instance, &sim).await;
    history(name, connection.client()).await;
    if name == "template-access" {
        sim.create_template("default", "web");
    }
    let mut text = format!("# What the operator does about examples/{name}.\n");
    for object in &example.objects {
        let reference = object.reference();
        let lines = object.plan(&example, &connection).await;
        let lines = lines.unwrap_or_else(|error| panic!("{name}: {reference}: {}: {error}", error.reason()));
        writeln!(text, "\n{reference}").unwrap();
        for line in lines {
            writeln!(text, "  {line}").unwrap();
        }
    }
    text
}

#[tokio::test]
async fn each_example_does_what_its_plan_says() {
    for name in examples() {
        let (path, now) = (directory(&name).join("plan.txt"), plan(&name).await);
        if std::env::var_os("CODER_OPERATOR_UPDATE_PLANS").is_some() {
            fs::write(&path, &now).unwrap();
        }
        let held = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            held == now,
            "{} is not what the operator does:\n{now}\nIf that is meant: CODER_OPERATOR_UPDATE_PLANS=1 cargo test --test examples",
            path.display()
        );
    }
}

#[test]
fn there_is_an_example_of_every_kind() {
    let shown: BTreeSet<String> = examples()
        .iter()
        .flat_map(|name| {
            read(name)
                .objects
                .iter()
                .map(|object| object.reference().kind.to_owned())
                .collect::<Vec<_>>()
        })
        .chain(["CoderInstance".to_owned()])
        .collect();
    let all: BTreeSet<String> = crds::all()
        .into_iter()
        .map(|definition| definition.spec.names.kind)
        .collect();
    assert_eq!(shown, all);
}

/// What is planned for a group before its organization is there: to wait for it.
#[tokio::test]
async fn a_group_of_files_comes_after_its_organization() {
    let (example, sim) = (read("quickstart"), coder("quickstart").await);
    let connection = connect(&example.instance, &sim).await;
    let group = example
        .objects
        .iter()
        .find(|object| object.reference().kind == CoderGroup::KIND)
        .unwrap();
    let waiting = group.plan(&example, &connection).await.unwrap_err();
    assert_eq!(waiting.disposition(), Disposition::Waiting);
    assert_eq!(waiting.reason(), Reason::DependencyNotReady);
    assert_eq!(
        waiting.to_string(),
        "CoderOrganization coder/platform is not in Coder yet"
    );
    assert!(sim.journal().writes().is_empty());
}
