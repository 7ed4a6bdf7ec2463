//! What holds for every kind alike, tried with each of the kinds that say here what they are.

mod subjects;

use std::fmt::Debug;

use std::time::Duration;

use coder_sim::{Entry, Fault, Method, Profile};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde::Serialize;
use serde_json::{Value, json};

use coder_operator::api::{CoderInstance, Kind, Object, ObjectStatus, Origin};
use coder_operator::engine::Remote;
use coder_operator::kinds;

use crate::support::{AnyObject, Coder, World, cluster, message, ready, simulated_only, stalled};

/// What the guarantees need to know of a kind.
pub(crate) trait Subject {
    /// The kind.
    type Kind: Kind + AnyObject + Serialize + Debug;
    /// A word for namespaces.
    const WORD: &'static str;
    /// Whether it is always there, so that nobody can delete it.
    const STANDS: bool;
    /// Whether it can be used from a granted namespace although nobody names it.
    const IS_GRANTED_BY_ITSELF: bool = false;

    /// The spec.
    fn spec() -> Value;
    /// The spec of another that wants the same.
    fn rival() -> Value {
        Self::spec()
    }
    /// Makes what it needs.
    async fn prepare(_world: &World) {}
    /// What Coder holds of it.
    async fn held(world: &World) -> Value;
    /// Changes what the spec manages, as somebody else.
    async fn tamper(world: &World);
    /// Deletes it, as somebody else.
    async fn take_away(_world: &World) {}
    /// What Coder holds when the object is gone that made it.
    fn left(before: Value, _declared: Value) -> Value {
        before
    }
}

async fn world<S: Subject>(what: &str) -> World {
    let coder = Coder::simulated(Profile::Main).await;
    let world = World::looking_often(&format!("{}-{what}", S::WORD), coder).await;
    S::prepare(&world).await;
    world
}

fn with(mut spec: Value, more: &Value) -> Value {
    let more = more.as_object().expect("fields").clone();
    spec.as_object_mut().expect("a spec").extend(more);
    spec
}

fn origin(object: &impl Kind) -> Option<Origin> {
    object.status().and_then(|status| status.common().origin)
}

async fn is<S: Subject>(world: &World, wanted: &Value) {
    let what = format!("{} in Coder is {wanted}", S::WORD);
    world.until(&what, async || S::held(world).await == *wanted).await;
}

/// Made, kept as declared whatever others do, left alone while only observed, and taken back in the end.
pub(crate) async fn is_kept_as_declared<S: Subject>() {
    let world = world::<S>("kept").await;
    let before = S::held(&world).await;
    world.apply::<S::Kind>("it", S::spec()).await;
    let object = world.wait("it", ready::<S::Kind>).await;
    assert_eq!(origin(&object), Some(Origin::Created));
    let declared = S::held(&world).await;
    assert_ne!(declared, before);

    S::tamper(&world).await;
    world.event("it", "DriftCorrected", "").await;
    is::<S>(&world, &declared).await;
    if !S::STANDS {
        S::take_away(&world).await;
        is::<S>(&world, &declared).await;
        world.wait("it", ready::<S::Kind>).await;
    }

    world.patch::<S::Kind>("it", json!({ "mode": "Observe" })).await;
    world.wait("it", ready::<S::Kind>).await;
    S::tamper(&world).await;
    let tampered = S::held(&world).await;
    let mark = world.coder.sim().journal().mark();
    let differs = |object: &S::Kind| !message(object, "DriftDetected").is_empty();
    world.wait("it", differs).await;
    world.coder.looks(2).await;
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    assert_eq!(S::held(&world).await, tampered);
    world.patch::<S::Kind>("it", json!({ "mode": "Manage" })).await;
    is::<S>(&world, &declared).await;

    world.delete::<S::Kind>("it").await;
    world.gone::<S::Kind>("it").await;
    assert_eq!(S::held(&world).await, S::left(before, declared));
    world.finish().await;
}

