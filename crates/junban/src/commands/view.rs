//! One look at the cluster: what a command could list, as core sees it, and what it could not list.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::derived::Derived;
use junban_core::entry::Entry;
use junban_core::memory::Memory;
use junban_core::time::{Now, Reading};
use junban_engine::clock::boottime;
use junban_engine::shell::locked;
use junban_kube::Store;
use junban_kube::cache::{self, Caches};
use junban_kube::list_once::{self, Missed, Scope};

use super::problem::Problem;
use super::session::Session;

/// No command works without these.
const NEEDED: [&str; 3] = ["rebootqueues", "rebootpolicies", "nodereboots"];

/// The deadline of the first lists of watches.
const LISTED: Duration = Duration::from_secs(30);

pub(crate) struct View {
    pub(crate) store: Arc<Store>,
    /// Kinds that could not be listed, with the reason.
    missed: Vec<(String, Problem)>,
    /// Whether the nodes could be listed.
    pub(crate) has_nodes: bool,
}

impl View {
    /// Lists the kinds of the scope. Fails if one of Junban's own kinds could not be listed. Another missing kind is noted.
    pub(crate) async fn look(session: &Session, scope: Scope) -> Result<Self, Problem> {
        let store = Arc::new(Store::new(names::NAMESPACE));
        let mut missed = Vec::new();
        let mut has_nodes = scope >= Scope::Nodes;
        for miss in list_once::list(&session.connection, &store, scope).await {
            let problem = problem(session, &miss);
            if NEEDED.contains(&miss.resource.as_str()) {
                return Err(problem);
            }
            has_nodes &= miss.resource != "nodes";
            missed.push((miss.resource, problem));
        }
        Ok(Self {
            store,
            missed,
            has_nodes,
        })
    }

    /// Lists Junban's own kinds and the nodes, for commands that need the nodes.
    pub(crate) async fn with_nodes(session: &Session) -> Result<Self, Problem> {
        Self::look(session, Scope::Nodes).await?.needs_nodes()
    }

    /// Fails if the nodes could not be listed.
    pub(crate) fn needs_nodes(self) -> Result<Self, Problem> {
        let of_nodes =
            |(resource, problem): &(String, Problem)| (resource == "nodes").then(|| problem.clone());
        match self.missed.iter().find_map(of_nodes) {
            Some(problem) => Err(problem),
            None => Ok(self),
        }
    }

    /// Whether every kind was listed.
    pub(crate) fn is_whole(&self) -> bool {
        self.missed.is_empty()
    }

    /// One note that names every kind that could not be listed.
    pub(crate) fn note(&self) -> Option<String> {
        let (_, first) = self.missed.first()?;
        let resources: Vec<&str> = self
            .missed
            .iter()
            .map(|(resource, _)| resource.as_str())
            .collect();
        Some(format!(
            "note: not looked at, so something may be missing above: {}\n      {}\nhint: {}",
            resources.join(", "),
            first.text,
            first.hint
        ))
    }

    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        locked(&self.store.cluster)
    }
}

/// Watches queue, policies and entries until the returned value is dropped.
pub(crate) async fn follow(session: &Session, store: &Arc<Store>) -> Result<Caches, Problem> {
    let listed = cache::start_own(&session.connection, store);
    tokio::time::timeout(LISTED, listed).await.map_err(|_| {
        Problem::failed(
            "queue, policies and entries cannot be watched",
            "kubectl auth can-i watch nodereboots",
        )
    })
}

/// Why the cluster that is seen may be old, as it was last said.
#[derive(Default)]
pub(crate) struct Staleness(Option<String>);

impl Staleness {
    /// The note to write now, if it is news.
    pub(crate) fn news(&mut self, stale: Option<&String>) -> Option<String> {
        if self.0.as_ref() == stale {
            return None;
        }
        self.0 = stale.cloned();
        let text = self.0.as_deref();
        Some(match text {
            Some(text) => format!("note: {text}: what is seen may be old"),
            None => "note: the API server answers again".to_owned(),
        })
    }
}

fn problem(session: &Session, miss: &Missed) -> Problem {
    match &miss.error {
        Some(error) => session.problem("list", &miss.resource, error),
        None => Problem::failed(
            format!("the list of {} did not come in time", miss.resource),
            "try again; kubectl get --raw /readyz?verbose",
        ),
    }
}

/// The three clocks of a command: this process's own, the server's, and the cluster clock if it is known.
///
/// If the user may not read the Lease, the latest reading that an entry stores is a lower bound of the cluster clock. A
/// back-off then ends too late on the screen, never too early.
pub(crate) fn now(cluster: &Cluster, wall: Timestamp, clock: Option<Reading>) -> Now {
    let stored = cluster.entries.values().filter_map(|entry| entry.record.phase_at);
    let clock = clock.or_else(|| stored.max_by_key(|reading| reading.led_ms));
    Now {
        mono: boottime(),
        clock: clock.unwrap_or_default(),
        wall,
    }
}

/// One entry for each node: its turn, or the last one that ended.
pub(crate) fn turns(cluster: &Cluster, wall: Timestamp) -> Vec<&Entry> {
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, now(cluster, wall, None));
    derived.turns.values().map(|turn| turn.entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_once_when_the_view_gets_old_and_once_when_it_is_fresh_again() {
        let (mut staleness, old) = (Staleness::default(), "no answer to watches for 10 s".to_owned());
        let said = [None, Some(&old), Some(&old), None, None].map(|stale| staleness.news(stale));
        expect_test::expect![[r#"
            note: no answer to watches for 10 s: what is seen may be old
            note: the API server answers again"#]]
        .assert_eq(&said.into_iter().flatten().collect::<Vec<_>>().join("\n"));
    }
}
