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
    fn wake(&self, who: &Reference, _: Instant) {
        self.0.lock().unwrap().push(who.key.name.clone());
    }
}

struct NoGauge;

impl Gauge for NoGauge {
    fn fetched(&self, _: &'static str, _: Result<Duration, coder::Class>) {}
}

fn mirror() -> (Arc<Mirror>, Arc<Woken>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::new("http://127.0.0.1:1".parse().unwrap(), SecretString::from("token"));
    let woken = Arc::new(Woken::default());
    let mirror = Mirror::new(Client::new(config).unwrap(), woken.clone(), Arc::new(NoGauge));
    (Arc::new(mirror), woken)
}

fn who(name: &str) -> Reference {
    Reference {
        kind: "K",
        key: ObjectKey::new("ns", name),
    }
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
        tokio::spawn(async move { mirror.snapshot(&numbers, now).await.unwrap().get("1").copied() })
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
    mirror.snapshot(&numbers, Instant::now()).await.unwrap();
    numbers.set(&[(1, 2)]);
    let newer = mirror.snapshot(&numbers, Instant::now()).await.unwrap();
    assert_eq!(newer.get("1"), Some(&(1, 2)));
    assert_eq!(
        mirror.snapshot(&numbers, newer.began()).await.unwrap().began(),
        newer.began()
    );
    mirror.invalidate(&numbers);
    mirror.snapshot(&numbers, newer.began()).await.unwrap();
    assert_eq!(numbers.calls(), 3);
}

#[tokio::test]
async fn an_own_write_during_a_fetch_is_not_lost() {
    let (mirror, _) = mirror();
    let numbers = Numbers::new(&[(1, 1), (2, 2)]);
    numbers.answer(1);
    mirror.snapshot(&numbers, Instant::now()).await.unwrap();
    let fetching = {
        let (mirror, numbers) = (mirror.clone(), numbers.clone());
        tokio::spawn(async move { mirror.snapshot(&numbers, Instant::now()).await.unwrap() })
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
        tokio::spawn(async move { mirror.snapshot(&numbers, now).await.map(|_| ()) })
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
    assert!(mirror.snapshot(&numbers, Instant::now()).await.is_ok());
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
    mirror.snapshot(&numbers, Instant::now()).await.unwrap();
    mirror.retain_subscriptions(&who("gone"), &[]);
    mirror.put(&numbers, (2, 9), &who("two"));
    numbers.set(&[(1, 7), (2, 9)]);
    mirror.snapshot(&numbers, Instant::now()).await.unwrap();
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
    let before = mirror.snapshot(&numbers, Instant::now()).await.unwrap();
    numbers.set(&[(1, 7), (2, 2)]);
    let touch = |item: Option<&str>| Touch {
        collection: numbers.id(),
        item: item.map(str::to_owned),
        fields: Fields::All,
    };
    let unfinished = mirror.touch(vec![touch(Some("1")), touch(Some("2"))]).await;
    assert!(unfinished.is_empty());
    assert_eq!(*woken.0.lock().unwrap(), ["one"]);
    assert_eq!(numbers.calls(), 1, "no list");
    let after = mirror.snapshot(&numbers, before.began()).await.unwrap();
    assert_eq!(after.get("1"), Some(&(1, 7)));

    numbers.set(&[(1, 7), (2, 9)]);
    mirror.touch(vec![touch(Some("1")), touch(None)]).await;
    assert_eq!(numbers.calls(), 2, "any item may have changed: one list");
    assert_eq!(*woken.0.lock().unwrap(), ["one", "two"]);

    *numbers.0.broken.lock().unwrap() = true;
    let unfinished = mirror.touch(vec![touch(None)]).await;
    assert_eq!(unfinished, [touch(None)], "what fails for the moment is tried again");
}

#[test]
fn who_changed_an_item_is_remembered_until_it_is_answered_or_an_hour_old() {
    let (mirror, _) = mirror();
    let touch = |item: Option<&str>| Touch {
        collection: "groups".to_owned(),
        item: item.map(str::to_owned),
        fields: Fields::All,
    };
    let author = |name: &str, hour: i64| Author {
        name: name.to_owned(),
        at: jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hour),
        fields: Fields::All,
    };
    let of = |item: &str| {
        let items = [("groups".to_owned(), item.to_owned())];
        let mut names: Vec<_> = mirror
            .authors_of(&items)
            .into_iter()
            .map(|author| author.name)
            .collect();
        names.sort();
        names
    };
    mirror.attribute(&touch(Some("1")), author("ann", 5));
    mirror.attribute(&touch(Some("1")), author("bob", 5));
    mirror.attribute(&touch(None), author("carl", 5));
    assert_eq!(of("1"), ["ann", "bob", "carl"]);
    assert_eq!(of("2"), ["carl"]);
    let answered = Instant::now();
    mirror.attribute(&touch(Some("1")), author("dora", 5));
    mirror.settle_authors(&[("groups".to_owned(), "1".to_owned())], answered);
    assert_eq!(of("1"), ["carl", "dora"], "who came later is not answered yet");
    mirror.attribute(&touch(Some("2")), author("emil", 7));
    assert_eq!((of("1"), of("2")), (vec![], vec!["emil".to_owned()]));
}