/// What is there already is taken over only when told, without a write; what is orphaned stays; one holds it.
pub(crate) async fn is_taken_over_only_when_told<S: Subject>() {
    let world = world::<S>("adopted").await;
    world
        .apply::<S::Kind>("it", with(S::spec(), &json!({ "deletionPolicy": "Orphan" })))
        .await;
    world.wait("it", ready::<S::Kind>).await;
    let declared = S::held(&world).await;
    let mark = world.coder.sim().journal().mark();
    world.delete::<S::Kind>("it").await;
    world.gone::<S::Kind>("it").await;

    world.apply::<S::Kind>("it", S::spec()).await;
    world.wait("it", stalled::<S::Kind>("AlreadyExists")).await;
    world
        .patch::<S::Kind>("it", json!({ "adoptionPolicy": "IfExists" }))
        .await;
    let adopted = world.wait("it", ready::<S::Kind>).await;
    assert_eq!(origin(&adopted), Some(Origin::Adopted));
    world
        .apply::<S::Kind>("another", with(S::rival(), &json!({ "adoptionPolicy": "IfExists" })))
        .await;
    let refused = world.wait("another", stalled::<S::Kind>("Conflict")).await;
    assert!(
        message(&refused, "Stalled").contains("it"),
        "{}",
        message(&refused, "Stalled")
    );
    world.delete::<S::Kind>("another").await;
    world.gone::<S::Kind>("another").await;

    restore::<S>(&world).await;
    let restored = world.wait("it", ready::<S::Kind>).await;
    assert_eq!(origin(&restored), Some(Origin::Adopted));
    world.delete::<S::Kind>("it").await;
    world.gone::<S::Kind>("it").await;
    assert_eq!(S::held(&world).await, declared, "what was taken over is left");
    assert_eq!(world.coder.writes_since(mark), [""; 0]);
    world.finish().await;
}

/// Takes the object away without letting the operator clean up, and creates it anew from its spec.
async fn restore<S: Subject>(world: &World) {
    let api = world.api::<S::Kind>();
    let spec = serde_json::to_value(api.get("it").await.unwrap()).unwrap()["spec"].clone();
    let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("it", &PatchParams::default(), &release).await.unwrap();
    api.delete("it", &DeleteParams::default()).await.unwrap();
    world.gone::<S::Kind>("it").await;
    world.apply::<S::Kind>("it", spec).await;
}

/// From another namespace it can be used only where the instance names the kind.
pub(crate) async fn is_granted_by_name_only<S: Subject>() {
    let team = cluster().await.namespace(&format!("{}-team", S::WORD)).await.unwrap();
    let access = json!({ "namespaces": { "names": [team.name()] } });
    let coder = Coder::simulated(Profile::Main).await;
    let test = format!("{}-access", S::WORD);
    let world = World::beside(&test, coder, json!({ "access": access }), &[&team]).await;
    S::prepare(&world).await;
    let mark = world.coder.sim().journal().mark();
    let spec = with(
        S::spec(),
        &json!({ "instanceRef": { "name": "default", "namespace": world.ns() } }),
    );
    world.apply_in::<S::Kind>(team.name(), "it", spec).await;
    let kind = <S::Kind as Object>::KIND;
    if !S::IS_GRANTED_BY_ITSELF {
        let denied = stalled::<S::Kind>("AccessDenied");
        let refused = world.wait_in(team.name(), "it", denied).await;
        let said = message(&refused, "Stalled");
        let reason = format!("spec.access.kinds does not include {kind}");
        assert!(said.contains(&reason), "{said}");
        assert_eq!(world.coder.writes_since(mark), [""; 0]);
    }
    let granted = json!({ "access": { "namespaces": { "names": [team.name()] }, "kinds": [kind] } });
    world.patch::<CoderInstance>("default", granted).await;
    world.wait_in(team.name(), "it", ready::<S::Kind>).await;
    world.delete_in::<S::Kind>(team.name(), "it").await;
    world.gone_in::<S::Kind>(team.name(), "it").await;
    team.finish().await.unwrap();
    world.finish().await;
}

