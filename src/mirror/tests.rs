use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::*;
use crate::api::ObjectKey;
use crate::coder::{Config, Error};

/// A list that the test holds, and that answers only when the test lets it.
#[derive(Clone, Debug)]
struct Numbers(Arc<Source>);

#[derive(Debug)]
struct Source {
    items: Mutex<Vec<(u32, u32)>>,
    calls: AtomicUsize,
    permits: Semaphore,
    broken: Mutex<bool>,
}

impl Numbers {
    fn new(items: &[(u32, u32)]) -> Self {
        Self(Arc::new(Source {
            items: Mutex::new(items.to_vec()),
            calls: AtomicUsize::new(0),
            permits: Semaphore::new(0),
            broken: Mutex::new(false),
        }))
    }

    fn answer(&self, times: usize) {
        self.0.permits.add_permits(times);
    }

    fn set(&self, items: &[(u32, u32)]) {
        *self.0.items.lock().unwrap() = items.to_vec();
    }

    fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }
}

impl Collection for Numbers {
    type Item = (u32, u32);
    const NAME: &'static str = "numbers";
    const LOG: Log<Self> = Log::Complete(|_, _, _| Concerned::NOTHING);

    fn key((key, _): &(u32, u32)) -> String {
        key.to_string()
    }

    fn one(&self, _: &Client, key: &str) -> Option<impl Future<Output = Result<Option<(u32, u32)>, Error>> + Send> {
        let found = self
            .0
            .items
            .lock()
            .unwrap()
            .iter()
            .find(|(id, _)| id.to_string() == key)
            .copied();
        Some(std::future::ready(Ok(found)))
    }

    async fn list(&self, client: &Client) -> Result<Vec<(u32, u32)>, Error> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let items = self.0.items.lock().unwrap().clone();
        self.0.permits.acquire().await.unwrap().forget();
        if *self.0.broken.lock().unwrap() {
            // Nothing listens there.
            client.build_info().await?;
        }
        Ok(items)
    }
}

#[derive(Default)]
struct Woken(Mutex<Vec<String>>);

impl Waker for Woken {
    fn wake(&self, who: &Reference) {
        self.0.lock().unwrap().push(who.key.name.clone());
    }
}

struct NoObserver;

impl Observer for NoObserver {
    fn fetched(&self, _: &'static str, _: Result<Duration, coder::Class>) {}
}

fn mirror() -> (Arc<Mirror>, Arc<Woken>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::new("http://127.0.0.1:1".parse().unwrap(), SecretString::from("token"));
    let woken = Arc::new(Woken::default());
    let mirror = Mirror::new(Client::new(config).unwrap(), woken.clone(), Arc::new(NoObserver));
    (Arc::new(mirror), woken)
}

fn who(name: &str) -> Reference {
    Reference {
        kind: "K",
        key: ObjectKey::new("ns", name),
    }
}

fn since(moment: Instant) -> Freshness {
    Freshness::Since(moment)
}

/// Until the list has been asked that often.
async fn asked(numbers: &Numbers, times: usize) {
    while numbers.calls() < times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn those_who_asked_before_the_fetch_began_share_it() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    let now = Instant::now();
    let ask = || {
        let (mirror, numbers) = (mirror.clone(), numbers.clone());
        tokio::spawn(async move { mirror.snapshot(&numbers, since(now)).await.unwrap().get("1").copied() })
    };
    let asking: Vec<_> = (0..10).map(|_| ask()).collect();
    asked(&numbers, 1).await;
    numbers.answer(10);
    for answer in asking {
        assert_eq!(answer.await.unwrap(), Some((1, 1)));
    }
    assert_eq!(numbers.calls(), 1);
}

#[tokio::test]
async fn who_needs_something_newer_gets_it() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    numbers.answer(9);
    mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    numbers.set(&[(1, 2)]);
    let newer = mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    assert_eq!(newer.get("1"), Some(&(1, 2)));
    assert_eq!(
        mirror.snapshot(&numbers, since(newer.began())).await.unwrap().began(),
        newer.began()
    );
    mirror.invalidate(&numbers);
    mirror.snapshot(&numbers, since(newer.began())).await.unwrap();
    assert_eq!(numbers.calls(), 3);
}

