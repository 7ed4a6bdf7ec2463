//! An answer of Coder that comes when another process leads already.

use coder_sim::{Fault, Method};

use coder_operator::api::CoderWorkspaceProxy;

use super::{SECRET, TOKEN, paris};
use crate::leader::{leads, replicas};
use crate::support::{Operator, ready, simulated_only};

const ONE: &str = "/api/v2/workspaceproxies/{workspaceproxy}";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_replaced_leader_is_told_of_late_goes_nowhere() {
    simulated_only!("needs faults");
    let (world, settings) = replicas("proxy-late-answer").await;
    let sim = world.coder.sim();
    let first = Operator::start(world.ground, &settings).await;
    world.until("the first one leads", async || leads(&first)).await;
    world.apply::<CoderWorkspaceProxy>("paris", paris("paris")).await;
    world.wait("paris", ready::<CoderWorkspaceProxy>).await;
    let before = world.secret(SECRET, TOKEN).await.unwrap();
    let second = Operator::start(world.ground, &settings).await;
    world
        .until("the standby is ready", async || second.http("/readyz").await.0 == 200)
        .await;

    let gate = sim.faults().pause_after_effect(Fault::on(Method::PATCH, ONE).times(1));
    world
        .annotate::<CoderWorkspaceProxy>("paris", "coder-operator.dev/rotate", "1")
        .await;
    gate.arrived().await;
    assert!(!sim.proxy_token_valid(&before), "the first one's token is made");
    first.signal("STOP");
    let handled =
        |object: &CoderWorkspaceProxy| object.status.as_ref().unwrap().last_handled_rotate.as_deref() == Some("1");
    world.wait("paris", handled).await;
    let token = world.secret(SECRET, TOKEN).await.unwrap();
    assert!(sim.proxy_token_valid(&token), "the second one made another");

    gate.open();
    let said = first.log().len();
    first.signal("CONT");
    world
        .until(
            "the first one learned that it leads no more, which ends its passes",
            async || first.log().get(said..).unwrap_or_default().contains("standing by"),
        )
        .await;
    assert_eq!(world.secret(SECRET, TOKEN).await, Some(token));
    drop((first, second));
    world.leave();
}
