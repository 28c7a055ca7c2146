//! The caches: each kind that Junban observes is listed and then watched into the store.
//!
//! A watch event decides nothing: it changes the store and wakes the engine.

mod back_off;
mod follow;
mod jitter;
mod kinds;

use std::sync::Arc;
use std::time::Duration;

use junban_core::time::Mono;
use junban_engine::clock::boottime;
use tokio::task::JoinSet;

use follow::Watches;

use crate::connect::Connection;
use crate::layer::Answered;
use crate::store::Store;

/// Caches that are older may be wrong: nothing new starts (docs/design/safety.md#s27).
const STALE_AFTER: Duration = Duration::from_secs(60);

/// How long a process may lead with stale caches. Another process may see more, and so may this one after a restart.
const LEADS_STALE_MAX: Duration = Duration::from_secs(60);

/// How often the age of the caches is checked.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Watches every kind until the result is dropped. Returns when every first list is in the store: a plan over half of
/// the objects would be wrong.
pub async fn start(connection: &Connection, store: &Arc<Store>) -> Caches {
    begin(connection, store, kinds::all).await
}

/// Watches the queue, policies and entries only, for a command that waits for them. Returns when they are in the store.
pub async fn start_own(connection: &Connection, store: &Arc<Store>) -> Caches {
    begin(connection, store, kinds::own).await
}

async fn begin(
    connection: &Connection,
    store: &Arc<Store>,
    kinds: fn(&Connection, &Arc<Store>, &mut Watches),
) -> Caches {
    let mut watches = Watches::default();
    kinds(connection, store, &mut watches);
    let Watches {
        mut tasks,
        listed,
        short,
    } = watches;
    for listed in listed {
        listed.await;
    }
    tasks.spawn(report_stale_watches(
        connection.answered.clone(),
        store.clone(),
        short,
    ));
    Caches { tasks }
}

/// The running watches. To drop it ends them.
pub struct Caches {
    tasks: JoinSet<()>,
}

impl Caches {
    /// Resolves when a watch has ended. Only a bug can end one, and then its objects would grow old unnoticed.
    pub async fn watch_ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Err(error)) => tracing::error!(%error, "a watch has ended"),
            _ => tracing::error!("a watch has ended"),
        }
    }
}

/// Resolves when this process has led for a minute with stale caches: its calls on the Lease get an answer, and its
/// watches do not (docs/design/safety.md#l10).
pub async fn led_with_stale_caches(store: &Store, leads: impl Fn() -> bool) {
    let mut since = None;
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let stale = leads() && store.with(|cluster| cluster.stale.is_some());
        if stale_for(&mut since, stale, boottime()) >= LEADS_STALE_MAX {
            return tracing::error!("led for {} s with stale caches", LEADS_STALE_MAX.as_secs());
        }
    }
}

fn stale_for(since: &mut Option<Mono>, stale: bool, now: Mono) -> Duration {
    if !stale {
        *since = None;
        return Duration::ZERO;
    }
    now.since(*since.get_or_insert(now))
}

/// Keeps `Cluster::stale` up to date: a dead watch looks like a cluster in which nothing happens.
async fn report_stale_watches(
    answered: Arc<Answered>,
    store: Arc<Store>,
    watched: Vec<(&'static str, String)>,
) {
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let stale = stale(&answered, &watched, boottime());
        store.change(|cluster| {
            let news = cluster.stale != stale;
            if news && let Some(why) = &stale {
                tracing::warn!(why, "the caches are stale");
            }
            cluster.stale.clone_from(&stale);
            news
        });
    }
}

/// Which watches had no answer lately. Without times: with them the text would change every second.
fn stale(answered: &Answered, watched: &[(&'static str, String)], now: Mono) -> Option<String> {
    let is_old = |path: &str| {
        answered
            .last(path)
            .is_none_or(|last| now.since(last) > STALE_AFTER)
    };
    let old: Vec<&str> = watched
        .iter()
        .filter(|(_, path)| is_old(path))
        .map(|(what, _)| *what)
        .collect();
    (!old.is_empty()).then(|| {
        format!(
            "no answer to watches for {} s: {}",
            STALE_AFTER.as_secs(),
            old.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_in_which_a_leader_has_stale_caches_counts() {
        let mut since = None;
        let second = |second| Mono(Duration::from_secs(second));
        assert_eq!(stale_for(&mut since, true, second(100)), Duration::ZERO);
        assert_eq!(stale_for(&mut since, true, second(159)), Duration::from_secs(59));
        assert_eq!(stale_for(&mut since, false, second(160)), Duration::ZERO);
        assert_eq!(stale_for(&mut since, true, second(165)), Duration::ZERO);
        assert!(stale_for(&mut since, true, second(225)) >= LEADS_STALE_MAX);
    }
}
