//! The client and the mirror with as much as there may be.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use coder_operator::api::{ObjectKey, Reference};
use coder_operator::coder::{Class, Client, Config, Error, OrganizationId, UpdateGroup, UserId};
use coder_operator::lists::{Groups, Members};
use coder_operator::mirror::{Freshness, Mirror, Observer, Waker};
use coder_sim::{Profile, Sim};
use secrecy::SecretString;
use tokio::time::Instant;

struct Nobody;

impl Waker for Nobody {
    fn wake(&self, _: &Reference) {}
}

impl Observer for Nobody {
    fn fetched(&self, _: &'static str, _: Result<Duration, Class>) {}
}

fn client(sim: &Sim, patience: Duration) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::new(sim.url().parse().unwrap(), SecretString::from(sim.owner_token()));
    config.call_timeout = patience;
    Client::new(config).unwrap()
}

fn mirror(client: &Client) -> Mirror {
    Mirror::new(client.clone(), Arc::new(Nobody), Arc::new(Nobody))
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_members_are_listed_and_looked_up_by_name() {
    let sim = Sim::builder(Profile::Main).start().await;
    let users = sim.seed_users("u", 20_000);
    sim.seed_members("coder", &users);
    let client = client(&sim, Duration::from_secs(30));
    let organization = client.list_organizations().await.unwrap()[0].id;
    let mirror = mirror(&client);
    let members = mirror
        .snapshot(&Members(organization), Freshness::Since(Instant::now()))
        .await
        .unwrap();
    assert!(members.len() >= 20_000);
    let names: Vec<String> = members.iter().map(|member| member.username.to_uppercase()).collect();
    let began = Clock::now();
    for name in &names {
        assert_eq!(members.named(name).count(), 1, "{name}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_groups_are_listed_although_it_takes_longer_than_any_call_may() {
    let sim = Sim::builder(Profile::Main).start().await;
    let users = sim.seed_users("u", 100);
    sim.seed_members("coder", &users);
    sim.seed_groups("coder", "g", 10_000, &users, 2);
    sim.set_time_per_listed_group(Duration::from_micros(300));
    let client = client(&sim, Duration::from_secs(1));
    let organization = client.list_organizations().await.unwrap()[0].id;
    let mirror = mirror(&client);
    let mut tries = 0;
    let groups = loop {
        tries += 1;
        match mirror
            .snapshot(&Groups(organization), Freshness::Since(Instant::now()))
            .await
        {
            Ok(groups) => break groups,
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                tokio::time::sleep(error.retry_after().unwrap_or_default()).await;
            }
        }
    };
    assert!(groups.len() > 10_000);
    assert!((2..8).contains(&tries), "{tries} tries");
    // The next one knows.
    mirror
        .snapshot(&Groups(organization), Freshness::Since(Instant::now()))
        .await
        .unwrap();

    // Whoever holds a snapshot does not make own writes dear.
    let by = Reference {
        kind: "K",
        key: ObjectKey::new("ns", "a"),
    };
    let began = Clock::now();
    for group in groups.iter() {
        let mut changed = group.clone();
        changed.quota_allowance += 1;
        let held = mirror.peek(&Groups(organization));
        mirror.put(&Groups(organization), changed, &by);
        drop(held);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_members_are_changed_in_slices() {
    let sim = Sim::builder(Profile::Main).start().await;
    let users = sim.seed_users("u", 5000);
    sim.seed_members("coder", &users);
    sim.create_group("coder", "all");
    let client = client(&sim, Duration::from_secs(30));
    let organization: OrganizationId = client.list_organizations().await.unwrap()[0].id;
    let groups = client.list_groups(organization).await.unwrap();
    let group = groups.iter().find(|group| group.name == "all").unwrap().id;
    let users: Vec<UserId> = users.into_iter().map(UserId).collect();
    let mut members = 0;
    for slice in users.chunks(500) {
        let add = UpdateGroup {
            add_users: slice.to_vec(),
            ..UpdateGroup::default()
        };
        let group = client.update_group(group, &add).await.unwrap();
        members += slice.len();
        assert_eq!(group.members.len(), members);
    }
    let gone: Result<_, Error> = client.get_group(group).await;
    assert_eq!(gone.unwrap().unwrap().members.len(), 5000);
}

#[tokio::test]
async fn a_token_tells_its_own_end() {
    let sim = Sim::builder(Profile::Main).start().await;
    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(48);
    let client = client(&sim, Duration::from_secs(30));
    sim.token_expires(sim.owner_token(), ends);
    let key = client.own_key().await.unwrap().unwrap();
    assert_eq!(key.expires_at.as_second(), ends.as_second());
    assert!(sim.owner_token().starts_with(&key.id));
}
