//! The order of events.

use std::path::Path;
use std::time::{Duration, Instant};

use coder_operator::crds;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, ResourceExt};
use reqwest::Method;
use serde_json::{Value, json};

use crate::board::{self, Board, Objects};
use crate::coder::{Coder, Held, list};
use crate::manifests::{Manifests, at};
use crate::stage::Stage;
use crate::{Failure, Options};

/// Between two looks at something that cannot be watched.
const LOOK: Duration = Duration::from_millis(100);
/// What is shown of a server that holds more than the example.
const LIMIT: usize = 20;

/// Tells it all; ends after the show or never.
pub(crate) async fn tell(options: &Options) -> Result<(), Failure> {
    let mut manifests = Manifests::read(&options.examples)?;
    let stage = Stage::set(options, manifests.users(), manifests.has_license()).await?;
    let told = show(options, &stage, &mut manifests).await;
    if told.is_err() {
        println!("\nThe operator's log, without routine:\n{}", stage.complaints());
    }
    told?;
    if !options.oneshot {
        what_next(&stage);
        std::future::pending::<()>().await;
    }
    Ok(())
}

async fn show(options: &Options, stage: &Stage, manifests: &mut Manifests) -> Result<(), Failure> {
    let changes_coder = stage.sim.is_some() || options.write;
    manifests.fit(stage, options.write);
    let resources: Vec<ApiResource> = crds::all().iter().map(resource).collect();
    let coder = Coder::new(&stage.coder_url, &stage.coder_token);

    let applied = manifests.apply(stage, &resources).await?;
    let pace = manifests.pace();
    println!(
        "\nApplied {} custom resources from {} ({pace}):",
        applied.len(),
        place(&options.examples)
    );
    let mut board = Board::new(&stage.kube, &resources);
    let settled = |objects: &Objects| {
        let none_there = objects.values().any(|object| board::reason(object) == "NotFound");
        let looked_at = |object: &DynamicObject| match board::reason(object) {
            "NotFound" => board::concluded(object),
            "DependencyNotReady" => none_there,
            _ => false,
        };
        let done = |object: &DynamicObject| board::is_ready(object) || (!changes_coder && looked_at(object));
        objects.len() >= applied.len() && objects.values().all(done)
    };
    let began = Instant::now();
    let (objects, in_time) = board.until(options.deadline(), settled).await?;
    if !in_time
        || !objects
            .values()
            .any(|object| board::kind(object) == "CoderInstance" && board::is_ready(object))
    {
        return Err(format!(
            "not Ready after {} s: {}",
            options.deadline,
            missing(&objects, applied.len())
        )
        .into());
    }
    if !changes_coder {
        println!("\nNothing was written to Coder: every object has mode Observe. WRITE=1 lets the operator work.");
        return coder.print(&organizations(&objects), LIMIT).await;
    }
    println!("All Ready after {:.1} s.", began.elapsed().as_secs_f64());

    let objects = invite(options, stage, &coder, &mut board, objects, &pace).await?;
    coder
        .print(
            &organizations(&objects),
            if stage.sim.is_some() { usize::MAX } else { LIMIT },
        )
        .await?;
    drift(options, stage, &coder, &objects, &pace).await
}

/// Puts those whom groups wait for into the organization, as an administrator would.
async fn invite(
    options: &Options,
    stage: &Stage,
    coder: &Coder,
    board: &mut Board<'_>,
    objects: Objects,
    pace: &str,
) -> Result<Objects, Failure> {
    let waiting: Vec<(String, String)> = objects
        .values()
        .flat_map(|group| {
            board::pending(group).map(|user| (at(&group.data, "/status/organizationId").to_owned(), user.to_owned()))
        })
        .collect();
    // Whom a real organization has as a member is not the demo's to decide.
    if waiting.is_empty() || stage.sim.is_none() {
        return Ok(objects);
    }
    let users = coder.get("/users").await?;
    let users = users.get("users").cloned().unwrap_or_default();
    let mut invited: Vec<(&str, &str)> = Vec::new();
    for (organization, wanted) in &waiting {
        let user = list(&users).find(|user| at(user, "/username") == wanted || at(user, "/email") == wanted);
        let Some(user) = user.map(|user| at(user, "/username")) else {
            continue;
        };
        if !invited.contains(&(organization, user)) {
            coder
                .call(
                    Method::POST,
                    &format!("/organizations/{organization}/members/{user}"),
                    None,
                )
                .await?;
            invited.push((organization, user));
        }
    }
    let names: Vec<&str> = invited.iter().map(|(_, user)| *user).collect();
    println!(
        "\nGroups wait for users who are not in their organization. Somebody invites {}:",
        names.join(", ")
    );
    let began = Instant::now();
    let nobody_waits = |now: &Objects| {
        now.len() == objects.len()
            && now
                .values()
                .all(|object| board::is_ready(object) && board::pending(object).count() == 0)
    };
    let (objects, in_time) = board.until(options.deadline(), nobody_waits).await?;
    if !in_time {
        return Err("groups still wait for members".into());
    }
    println!(
        "Added to their groups after {:.1} s ({pace}).",
        began.elapsed().as_secs_f64()
    );
    Ok(objects)
}

