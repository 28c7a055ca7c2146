//! The cluster as one command has listed it, and what could not be listed.

use std::sync::Arc;

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
use junban_kube::list_once::{self, Missed, Scope};

use super::problem::Problem;
use super::session::Session;

/// The kinds without which no command works.
const NEEDED: [&str; 3] = ["rebootqueues", "rebootpolicies", "nodereboots"];

pub(crate) struct Snapshot {
    pub(crate) cluster: Cluster,
    /// Whether the nodes were listed.
    pub(crate) has_nodes: bool,
    /// Kinds that could not be listed, with the reason.
    missed: Vec<(String, Problem)>,
}

impl Snapshot {
    /// Lists the kinds of the scope. Fails only if one of Junban's own kinds cannot be listed.
    pub(crate) async fn take(session: &Session, scope: Scope) -> Result<Self, Problem> {
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
        let cluster = std::mem::take(&mut *locked(&store.cluster));
        Ok(Self {
            cluster,
            has_nodes,
            missed,
        })
    }

    /// Lists Junban's own kinds and the nodes. Fails if one of them cannot be listed.
    pub(crate) async fn with_nodes(session: &Session) -> Result<Self, Problem> {
        Self::take(session, Scope::Nodes).await?.require_nodes()
    }

    /// Fails if the nodes could not be listed.
    pub(crate) fn require_nodes(self) -> Result<Self, Problem> {
        match self.missed.iter().find(|(resource, _)| resource == "nodes") {
            Some((_, problem)) => Err(problem.clone()),
            None => Ok(self),
        }
    }

    /// Whether every kind was listed.
    pub(crate) fn is_complete(&self) -> bool {
        self.missed.is_empty()
    }

    /// One note that names every kind that could not be listed.
    pub(crate) fn note(&self) -> Option<String> {
        let (_, first) = self.missed.first()?;
        let missed = self.missed.iter();
        let resources: Vec<&str> = missed.map(|(resource, _)| resource.as_str()).collect();
        Some(format!(
            "note: these could not be listed, so something may be missing above: {}\n      {}\nhint: {}",
            resources.join(", "),
            first.text,
            first.hint
        ))
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

/// The three clocks of a command: this process's own, the API server's, and the cluster clock if it is known.
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

/// One entry for each node: its turn, or else its last turn.
pub(crate) fn turns(cluster: &Cluster, wall: Timestamp) -> Vec<&Entry> {
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, now(cluster, wall, None));
    derived.turns.values().map(|turn| turn.entry).collect()
}
