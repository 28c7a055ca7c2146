//! `junban reboot --all`: one fact about the cluster, "booted since T", set on every policy (lifecycle.md 1).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use junban_api::convert::format_goal;
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::derived::Derived;
use junban_core::entry::{Entry, Phase};
use junban_core::goal::entry_name;
use junban_core::ids::PolicyName;
use junban_core::memory::Memory;
use junban_core::policy::Policy;
use junban_core::reason::{Class, Reason};
use junban_core::time::Now;
use junban_kube::resource::Kind;
use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, Status};
use serde_json::json;

use crate::cli::Reboot;
use crate::commands::columns::some;
use crate::commands::printer::{Done, Printer};
use crate::commands::problem::Problem;
use crate::commands::session::Session;
use crate::commands::view::{self, View};
use crate::commands::wait::Target;

/// Two API servers' clocks may differ by so much; a goal that is no further ahead is not "in the future".
const SKEW: Duration = Duration::from_secs(5);

pub(super) async fn run(
    session: &Session,
    arguments: &Reboot,
    printer: &mut Printer,
) -> Result<Target, Problem> {
    let view = View::with_nodes(session).await?;
    let uids = uids(session).await?;
    let (decision, notes) = {
        let cluster = view.cluster();
        let now = view::now(&cluster, session.now(), None);
        let decision = decide(&cluster, now, arguments.again)?;
        let mut notes = left_aside(&cluster, now);
        notes.extend(super::notes(&cluster, &that_govern(&cluster, now)));
        let joined = decision.policies.values().any(|said| *said != Said::Set);
        notes.extend(super::dropped_reason(
            &arguments.reason,
            joined,
            "junban reboot --all --again --reason TEXT sets a new goal for all",
        ));
        (decision, notes)
    };
    let generations = apply(session, &decision, &uids, &arguments.reason).await?;
    let mut done = Vec::new();
    for (name, said) in &decision.policies {
        let did = match said {
            Said::Set => format!("goal set to {}", format_goal(decision.goal)),
            Said::Joined(text) => text.clone(),
        };
        done.push(Done {
            goal: Some(format_goal(decision.goal)),
            ..Done::new("rebootpolicy", name.as_str(), did)
        });
    }
    printer.done(&done)?;
    for note in notes {
        printer.talk(&note);
    }
    if !arguments.wait {
        printer.talk("follow it with: junban status --watch");
    }
    Ok(Target::Policies {
        generations,
        goal: decision.goal,
    })
}

/// What is to be done with each policy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) goal: Timestamp,
    pub(super) policies: BTreeMap<PolicyName, Said>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Set,
    /// It is under way: nothing is changed.
    Joined(String),
}

/// Joins what is under way, or sets a new goal everywhere. A policy that a call before this one did not reach gets
/// the goal of that call.
pub(super) fn decide(cluster: &Cluster, now: Now, again: bool) -> Result<Decision, Problem> {
    view::queue(cluster)?;
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, now);
    possible(cluster, &derived)?;
    if !again {
        not_in_the_future(cluster, now)?;
    }
    let under_way = cluster
        .policies
        .values()
        .filter(|policy| !again && is_under_way(cluster, &derived, policy));
    let joined = under_way.filter_map(|policy| policy.booted_after).max();
    let goal = joined.unwrap_or(now.wall);
    let policies = cluster.policies.values().map(|policy| {
        let has_it = joined.is_some() && policy.booted_after.is_some_and(|its| its >= goal);
        let said = if has_it {
            Said::Joined(rest(cluster, &derived, policy))
        } else {
            Said::Set
        };
        (policy.name.clone(), said)
    });
    Ok(Decision {
        goal,
        policies: policies.collect(),
    })
}

fn possible(cluster: &Cluster, derived: &Derived<'_>) -> Result<(), Problem> {
    if cluster.policies.is_empty() {
        let unreadable = cluster
            .unreadable
            .iter()
            .find(|(key, _)| policy_of(key).is_some());
        return Err(match unreadable {
            Some((key, text)) => Problem::failed(
                format!("no policy can be read; {key}: {text}"),
                Reason::UnreadablePolicy.hint(),
            ),
            None => Problem::failed(
                "there is no RebootPolicy: no node is anybody's to reboot",
                "kubectl apply --server-side -f manifests/defaults",
            ),
        });
    }
    if derived.governed.values().any(Result::is_ok) {
        return Ok(());
    }
    let conflict = derived.governed.values().find_map(|governing| {
        let blocker = governing.as_ref().err()?;
        (blocker.reason == Reason::PolicyConflict).then_some(blocker)
    });
    Err(match conflict {
        Some(blocker) => Problem::failed(
            format!("no node can be rebooted: {blocker}"),
            blocker.reason.hint(),
        ),
        None => Problem::failed(
            format!("no policy selects any of the {} nodes", cluster.nodes.len()),
            "compare spec.nodeSelector with kubectl get nodes --show-labels: kubectl get rebootpolicies -o yaml",
        ),
    })
}