#[tokio::test]
async fn an_own_write_during_a_fetch_is_not_lost() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1), (2, 2)]);
    numbers.answer(1);
    mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    let fetching = {
        let (mirror, numbers) = (mirror.clone(), numbers.clone());
        tokio::spawn(async move { mirror.snapshot(&numbers, since(Instant::now())).await.unwrap() })
    };
    asked(&numbers, 2).await;
    // The list was read before these, and arrives after them.
    mirror.put(&numbers, (3, 3), &who("author"));
    mirror.remove(&numbers, "1", &who("author"));
    numbers.answer(1);
    let snapshot = fetching.await.unwrap();
    let keys: Vec<u32> = snapshot.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [2, 3]);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_waited_and_by_nobody_after() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[]);
    *numbers.0.broken.lock().unwrap() = true;
    let now = Instant::now();
    let ask = || {
        let (mirror, numbers) = (mirror.clone(), numbers.clone());
        tokio::spawn(async move { mirror.snapshot(&numbers, since(now)).await.map(|_| ()) })
    };
    let asking: Vec<_> = (0..5).map(|_| ask()).collect();
    asked(&numbers, 1).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    numbers.answer(9);
    for answer in asking {
        assert!(answer.await.unwrap().is_err());
    }
    assert!(numbers.calls() <= 2, "{} calls", numbers.calls());
    *numbers.0.broken.lock().unwrap() = false;
    assert!(mirror.snapshot(&numbers, since(Instant::now())).await.is_ok());
}

#[tokio::test]
async fn any_fetch_wakes_whom_a_change_concerns_and_a_write_all_but_its_author() {
    let (mirror, woken) = mirror();
    let numbers = Numbers::new(&[(1, 1), (2, 2)]);
    numbers.answer(9);
    let interval = Duration::from_mins(1);
    for (name, interest) in [("one", "1"), ("two", "2"), ("gone", "1")] {
        mirror.subscribe(&numbers, &who(name), Interest::Item(interest.into()), interval);
    }
    mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    mirror.retain_subscriptions(&who("gone"), &[]);
    mirror.put(&numbers, (2, 9), &who("two"));
    numbers.set(&[(1, 7), (2, 9)]);
    mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    assert_eq!(*woken.0.lock().unwrap(), ["one"]);
    woken.0.lock().unwrap().clear();
    mirror.put(&numbers, (1, 8), &who("two"));
    mirror.put(&numbers, (1, 8), &who("two"));
    assert_eq!(*woken.0.lock().unwrap(), ["one"], "the next list will not differ");
}

/// The sweep at work until dropped.
fn sweeping(mirror: &Arc<Mirror>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(feed::sweep::run(Arc::clone(mirror), || 1.0))
}

#[tokio::test(start_paused = true)]
async fn the_sweep_lists_once_in_the_shortest_interval_that_anybody_asks_for() {
    let (mirror, woken) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    numbers.answer(1000);
    mirror.subscribe(&numbers, &who("slow"), Interest::Any, Duration::from_mins(10));
    mirror.subscribe(
        &numbers,
        &who("quick"),
        Interest::Item("1".into()),
        Duration::from_mins(1),
    );
    let sweeping = sweeping(&mirror);
    tokio::time::sleep(Duration::from_mins(10) + Duration::from_secs(30)).await;
    assert_eq!(numbers.calls(), 11, "at the start and then once a minute");
    assert!(woken.0.lock().unwrap().is_empty());
    mirror.retain_subscriptions(&who("quick"), &[]);
    numbers.set(&[]);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(numbers.calls(), 12, "the slow one is left");
    assert_eq!(*woken.0.lock().unwrap(), ["slow"]);
    mirror.retain_subscriptions(&who("slow"), &[]);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(numbers.calls(), 12, "nobody is left");
    sweeping.abort();
}

#[tokio::test(start_paused = true)]
async fn what_a_feed_covers_is_swept_rarely_and_at_once_when_the_feed_ends() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    numbers.answer(1000);
    mirror.subscribe(&numbers, &who("a"), Interest::Any, Duration::from_mins(1));
    mirror.set_fed(true);
    let sweeping = sweeping(&mirror);
    tokio::time::sleep(Duration::from_mins(59)).await;
    assert_eq!(numbers.calls(), 1);
    mirror.set_fed(false);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(numbers.calls(), 2);
    sweeping.abort();
}

