//! `junban explain NODE`: why is this node not rebooting yet? It asks the controller's gates, over lists that it reads
//! with the user's own rights. If these rights do not suffice, it says what the status of the entry says.

mod explanation;
mod since;
mod without_turn;

use junban_api::convert::format_goal;
use junban_core::blocker::Blocker;
use junban_core::builder::PlanBuilder;
use junban_core::cluster::Cluster;
use junban_core::derived::{Derived, Turn};
use junban_core::detail::Detail;
use junban_core::duty::{Duty, duty, why_spared};
use junban_core::entry::{Entry, Phase};
use junban_core::ids::NodeName;
use junban_core::memory::Memory;
use junban_core::object::ObjectRef;
use junban_core::pod::Pod;
use junban_core::reason::{Class, Reason};
use junban_core::time::Now;
use junban_core::tokens::budget_of;
use junban_kube::list_once::Scope;

use self::explanation::{Explanation, Unmet};
use self::since::ConditionTimes;
use super::leader::Leader;
use super::printer::Printer;
use super::problem::{Exit, Problem};
use super::session::Session;
use super::snapshot::{self, Snapshot};
use crate::cli::{Explain, Output};

pub(crate) async fn run(
    session: &Session,
    arguments: &Explain,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let snapshot = Snapshot::take(session, Scope::Everything).await?;
    let (leader, lease) = Leader::read(session).await;
    // A user who may not read the Lease gets a lower bound of the clock.
    let clock = lease.and_then(|lease| lease.clock);
    let node = NodeName::new(arguments.node.clone());
    let turns = snapshot::turns(&snapshot.cluster, session.now());
    let turn = turns.into_iter().find(|entry| entry.spec.node == node);
    let policy = turn.map(|entry| entry.spec.policy.as_str());
    let times = ConditionTimes::read(session, &node, policy).await;
    let now = snapshot::now(&snapshot.cluster, session.now(), clock);
    let mut explanation = explain_node(&snapshot.cluster, now, &node, Listed::of(&snapshot), &times)?;
    explanation.no_leader = leader.none().cloned();
    match (printer.format, &explanation.entry) {
        (Output::Name, entry) => {
            printer.lines(entry.iter().map(|entry| format!("nodereboot.junban.dev/{entry}")));
        }
        _ => printer.value(&explanation, || explanation.describe())?,
    }
    if let Some(note) = snapshot.note() {
        printer.message(&note);
    }
    Ok(Exit::Done)
}

fn explain_node(
    cluster: &Cluster,
    now: Now,
    name: &NodeName,
    listed: Listed,
    times: &ConditionTimes,
) -> Result<Explanation, Problem> {
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, now);
    let turn = derived.turns.get(name);
    if listed.nodes && !cluster.nodes.contains_key(name) && turn.is_none() {
        return Err(Problem::failed(
            format!("there is no node named {name}"),
            "kubectl get nodes",
        ));
    }
    Ok(match turn {
        Some(turn) if !turn.phase().is_ended() => explain_entry(cluster, &memory, now, turn, listed, times),
        _ if !listed.nodes => Explanation {
            summary: "it has no open entry; without the right to list nodes this command cannot say why"
                .to_owned(),
            hint: "kubectl auth can-i list nodes".to_owned(),
            ..Explanation::new(name, None)
        },
        turn => without_turn::explain_node(cluster, &derived, now, name, turn),
    })
}

/// Whether the entry's status names this blocker: then it began when the status says. A gate that is asked again may
/// give the same reason with other details. But a pod that is still on the node is another blocker, even if its reason
/// is the same.
fn is_recorded(entry: &Entry, blocker: &Blocker) -> bool {
    let record = &entry.record;
    let is_own = record.phase == Phase::Queued || matches!(blocker.detail, Detail::Said(_));
    record.reason == Some(blocker.reason) && is_own
}

/// What could be listed with the user's rights.
#[derive(Clone, Copy)]
struct Listed {
    nodes: bool,
    /// Every kind.
    everything: bool,
}