/// A creation whose answer is lost, or that dies with the process, leaves one object, which is ours.
pub(crate) async fn is_made_once_whatever_is_lost<S: Subject>(template: &str) {
    let mut world = world::<S>("cut").await;
    let before = S::held(&world).await;
    let posts = |world: &World| {
        let made = |call: &Entry| call.template == template && call.method == Method::POST && call.effect.is_write();
        world.coder.sim().journal().matching(made).len()
    };
    let earlier = posts(&world);
    let cut = Fault::on(Method::POST, template).times(1).cut_after();
    world.coder.sim().faults().add(cut);
    world.apply::<S::Kind>("it", S::spec()).await;
    let object = world.wait("it", ready::<S::Kind>).await;
    assert_eq!(origin(&object), Some(Origin::Created));
    assert_eq!(posts(&world), earlier + 1);
    world.delete::<S::Kind>("it").await;
    world.gone::<S::Kind>("it").await;
    assert_eq!(S::held(&world).await, before);

    let late = Fault::on(Method::POST, template)
        .times(1)
        .answer_after(Duration::from_mins(10));
    world.coder.sim().faults().add(late);
    world.apply::<S::Kind>("it", S::spec()).await;
    let made = |call: &Entry| call.template == template && call.method == Method::POST;
    let until = || world.coder.sim().journal().matching(made).len() > earlier + 1;
    world.until("the call that creates has arrived", async || until()).await;
    world.kill_operator().await;
    world.restart_operator().await;
    let object = world.wait("it", ready::<S::Kind>).await;
    assert_eq!(origin(&object), Some(Origin::Created));
    assert_eq!(posts(&world), earlier + 2);
    world.finish().await;
}

/// The guarantees as tests of a subject.
macro_rules! hold_for {
    ($($module:ident: $subject:ty),+ $(,)?) => {
        $(mod $module {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn is_kept_as_declared() {
                simulated_only!("names of its own, and the journal");
                super::is_kept_as_declared::<$subject>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn is_taken_over_only_when_told() {
                simulated_only!("names of its own, and the journal");
                super::is_taken_over_only_when_told::<$subject>().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn is_granted_by_name_only() {
                simulated_only!("names of its own, and the journal");
                super::is_granted_by_name_only::<$subject>().await;
            }
        })+

        #[test]
        fn every_kind_is_a_subject() {
            struct Names(Vec<&'static str>);
            impl kinds::Visitor for Names {
                fn visit<R: Remote>(&mut self) {
                    self.0.push(R::KIND);
                }
            }
            let mut subjects = vec![$(<<$subject as Subject>::Kind as Object>::KIND),+];
            // Of licences there can be two, and nobody can change one: `license` tries what that leaves of the guarantees.
            subjects.push("CoderLicense");
            let mut names = Names(Vec::new());
            kinds::visit(&mut names);
            names.0.sort_unstable();
            subjects.sort_unstable();
            assert_eq!(subjects, names.0);
        }
    };
}

hold_for! {
    organization: subjects::Organization,
    group: subjects::Group,
    workspace_proxy: subjects::WorkspaceProxy,
    custom_role: subjects::CustomRole,
    organization_member: subjects::OrganizationMember,
    group_sync: subjects::GroupSync,
    role_sync: subjects::RoleSync,
    organization_sync: subjects::OrganizationSync,
    template_access: subjects::TemplateAccess,
    provisioner_key: subjects::ProvisionerKey,
    deployment_settings: subjects::DeploymentSettings,
    oauth2_app: subjects::OAuth2App,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_role_is_made_once_whatever_is_lost() {
    simulated_only!("needs faults");
    let template = "/api/v2/organizations/{organization}/members/roles";
    is_made_once_whatever_is_lost::<subjects::CustomRole>(template).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_made_once_whatever_is_lost() {
    simulated_only!("needs faults");
    let template = "/api/v2/organizations/{organization}/members/{user}";
    is_made_once_whatever_is_lost::<subjects::OrganizationMember>(template).await;
}
