//! The caches: every kind that is observed, listed and then watched into the store.
//!
//! Watch events carry no decision: they change the store and wake the engine.

mod back_off;
mod follow;
mod jitter;
mod kinds;

use std::sync::Arc;
use std::time::Duration;

use junban_core::time::Mono;
use junban_engine::clock::boottime;
use tokio::task::JoinSet;

use follow::Following;

use crate::connect::Connection;
use crate::layer::Answered;
use crate::store::Store;

/// Older than this, nothing new rests on them (safety.md S27).
const STALE: Duration = Duration::from_secs(60);

/// So long may one lead with them: others may see more, and so may this process begun anew.
const BLIND: Duration = Duration::from_secs(60);

/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Follows every kind until dropped. Returns once every initial list is in the store: a plan over half of a
/// cluster would be a plan over another cluster.
pub async fn start(connection: &Connection, store: &Arc<Store>) -> Caches {
    begin(connection, store, kinds::all).await
}

/// Follows queue, policies and entries only, for a command that waits for them. Returns once they are in the store.
pub async fn start_own(connection: &Connection, store: &Arc<Store>) -> Caches {
    begin(connection, store, kinds::own).await
}

async fn begin(
    connection: &Connection,
    store: &Arc<Store>,
    kinds: fn(&Connection, &Arc<Store>, &mut Following),
) -> Caches {
    let mut following = Following::default();
    kinds(connection, store, &mut following);
    let Following {
        mut tasks,
        listed,
        brisk,
    } = following;
    for listed in listed {
        listed.await;
    }
    tasks.spawn(watch_the_watches(
        connection.answered.clone(),
        store.clone(),
        brisk,
    ));
    Caches { tasks }
}

/// The watches; dropping it ends them.
pub struct Caches {
    tasks: JoinSet<()>,
}

impl Caches {
    /// Resolves when a watch has ended, which only a bug can do: what it kept would grow old without a word.
    pub async fn broken(&mut self) {
        match self.tasks.join_next().await {
            Some(Err(error)) => tracing::error!(%error, "a watch has ended"),
            _ => tracing::error!("a watch has ended"),
        }
    }
}

/// Resolves when this process has led for a minute with caches that may be old: its calls on the Lease get through and
/// its watches do not (safety.md L10).
pub async fn led_blindly(store: &Store, leads: impl Fn() -> bool) {
    let mut since = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let blind = leads() && store.with(|cluster| cluster.stale.is_some());
        if blind_for(&mut since, blind, boottime()) >= BLIND {
            return tracing::error!("led for {} s with caches that may be old", BLIND.as_secs());
        }
    }
}

fn blind_for(since: &mut Option<Mono>, blind: bool, now: Mono) -> Duration {
    if !blind {
        *since = None;
        return Duration::ZERO;
    }
    now.since(*since.get_or_insert(now))
}

/// Says when the caches may be old: a dead watch looks like a cluster in which nothing happens.
async fn watch_the_watches(answered: Arc<Answered>, store: Arc<Store>, brisk: Vec<(&'static str, String)>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let old = stale(&answered, &brisk, boottime());
        store.change(|cluster| {
            let news = cluster.stale != old;
            if news && let Some(why) = &old {
                tracing::warn!(why, "the caches may be old");
            }
            cluster.stale.clone_from(&old);
            news
        });
    }
}

/// Which watches were not answered lately; no running times, since that would be a change each second.
fn stale(answered: &Answered, brisk: &[(&'static str, String)], now: Mono) -> Option<String> {
    let is_old = |path: &str| answered.last(path).is_none_or(|last| now.since(last) > STALE);
    let old: Vec<&str> = brisk
        .iter()
        .filter(|(_, path)| is_old(path))
        .map(|(what, _)| *what)
        .collect();
    (!old.is_empty()).then(|| {
        format!(
            "no answer to watches for {} s: {}",
            STALE.as_secs(),
            old.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_blind_only_while_it_leads_and_sees_nothing() {
        let mut since = None;
        let second = |second| Mono(Duration::from_secs(second));
        assert_eq!(blind_for(&mut since, true, second(100)), Duration::ZERO);
        assert_eq!(blind_for(&mut since, true, second(159)), Duration::from_secs(59));
        assert_eq!(blind_for(&mut since, false, second(160)), Duration::ZERO);
        assert_eq!(blind_for(&mut since, true, second(165)), Duration::ZERO);
        assert!(blind_for(&mut since, true, second(225)) >= BLIND);
    }
}
