//! `junban explain NODE`: why is this node not rebooting yet? It asks the controller's gates, over lists that are read
//! with the user's own rights. Where these rights do not suffice, it says what the entry's status says.

mod explanation;
mod since;
mod without_turn;

use junban_api::convert::format_goal;
use junban_api::names;
use junban_core::blocker::Blocker;
use junban_core::builder::PlanBuilder;
use junban_core::cluster::Cluster;
use junban_core::derived::{Derived, Turn};
use junban_core::detail::Detail;
use junban_core::duty::{Duty, duty};
use junban_core::entry::{Entry, Phase};
use junban_core::ids::NodeName;
use junban_core::memory::Memory;
use junban_core::object::ObjectRef;
use junban_core::pod::Pod;
use junban_core::reason::{Class, Reason};
use junban_core::time::Now;
use junban_core::tokens::budget_of;
use junban_kube::list_once::{self, Scope};

use self::explanation::{Explanation, Unmet};
use self::since::Times;
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
use super::view::{self, View};
use crate::cli::{Explain, Output};

pub(crate) async fn run(
    session: &Session,
    arguments: &Explain,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let view = View::look(session, Scope::Everything).await?;
    let clock = list_once::clock(&session.connection, &arguments.namespace, names::LEASE);
    // A user who may not read the Lease gets a lower bound of the clock.
    let clock = session.answer(clock).await.ok().flatten();
    let node = NodeName::new(arguments.node.clone());
    let policy = {
        let cluster = view.cluster();
        let turns = view::turns(&cluster, session.now());
        let turn = turns.into_iter().find(|entry| entry.spec.node == node);
        turn.map(|entry| entry.spec.policy.to_string())
    };
    let times = Times::look(session, &node, policy.as_deref()).await;
    let explanation = {
        let cluster = view.cluster();
        let now = view::now(&cluster, session.now(), clock);
        of_node(&cluster, now, &node, Sight::of(&view), &times)?
    };
    match (printer.format, &explanation.entry) {
        (Output::Name, Some(entry)) => printer.data(&format!("nodereboot.junban.dev/{entry}")),
        (Output::Name, None) => {}
        _ => printer.value(&explanation, || explanation.describe())?,
    }
    if let Some(note) = view.note() {
        printer.talk(&note);
    }
    Ok(Exit::Done)
}

fn of_node(
    cluster: &Cluster,
    now: Now,
    name: &NodeName,
    sight: Sight,
    times: &Times,
) -> Result<Explanation, Problem> {
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, now);
    let turn = derived.turns.get(name);
    if sight.has_nodes && !cluster.nodes.contains_key(name) && turn.is_none() {
        return Err(Problem::failed(
            format!("there is no node named {name}"),
            "kubectl get nodes",
        ));
    }
    Ok(match turn {
        Some(turn) if !turn.phase().is_ended() => of_entry(cluster, &memory, now, turn, sight, times),
        _ if !sight.has_nodes => Explanation {
            node: name.to_string(),
            summary: "it has no entry that is not ended; why is not known without the right to list nodes"
                .to_owned(),
            hint: "kubectl auth can-i list nodes".to_owned(),
            ..Explanation::default()
        },
        turn => without_turn::of_node(cluster, &derived, now, name, turn),
    })
}

/// Whether a blocker is what the entry's status says: then it is as old as the status says. A gate that is asked again
/// may find other details. A pod that is still on the node is not what the status says, even with the same reason.
fn is_recorded(entry: &Entry, blocker: &Blocker) -> bool {
    let record = &entry.record;
    let is_own = record.phase == Phase::Queued || matches!(blocker.detail, Detail::Said(_));
    record.reason == Some(blocker.reason) && is_own
}

/// What the user may see.
#[derive(Clone, Copy)]
struct Sight {
    has_nodes: bool,
    /// Every kind could be listed.
    is_whole: bool,
}

impl Sight {
    fn of(view: &View) -> Self {
        Self {
            has_nodes: view.has_nodes,
            is_whole: view.is_whole(),
        }
    }
}