#[tokio::test]
async fn what_somebody_changed_is_looked_at_alone_and_wakes_whom_it_concerns() {
    let (mirror, woken) = mirror();
    let numbers = Numbers::new(&[(1, 1), (2, 2)]);
    numbers.answer(9);
    for (name, interest) in [("one", "1"), ("two", "2")] {
        mirror.subscribe(
            &numbers,
            &who(name),
            Interest::Item(interest.into()),
            Duration::from_mins(1),
        );
    }
    let before = mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    numbers.set(&[(1, 7), (2, 2)]);
    let touch = |item: Option<&str>| Touch {
        collection: numbers.id(),
        item: item.map(str::to_owned),
        fields: Fields::All,
        unseen: false,
    };
    let again = mirror.touch(&numbers.id(), &[touch(Some("1")), touch(Some("2"))]).await;
    assert!(!again);
    assert_eq!(*woken.0.lock().unwrap(), ["one"]);
    assert_eq!(numbers.calls(), 1, "no list");
    let after = mirror.snapshot(&numbers, since(before.began())).await.unwrap();
    assert_eq!(after.get("1"), Some(&(1, 7)));

    numbers.set(&[(1, 7), (2, 9)]);
    mirror.touch(&numbers.id(), &[touch(Some("1")), touch(None)]).await;
    assert_eq!(numbers.calls(), 2, "any item may have changed: one list");
    assert_eq!(*woken.0.lock().unwrap(), ["one", "two"]);

    let unseen = Touch {
        unseen: true,
        ..touch(Some("2"))
    };
    mirror.touch(&numbers.id(), &[unseen]).await;
    assert_eq!(
        *woken.0.lock().unwrap(),
        ["one", "two", "two"],
        "although nothing differs"
    );

    *numbers.0.broken.lock().unwrap() = true;
    let again = mirror.touch(&numbers.id(), &[touch(None)]).await;
    assert!(again, "what fails for the moment is tried again");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_fresh_enough_while_a_feed_vouches_for_it_or_the_last_list_is_within_the_interval() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    numbers.answer(100);
    let minute = Duration::from_mins(1);
    let known = Freshness::Known(minute);
    mirror.snapshot(&numbers, known).await.unwrap();
    tokio::time::advance(minute).await;
    mirror.snapshot(&numbers, known).await.unwrap();
    assert_eq!(numbers.calls(), 1, "within the interval");
    tokio::time::advance(minute).await;
    mirror.snapshot(&numbers, known).await.unwrap();
    assert_eq!(numbers.calls(), 2, "too old");
    mirror.set_fed(true);
    tokio::time::advance(50 * minute).await;
    mirror.snapshot(&numbers, known).await.unwrap();
    assert_eq!(numbers.calls(), 2, "the feed would have said so");
    mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    assert_eq!(numbers.calls(), 3, "who was refused looks afresh");
    tokio::time::advance(minute).await;
    mirror.invalidate(&numbers);
    mirror.snapshot(&numbers, known).await.unwrap();
    assert_eq!(numbers.calls(), 4, "only a list can tell");
    tokio::time::advance(minute).await;
    mirror.doubt_all(Instant::now());
    mirror.snapshot(&numbers, known).await.unwrap();
    assert_eq!(numbers.calls(), 4, "still within the interval");
    tokio::time::advance(2 * minute).await;
    mirror.snapshot(&numbers, known).await.unwrap();
    assert_eq!(numbers.calls(), 5, "the feed may have lost something");
}