/// Changes a group behind the operator's back, and watches what becomes of it.
async fn drift(options: &Options, stage: &Stage, coder: &Coder, objects: &Objects, pace: &str) -> Result<(), Failure> {
    let managed = |group: &&DynamicObject| {
        board::kind(group) == "CoderGroup"
            && group.data.pointer("/spec/quotaAllowance").is_some()
            && group
                .data
                .pointer("/spec/members")
                .is_some_and(|members| list(members).next().is_some())
    };
    let Some(group) = objects.values().find(managed) else {
        println!("\nThe example has no group with quota and members: no drift is shown.");
        return Ok(());
    };
    let path = format!("/groups/{}", at(&group.data, "/status/id"));
    let declared = Held::of(&coder.get(&path).await?);
    let leaves: Vec<&str> = declared.members.iter().map(|(id, _)| id.as_str()).take(1).collect();
    let mark = notes(stage, group).await?.len();
    let change = json!({ "quota_allowance": declared.quota + 79, "remove_users": leaves });
    // Where nobody is disturbed it is another user, so that the event has somebody to name.
    let culprit = stage
        .sim
        .as_ref()
        .map(|sim| Coder::new(&stage.coder_url, &sim.token_for("mallory", &["owner"])));
    println!(
        "\n{} changes group {} in Coder, behind the operator's back:",
        if culprit.is_some() { "User mallory" } else { "Somebody" },
        declared.name
    );
    println!("  PATCH /api/v2{path}");
    let began = Instant::now();
    let changed = culprit
        .as_ref()
        .unwrap_or(coder)
        .call(Method::PATCH, &path, Some(change))
        .await?;
    let changed = Held::of(&changed);
    println!("  changed      {changed}");
    while Held::of(&coder.get(&path).await?) != declared {
        in_time(options, began, "the change was not set back")?;
        tokio::time::sleep(LOOK).await;
    }
    let took = began.elapsed();
    println!("  set back     {declared}");
    println!("  after        {:.1} s ({pace})", took.as_secs_f64());
    loop {
        let notes = notes(stage, group).await?;
        if let Some(note) = notes.get(mark..).and_then(<[String]>::first) {
            println!("  event        DriftCorrected: {note}");
            return Ok(());
        }
        in_time(options, began, "there is no event about it")?;
        tokio::time::sleep(LOOK).await;
    }
}

/// What events say of corrected drift of an object.
async fn notes(stage: &Stage, object: &DynamicObject) -> Result<Vec<String>, Failure> {
    let api = Api::<Event>::namespaced(stage.kube.clone(), &object.namespace().unwrap_or_default());
    let about = |event: &Event| {
        event.reason.as_deref() == Some("DriftCorrected")
            && event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(&object.name_any())
    };
    let events = api.list(&ListParams::default()).await?.items.into_iter();
    Ok(events.filter(about).filter_map(|event| event.note).collect())
}

fn in_time(options: &Options, began: Instant, otherwise: &str) -> Result<(), Failure> {
    if began.elapsed() > options.deadline() {
        return Err(format!("{otherwise} within {} s", options.deadline).into());
    }
    Ok(())
}

/// The ids of the declared organizations, those of the groups among them.
fn organizations(objects: &Objects) -> Vec<String> {
    let of = |object: &DynamicObject| {
        let field = if board::kind(object) == "CoderOrganization" {
            "/status/id"
        } else {
            "/status/organizationId"
        };
        at(&object.data, field).to_owned()
    };
    objects.values().map(of).filter(|id| !id.is_empty()).collect()
}

/// What keeps an object from being Ready.
fn missing(objects: &Objects, applied: usize) -> String {
    let unready = objects.values().filter(|object| !board::is_ready(object));
    let mut lines: Vec<String> = unready
        .map(|object| {
            let condition = board::ready(object).cloned().unwrap_or(Value::Null);
            format!(
                "{} {} ({}: {})",
                board::kind(object),
                object.name_any(),
                at(&condition, "/reason"),
                at(&condition, "/message")
            )
        })
        .collect();
    if objects.len() < applied {
        lines.push(format!("{} of {applied} objects seen", objects.len()));
    }
    lines.join("; ")
}

/// A path as short as it can be said from here.
fn place(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}

fn what_next(stage: &Stage) {
    let kubeconfig = stage.ground.kubeconfig(test_ground::User::ADMIN);
    let kubeconfig = kubeconfig.map(|path| path.display().to_string()).unwrap_or_default();
    println!("\nEverything stays up until Ctrl-C. In another terminal:");
    println!("  export KUBECONFIG={kubeconfig}");
    println!("  kubectl get coder -A");
    println!("  kubectl get events.events.k8s.io -A");
    println!(
        "  curl -H 'Coder-Session-Token: {}' {}/api/v2/organizations",
        stage.coder_token, stage.coder_url
    );
    println!("  curl {}/metrics", stage.operator_url);
    println!("  less {}", stage.operator_log().display());
}

fn resource(
    definition: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> ApiResource {
    let spec = &definition.spec;
    let version = spec
        .versions
        .first()
        .map(|version| version.name.clone())
        .unwrap_or_default();
    ApiResource {
        api_version: format!("{}/{version}", spec.group),
        group: spec.group.clone(),
        version,
        kind: spec.names.kind.clone(),
        plural: spec.names.plural.clone(),
    }
}