impl Listed {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            nodes: snapshot.has_nodes,
            everything: snapshot.is_complete(),
        }
    }
}

/// For a Queued entry every unmet gate, for an entry in a later phase what it waits for.
fn explain_entry(
    cluster: &Cluster,
    memory: &Memory,
    now: Now,
    turn: &Turn<'_>,
    listed: Listed,
    times: &ConditionTimes,
) -> Explanation {
    let entry = turn.entry;
    let record = &entry.record;
    let node = &entry.spec.node;
    let mut unmet: Vec<Blocker> = Vec::new();
    // Without the nodes every gate would say that the Node is gone.
    if listed.nodes {
        unmet = junban_core::explain::explain(cluster, memory, now, node);
        // A command does not know the health of the control plane. That somebody must read it first is no reason to wait.
        unmet.retain(|blocker| blocker.reason != Reason::ControlPlaneChecking);
    }
    // What the controller says comes first if this command did not find it: the user may not list everything, or no gate
    // is asked in this phase.
    if let Some(reason) = record.reason
        && !unmet.iter().any(|found| found.reason == reason)
        && (!listed.everything || record.phase != Phase::Queued || unmet.is_empty())
    {
        let detail = Detail::Said(record.message.clone());
        unmet.insert(0, Blocker::new(reason, ObjectRef::None, detail));
    }
    if record.phase == Phase::Draining {
        unmet.extend(remaining_pods(cluster, memory, now, turn));
    }
    unmet.sort_by_key(|blocker| blocker.reason.class() == Class::Passes);
    unmet.dedup();
    Explanation {
        summary: summary(entry, unmet.is_empty()),
        hint: hint(entry),
        unmet: unmet
            .into_iter()
            .map(|blocker| {
                let (since, since_of) = times.since(entry, blocker.reason, is_recorded(entry, &blocker));
                Unmet {
                    reason: blocker.reason.to_string(),
                    object: blocker.object.to_string(),
                    message: blocker.to_string(),
                    hint: blocker.hint().replace("NODE", node.as_str()),
                    needs_somebody: blocker.reason.class() == Class::NeedsSomebody,
                    since: format_goal(since),
                    since_of,
                }
            })
            .collect(),
        ..Explanation::new(node, Some(entry))
    }
}

/// Each pod that must still leave, with what it waits for.
fn remaining_pods(cluster: &Cluster, memory: &Memory, now: Now, turn: &Turn<'_>) -> Vec<Blocker> {
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
        Duty::Follows => Some(evicting(pod, Detail::Follows)),
        Duty::Spared(blocker) => Some(why_spared(pod, blocker, false)),
        Duty::Forbidden(blocker)
        | Duty::Completes(blocker)
        | Duty::Returns(blocker)
        | Duty::Stuck(blocker) => Some(blocker),
        Duty::Evict => {
            let denied = match budget_of(cluster, pod) {
                Ok(budget) => tokens.take(&budget, pod, node, policy).err(),
                Err(blocker) => Some(blocker),
            };
            Some(denied.unwrap_or_else(|| evicting(pod, Detail::EvictedNext)))
        }
    })
    .collect()
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
            "queued, and no gate holds it back: it starts as soon as the controller acts".to_owned()
        }
        Phase::Queued => "queued, not touched yet".to_owned(),
        Phase::Draining => format!("its pods leave{drained}"),
        Phase::Rebooting => "its power action is recorded or under way".to_owned(),
        Phase::Verifying => "it has rebooted and is being proven".to_owned(),
        Phase::Failed => "its reboot failed; it stays cordoned, the others go on".to_owned(),
        Phase::Succeeded | Phase::Cancelled => "its turn is over".to_owned(),
    }
}

fn hint(entry: &Entry) -> String {
    match entry.record.phase {
        Phase::Queued if entry.record.observed_generation == 0 => {
            "no controller has seen its entry yet: kubectl get lease junban -n junban".to_owned()
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
