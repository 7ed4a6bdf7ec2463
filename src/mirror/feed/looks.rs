//! What a feed named and what is still to be looked at. The looks go on beside the reading, each collection by itself, so
//! that one that is slow holds up neither the log nor the others.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Touch;
use crate::mirror::{AT_ONCE, Mirror, lock};

/// How soon a look that failed for the moment is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// More items of one collection than these are looked at by a list.
const ITEMS: usize = 256;

/// What is still to be looked at.
#[derive(Debug, Default)]
pub(in crate::mirror) struct Looks {
    pending: Mutex<BTreeMap<String, Vec<Touch>>>,
    news: Notify,
}

impl Looks {
    /// To be looked at as soon as possible.
    pub(in crate::mirror) fn add(&self, touches: impl IntoIterator<Item = Touch>) {
        let mut pending = lock(&self.pending);
        for touch in touches {
            let of_collection = pending.entry(touch.collection.clone()).or_default();
            if of_collection.contains(&touch) {
                continue;
            }
            // What nobody can see in a list must stay named.
            if of_collection.len() >= ITEMS && !touch.unseen {
                of_collection.retain(|touch| touch.unseen);
                of_collection.push(Touch { item: None, ..touch });
            } else {
                of_collection.push(touch);
            }
        }
        self.news.notify_one();
    }

    /// Looks, for ever.
    pub(in crate::mirror) async fn run(&self, mirror: &Mirror) {
        let mut looks = FuturesUnordered::new();
        let mut under_way: HashSet<String> = HashSet::new();
        let mut resting: HashMap<String, Instant> = HashMap::new();
        loop {
            let now = Instant::now();
            resting.retain(|_, until| *until > now);
            while under_way.len() < AT_ONCE {
                let is_free = |id: &String| !under_way.contains(id) && !resting.contains_key(id);
                let Some((collection, touches)) = self.take(is_free) else {
                    break;
                };
                under_way.insert(collection.clone());
                looks.push(async move {
                    let again = mirror.touch(&collection, &touches).await;
                    (collection, if again { touches } else { Vec::new() })
                });
            }
            let wake = resting.values().min().copied();
            tokio::select! {
                Some((collection, unfinished)) = looks.next() => {
                    under_way.remove(&collection);
                    if !unfinished.is_empty() {
                        resting.insert(collection, Instant::now() + AGAIN);
                        self.add(unfinished);
                    }
                }
                () = self.news.notified() => {}
                () = tokio::time::sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
            }
        }
    }

    fn take(&self, is_free: impl Fn(&String) -> bool) -> Option<(String, Vec<Touch>)> {
        let mut pending = lock(&self.pending);
        let collection = pending.keys().find(|id| is_free(id))?.clone();
        pending.remove_entry(&collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::Fields;

    fn touch(item: usize, unseen: bool) -> Touch {
        Touch {
            collection: "groups".to_owned(),
            item: Some(item.to_string()),
            fields: Fields::All,
            unseen,
        }
    }

    #[test]
    fn what_is_named_more_than_once_or_too_much_is_looked_at_together() {
        let looks = Looks::default();
        looks.add([touch(1, false), touch(1, false)]);
        assert_eq!(looks.take(|_| true).unwrap().1.len(), 1);
        looks.add((0..10 * ITEMS).map(|item| touch(item, false)));
        looks.add([touch(7, true)]);
        let (_, touches) = looks.take(|_| true).unwrap();
        assert!(
            touches.len() <= ITEMS + 1 && touches.contains(&touch(7, true)),
            "{}",
            touches.len()
        );
        assert!(touches.iter().any(|touch| touch.item.is_none()));
        assert!(looks.take(|_| true).is_none());
    }
}