#[tokio::test]
async fn one_item_is_read_alone_and_many_with_one_list() {
    let (mirror, _) = mirror();
    let items: Vec<_> = (0..100).map(|key| (key, 0)).collect();
    let numbers = Numbers::new(&items);
    numbers.answer(100);
    mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    let mut changed = items.clone();
    changed[7].1 = 1;
    numbers.set(&changed);
    let asked = Instant::now();
    let item = mirror.item(&numbers, "7", since(asked)).await.unwrap();
    assert_eq!(item.as_deref(), Some(&(7, 1)));
    numbers.set(&items);
    let again = mirror.item(&numbers, "7", since(asked)).await.unwrap();
    assert_eq!(
        (again.as_deref(), numbers.calls()),
        (Some(&(7, 1)), 1),
        "it was read since"
    );
    for key in 0..100_u32 {
        let item = mirror
            .item(&numbers, &key.to_string(), since(Instant::now()))
            .await
            .unwrap();
        assert_eq!(item.as_deref(), Some(&(key, 0)));
    }
    assert!((3..=6).contains(&numbers.calls()), "{} lists", numbers.calls());
}

#[tokio::test]
async fn what_was_written_while_the_first_list_is_on_its_way_is_not_lost() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    let fetching = {
        let (mirror, numbers) = (mirror.clone(), numbers.clone());
        tokio::spawn(async move { mirror.snapshot(&numbers, since(Instant::now())).await.unwrap() })
    };
    asked(&numbers, 1).await;
    mirror.put(&numbers, (2, 2), &who("author"));
    mirror.remove(&numbers, "1", &who("author"));
    numbers.answer(1);
    let keys: Vec<u32> = fetching.await.unwrap().iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [2]);
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_first_list_is_on_its_way_is_looked_at_after_it() {
    let (mirror, woken) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    mirror.set_fed(true);
    mirror.subscribe(&numbers, &who("a"), Interest::Any, Duration::from_mins(10));
    let sweeping = sweeping(&mirror);
    asked(&numbers, 1).await;
    // The list was read before this.
    numbers.set(&[(1, 2)]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let touches = mirror.whole(&Fields::All, |_| true);
    mirror.touch(&numbers.id(), &touches).await;
    numbers.answer(2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((numbers.calls(), woken.0.lock().unwrap().len()), (2, 1));
    sweeping.abort();
}

/// A list of another name.
#[derive(Clone, Debug)]
struct Other(Numbers);

impl Collection for Other {
    type Item = (u32, u32);
    const NAME: &'static str = "others";

    fn key(item: &(u32, u32)) -> String {
        Numbers::key(item)
    }

    fn list(&self, client: &Client) -> impl Future<Output = Result<Vec<(u32, u32)>, Error>> + Send {
        self.0.list(client)
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_hangs_holds_up_no_other() {
    let (mirror, _) = mirror();
    let (hangs, numbers) = (Other(Numbers::new(&[])), Numbers::new(&[]));
    numbers.answer(100);
    hangs.0.answer(1);
    mirror.subscribe(&hangs, &who("a"), Interest::Any, Duration::from_mins(1));
    mirror.subscribe(&numbers, &who("b"), Interest::Any, Duration::from_mins(1));
    let sweeping = sweeping(&mirror);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(hangs.0.calls(), 2);
    assert!(numbers.calls() >= 10, "{} lists", numbers.calls());
    let before = numbers.calls();
    let looks = feed::looks::Looks::default();
    looks.add(mirror.whole(&Fields::All, |_| true));
    tokio::time::timeout(Duration::from_secs(1), looks.run(&mirror))
        .await
        .unwrap_err();
    assert_eq!(numbers.calls(), before + 1);
    sweeping.abort();
}

#[tokio::test]
async fn a_collection_that_nobody_depends_on_is_forgotten() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    numbers.answer(9);
    mirror.put(&numbers, (2, 2), &who("a"));
    assert!(mirror.slots().is_empty(), "a write alone keeps none");
    mirror.subscribe(&numbers, &who("a"), Interest::Any, Duration::from_mins(1));
    mirror.subscribe(&numbers, &who("b"), Interest::Item("1".into()), Duration::from_mins(1));
    mirror.snapshot(&numbers, since(Instant::now())).await.unwrap();
    mirror.retain_subscriptions(&who("a"), &[]);
    assert!(mirror.peek(&numbers).is_some());
    mirror.retain_subscriptions(&who("b"), &[(numbers.id(), Interest::Item("1".into()))]);
    assert!(mirror.peek(&numbers).is_some());
    mirror.retain_subscriptions(&who("b"), &[]);
    assert!(mirror.peek(&numbers).is_none());
    assert!(lock(&mirror.shelves).of.is_empty());
}

/// A list that some entries concern perhaps.
#[derive(Clone, Debug)]
struct Unsure(Numbers);

impl Collection for Unsure {
    type Item = (u32, u32);
    const NAME: &'static str = "unsure";
    const LOG: Log<Self> = Log::Complete(|_, _, _| Concerned::Perhaps);

    fn key(item: &(u32, u32)) -> String {
        Numbers::key(item)
    }

    fn list(&self, client: &Client) -> impl Future<Output = Result<Vec<(u32, u32)>, Error>> + Send {
        self.0.list(client)
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_may_hide_changes_brings_back_the_short_sweep_once() {
    let (mirror, _) = mirror();
    let numbers = Unsure(Numbers::new(&[(1, 1)]));
    numbers.0.answer(1000);
    mirror.subscribe(&numbers, &who("a"), Interest::Any, Duration::from_mins(5));
    mirror.set_fed(true);
    let sweeping = sweeping(&mirror);
    tokio::time::sleep(Duration::from_mins(20)).await;
    assert_eq!(numbers.0.calls(), 1);
    let entry = serde_json::json!({
        "id": uuid::Uuid::nil(), "time": "2026-01-01T00:00:00Z", "resource_type": "api_key", "action": "login",
        "resource_id": uuid::Uuid::nil(),
    });
    assert!(mirror.concerned(&serde_json::from_value(entry).unwrap()).is_empty());
    tokio::time::sleep(Duration::from_mins(20)).await;
    assert_eq!(numbers.0.calls(), 2);
    sweeping.abort();
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_minutes_and_who_needs_a_list_is_woken_by_it() {
    let (mirror, woken) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    mirror.subscribe(&numbers, &who("a"), Interest::Item("1".into()), Duration::from_mins(10));
    let error = mirror
        .snapshot(&numbers, Freshness::Known(Duration::from_mins(10)))
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(woken.0.lock().unwrap().is_empty());
    tokio::time::sleep(Duration::from_mins(2)).await;
    numbers.answer(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*woken.0.lock().unwrap(), ["a"]);
    let late = mirror
        .snapshot(&numbers, Freshness::Known(Duration::from_mins(10)))
        .await
        .unwrap();
    assert_eq!((late.len(), numbers.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_leaves_the_list_to_the_others() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    let now = Instant::now();
    let first = mirror.snapshot(&numbers, since(now));
    tokio::time::timeout(Duration::from_secs(1), first).await.unwrap_err();
    numbers.answer(1);
    assert_eq!(mirror.snapshot(&numbers, since(now)).await.unwrap().len(), 1);
    assert_eq!(numbers.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn lists_end_with_their_mirror() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[]);
    let asking = mirror.snapshot(&numbers, since(Instant::now()));
    tokio::time::timeout(Duration::from_secs(1), asking).await.unwrap_err();
    assert_eq!(Arc::strong_count(&numbers.0), 3, "the test's, the shelf's, the call's");
    drop(mirror);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&numbers.0), 1);
}

/// A list of one organization.
#[derive(Clone, Debug)]
struct Part(Numbers, OrganizationId);

impl Collection for Part {
    type Item = (u32, u32);
    const NAME: &'static str = "parts";

    fn within(&self) -> Option<OrganizationId> {
        Some(self.1)
    }

    fn key(item: &(u32, u32)) -> String {
        Numbers::key(item)
    }

    fn list(&self, client: &Client) -> impl Future<Output = Result<Vec<(u32, u32)>, Error>> + Send {
        self.0.list(client)
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_lists_are_read_at_one_time() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1)]);
    let now = Instant::now();
    let ask = |part: u128| {
        let (mirror, part) = (
            mirror.clone(),
            Part(numbers.clone(), uuid::Uuid::from_u128(part).into()),
        );
        tokio::spawn(async move { mirror.snapshot(&part, since(now)).await.map(|part| part.len()) })
    };
    let asking: Vec<_> = (0..20).map(ask).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(numbers.calls(), LISTS, "the others wait for their turn");
    numbers.answer(20);
    for answer in asking {
        assert_eq!(answer.await.unwrap().unwrap(), 1);
    }
    assert_eq!(numbers.calls(), 20);
}
