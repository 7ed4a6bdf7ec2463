//! What is in the log and changed nothing wakes nobody; what changed something although the log says that it failed is
//! looked at.

use coder_sim::{Fault, Method, Profile};
use reqwest::StatusCode;
use serde_json::json;

use super::{GROUP, change, entries_and_wakes, fed, group, others, quiet, quota_is_set_back};
use crate::support::simulated_only;

#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_and_writes_of_the_same_make_the_operator_read_nothing() {
    simulated_only!("reads the journal");
    for profile in [Profile::Main, Profile::V2_16_1] {
        let world = fed("feed-same", profile, "1s").await;
        let sim = world.coder.sim();
        let bob = sim.token_for("bob", &["owner"]);
        let carl = sim.token_for("carl", &["auditor"]);
        group(&world, "backend").await;
        group(&world, "frontend").await;
        quiet(&world).await;
        let (mark, rows) = (sim.journal().mark(), sim.audit_log().rows());
        let before = entries_and_wakes(&world).await;

        change(&world, &bob, "backend", json!({ "quota_allowance": 20 })).await;
        let path = format!("/groups/{}", sim.group("coder", "backend").unwrap().id);
        for (token, body) in [
            (&bob, json!({ "name": "frontend" })),
            (&carl, json!({ "quota_allowance": 99 })),
        ] {
            let (status, answer) = world.coder.call_as(token, Method::PATCH, &path, Some(body)).await;
            assert!(status >= StatusCode::BAD_REQUEST, "{status} {answer}");
        }
        let written = sim.audit_log().rows() - rows;
        assert_eq!(written, 3, "refused calls are entries as well");
        let all = before.0 + f64::from(u32::try_from(written).unwrap());
        world
            .until("the entries are read", async || {
                entries_and_wakes(&world).await.0 >= all
            })
            .await;
        super::polls(&world, 2).await;
        assert_eq!(others(&world, mark), [""; 0], "nothing but polls");
        assert_eq!(entries_and_wakes(&world).await, (all, before.1), "nobody is woken");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_answered_as_a_failure_is_corrected() {
    simulated_only!("needs faults");
    let world = fed("feed-500", Profile::V2_16_1, "1s").await;
    let sim = world.coder.sim();
    let bob = sim.token_for("bob", &["owner"]);
    group(&world, "backend").await;
    quiet(&world).await;
    let unreadable = json!({ "message": "Internal error fetching group." });
    sim.faults().add(
        Fault::on(Method::PATCH, GROUP)
            .times(1)
            .done_but_answered(500, unreadable),
    );
    let path = format!("/groups/{}", sim.group("coder", "backend").unwrap().id);
    let body = json!({ "quota_allowance": 99 });
    let (status, _) = world.coder.call_as(&bob, Method::PATCH, &path, Some(body)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(sim.group("coder", "backend").unwrap().quota_allowance, 99);
    quota_is_set_back(&world, "backend").await;
    world.finish().await;
}