fn not_in_the_future(cluster: &Cluster, now: Now) -> Result<(), Problem> {
    let ahead = cluster.policies.values().find_map(|policy| {
        let goal = policy.booted_after?;
        let by = Duration::try_from(goal.duration_since(now.wall)).ok()?;
        (by > SKEW).then_some((policy, goal))
    });
    match ahead {
        None => Ok(()),
        Some((policy, goal)) => Err(Problem::failed(
            format!(
                "policy {} has the goal {}, which lies in the future (it is {}): not due yet, nothing was changed",
                policy.name,
                format_goal(goal),
                format_goal(now.wall)
            ),
            "let it come, or set it to now: junban reboot --all --again",
        )),
    }
}

/// Whether a policy's goal is being worked on (lifecycle.md 1, asked twice).
fn is_under_way(cluster: &Cluster, derived: &Derived<'_>, policy: &Policy) -> bool {
    let Some(goal) = policy.booted_after else {
        return false;
    };
    let moves = |entry: &Entry| {
        let passes = entry
            .record
            .reason
            .is_none_or(|reason| reason.class() != Class::NeedsSomebody || reason == Reason::Paused);
        let phase = entry.record.phase;
        phase.is_in_flight() || (phase == Phase::Queued && passes)
    };
    let entry_moves = cluster
        .entries
        .values()
        .any(|entry| entry.spec.policy == policy.name && entry.spec.booted_after <= goal && moves(entry));
    // Of a policy that cannot be read the status may never be written.
    let is_unseen = policy.summary.observed_generation < policy.generation
        && cluster.unreadable_policy(&policy.name).is_none();
    entry_moves || is_unseen || has_node_without_entry(cluster, derived, policy, goal)
}

/// The controller makes entries one after another: a node of the goal may have none yet.
fn has_node_without_entry(
    cluster: &Cluster,
    derived: &Derived<'_>,
    policy: &Policy,
    goal: Timestamp,
) -> bool {
    cluster.nodes.values().any(|node| {
        let governs = derived
            .policy_of(&node.name)
            .is_some_and(|governing| governing.name == policy.name);
        let aside = node.excluded || node.mark.is_some() || derived.is_waived(node, goal);
        let journalled = node
            .journal
            .as_ref()
            .is_some_and(|journal| node.boot_id.as_ref() == Some(&journal.boot_id));
        let has_turn = derived
            .turns
            .get(&node.name)
            .is_some_and(|turn| turn.node.is_some() && !turn.phase().is_ended());
        let name = entry_name(&node.name, &node.uid, &policy.name, goal);
        let due = governs && !aside && journalled && !derived.has_booted_since(node, goal);
        due && !has_turn && !cluster.entries.contains_key(&name)
    })
}

fn rest(cluster: &Cluster, derived: &Derived<'_>, policy: &Policy) -> String {
    let Some(goal) = policy.booted_after else {
        return String::new();
    };
    let of_policy: Vec<_> = cluster
        .nodes
        .values()
        .filter(|node| !node.excluded)
        .filter(|node| {
            derived
                .policy_of(&node.name)
                .is_some_and(|governing| governing.name == policy.name)
        })
        .collect();
    if of_policy.is_empty() {
        return format!("has the goal {} already and governs no node", format_goal(goal));
    }
    let done = of_policy
        .iter()
        .filter(|node| derived.has_booted_since(node, goal))
        .count();
    let mut text = format!(
        "joined the goal {}, which is under way: {done} of {} servers done",
        format_goal(goal),
        of_policy.len()
    );
    let mut phases: BTreeMap<Phase, usize> = BTreeMap::new();
    for turn in derived
        .turns
        .values()
        .filter(|turn| turn.entry.spec.policy == policy.name)
    {
        *phases.entry(turn.phase()).or_default() += 1;
    }
    for (phase, count) in phases.iter().filter(|(phase, _)| !phase.is_ended()) {
        text.push_str(&format!(", {count} {phase}"));
    }
    text
}

/// Policies that govern a node: what the others lack keeps nobody waiting.
fn that_govern(cluster: &Cluster, now: Now) -> BTreeSet<PolicyName> {
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, now);
    let governing = derived.governed.values().flatten();
    governing.map(|policy| policy.name.clone()).collect()
}