/// A node with an entry that has not ended: every unmet gate, or what the entry's own record waits for.
fn of_entry(
    cluster: &Cluster,
    memory: &Memory,
    now: Now,
    turn: &Turn<'_>,
    sight: Sight,
    times: &Times,
) -> Explanation {
    let entry = turn.entry;
    let record = &entry.record;
    let node = &entry.spec.node;
    let recorded = record
        .reason
        .map(|reason| Blocker::new(reason, ObjectRef::None, Detail::Said(record.message.clone())));
    let mut unmet: Vec<Blocker> = Vec::new();
    // Without the nodes every gate would say that the Node is gone.
    if sight.has_nodes {
        unmet = junban_core::explain::explain(cluster, memory, now, node);
        unmet.retain(|blocker| !is_only_unknown_here(blocker));
    }
    // What the controller says comes first if this command did not find it: the user may not list everything, or no gate
    // is asked in this phase.
    if let Some(blocker) =
        recorded.filter(|blocker| !unmet.iter().any(|found| found.reason == blocker.reason))
    {
        let still = !sight.is_whole || record.phase != Phase::Queued || unmet.is_empty();
        if still {
            unmet.insert(0, blocker);
        }
    }
    if record.phase == Phase::Draining {
        unmet.extend(still_there(cluster, memory, now, turn));
    }
    unmet.sort_by_key(|blocker| blocker.reason.class() == Class::Passes);
    unmet.dedup();
    Explanation {
        node: node.to_string(),
        entry: Some(entry.name.to_string()),
        policy: Some(entry.spec.policy.to_string()),
        goal: Some(format_goal(entry.spec.booted_after)),
        phase: Some(record.phase.to_string()),
        attempt: record.attempt,
        since: record.since.map(format_goal),
        summary: summary(entry, unmet.is_empty()),
        hint: in_flight_hint(entry),
        unmet: unmet
            .into_iter()
            .map(|blocker| {
                let (since, since_of) = times.of(entry, blocker.reason, is_recorded(entry, &blocker));
                Unmet {
                    reason: blocker.reason.to_string(),
                    object: blocker.object.to_string(),
                    message: blocker.to_string(),
                    hint: blocker.reason.hint().replace("NODE", node.as_str()),
                    needs_somebody: blocker.reason.class() == Class::NeedsSomebody,
                    since: format_goal(since),
                    since_of,
                }
            })
            .collect(),
    }
}

/// Each pod that must still leave, with what it waits for.
fn still_there(cluster: &Cluster, memory: &Memory, now: Now, turn: &Turn<'_>) -> Vec<Blocker> {
    let (Some(node), Some(policy)) = (turn.node, turn.policy) else {
        return Vec::new();
    };
    let plan = PlanBuilder::new(cluster, memory, now);
    let tokens = plan.tokens();
    let evicting =
        |pod: &Pod, detail| Blocker::new(Reason::Evicting, ObjectRef::Pod(pod.key.clone()), detail);
    let pods = cluster.pods_of(&node.name);
    pods.filter_map(|pod| match duty(cluster, None, pod, Some(policy)) {
        Duty::Skip => None,
        Duty::Leaving => Some(evicting(pod, Detail::Terminating)),
        Duty::Forbidden(blocker) | Duty::Completes(blocker) | Duty::Returns(blocker) => Some(blocker),
        Duty::Evict => {
            let taken = budget_of(cluster, pod).and_then(|budget| tokens.take(&budget, pod, node, policy));
            let next = || evicting(pod, Detail::EvictedNext);
            Some(taken.err().unwrap_or_else(next))
        }
    })
    .collect()
}

/// A command does not know the control plane's health. That somebody must read it first is no reason to wait.
fn is_only_unknown_here(blocker: &Blocker) -> bool {
    blocker.reason == Reason::ControlPlaneChecking
}

fn summary(entry: &Entry, nothing_unmet: bool) -> String {
    let record = &entry.record;
    let drained = record.drain.as_ref().filter(|drain| drain.total > 0);
    let drained = drained.map_or_else(String::new, |drain| {
        format!(
            ", {} of {} pods have left",
            drain.total.saturating_sub(drain.left),
            drain.total
        )
    });
    match record.phase {
        Phase::Queued if entry.spec.cancel => "cancelled; the controller has not acted on it yet".to_owned(),
        Phase::Queued if nothing_unmet => {
            "queued, and nothing holds it back: it starts at any moment".to_owned()
        }
        Phase::Queued => "queued, not touched yet".to_owned(),
        Phase::Draining => format!("its pods leave{drained}"),
        Phase::Rebooting => "its power action is recorded or under way".to_owned(),
        Phase::Verifying => "it has rebooted and is being proven".to_owned(),
        Phase::Failed => "its reboot failed; it stays cordoned, the others go on".to_owned(),
        Phase::Succeeded | Phase::Cancelled => "its turn is over".to_owned(),
    }
}

fn in_flight_hint(entry: &Entry) -> String {
    match entry.record.phase {
        Phase::Queued if entry.record.observed_generation == 0 => {
            "no controller has looked at it yet: kubectl get lease junban -n junban".to_owned()
        }
        Phase::Failed => format!(
            "junban retry {node} for one more round, junban cancel {node} to give it up",
            node = entry.spec.node
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