/// Nodes that this goal does not reach, and why.
pub(super) fn left_aside(cluster: &Cluster, now: Now) -> Vec<String> {
    let memory = Memory::default();
    let derived = Derived::new(cluster, &memory, now);
    let mut aside: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for node in cluster.nodes.values().filter(|node| node.excluded) {
        seen.insert(&node.name);
        aside
            .entry(format!("labelled {}", names::EXCLUDE))
            .or_default()
            .push(node.name.to_string());
    }
    for (name, governing) in derived.governed.iter().filter(|(name, _)| !seen.contains(*name)) {
        if let Err(blocker) = governing {
            let why = format!("{blocker}; hint: {}", blocker.reason.hint());
            aside.entry(why).or_default().push(name.to_string());
        }
    }
    let of_nodes = aside
        .into_iter()
        .map(|(why, nodes)| format!("note: not rebooted: {} ({why})", some(&nodes, 5)));
    let of_policies = cluster
        .unreadable
        .iter()
        .filter_map(|(key, text)| Some((policy_of(key)?, text)))
        .map(|(name, text)| super::unreadable(name, text));
    of_nodes.chain(of_policies).collect()
}

/// The policy of a key among what cannot be read.
fn policy_of(key: &str) -> Option<&str> {
    key.strip_prefix(Kind::Policy.as_str())?.strip_prefix('/')
}

/// UIDs of the policies: an apply that carries one never makes an object anew.
async fn uids(session: &Session) -> Result<BTreeMap<String, String>, Problem> {
    let api = Kind::Policy.api(&session.connection.calls);
    let list = session
        .ask(
            "list",
            "rebootpolicies",
            api.list(&kube::api::ListParams::default()),
        )
        .await?;
    let uid = |object: DynamicObject| Some((object.metadata.name?, object.metadata.uid?));
    Ok(list.items.into_iter().filter_map(uid).collect())
}

/// Applies the goal to the policies that are to get it: first all of them as a dry run, so that one refusal leaves
/// all as they were. Answers with the generations that status must have seen.
async fn apply(
    session: &Session,
    decision: &Decision,
    uids: &BTreeMap<String, String>,
    reason: &str,
) -> Result<BTreeMap<PolicyName, i64>, Problem> {
    let api = Kind::Policy.api(&session.connection.calls);
    let mut generations = BTreeMap::new();
    for dry_run in [true, false] {
        for (name, said) in &decision.policies {
            let Some(uid) = uids.get(name.as_str()) else {
                return Err(gone(name));
            };
            if matches!(said, Said::Joined(_)) {
                let object = session
                    .ask("get", "rebootpolicies", api.get(name.as_str()))
                    .await?;
                generations.insert(name.clone(), object.metadata.generation.unwrap_or_default());
                continue;
            }
            let mut object = json!({
                "apiVersion": names::API_VERSION,
                "kind": Kind::Policy.as_str(),
                "metadata": {"name": name, "uid": uid},
                "spec": {"bootedAfter": format_goal(decision.goal)},
            });
            if !reason.is_empty() {
                object["metadata"]["annotations"] = json!({names::REASON: reason});
            }
            let parameters = PatchParams {
                dry_run,
                field_manager: Some(names::GOAL_FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Apply(&object);
            match session
                .answer(api.patch(name.as_str(), &parameters, &patch))
                .await
            {
                Ok(object) => {
                    generations.insert(name.clone(), object.metadata.generation.unwrap_or_default());
                }
                Err(failure) => {
                    return Err(match failure.status() {
                        Some(status) if status.code == 409 => conflict(name, status),
                        _ => failure.problem(session, "patch", "rebootpolicies"),
                    });
                }
            }
        }
    }
    Ok(generations)
}

fn gone(name: &PolicyName) -> Problem {
    Problem::failed(
        format!("policy {name} was deleted at this moment: nothing was changed"),
        "junban reboot --all",
    )
}

/// A 409 of server-side apply: another manager owns the goal, or the object is not the one that was read.
fn conflict(name: &PolicyName, status: &Status) -> Problem {
    let managers: Vec<String> = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .filter_map(|cause| cause.message.split('"').nth(1).map(str::to_owned))
        .collect();
    if managers.is_empty() {
        return gone(name);
    }
    Problem::failed(
        format!(
            "the goal of policy {name} belongs to {}: it would be set back, so nothing was changed",
            some(&managers, 3)
        ),
        format!(
            "set it there; or take it away from there and run this again: kubectl patch rebootpolicy {name} --type json -p '[{{\"op\":\"remove\",\"path\":\"/spec/bootedAfter\"}}]'"
        ),
    )
}

#[cfg(test)]
#[path = "all_tests.rs"]
mod tests;
