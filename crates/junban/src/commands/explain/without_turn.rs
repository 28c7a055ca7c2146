//! Why a node has no entry, or only entries that have ended.

use jiff::Timestamp;
use junban_api::convert::format_goal;
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::derived::{Derived, Turn};
use junban_core::ids::NodeName;
use junban_core::reason::Reason;
use junban_core::time::Now;

use super::explanation::Explanation;

pub(super) fn of_node(
    cluster: &Cluster,
    derived: &Derived<'_>,
    now: Now,
    name: &NodeName,
    turn: Option<&Turn<'_>>,
) -> Explanation {
    let mut explanation = Explanation {
        node: name.to_string(),
        ..Explanation::default()
    };
    if let Some(turn) = turn {
        let entry = turn.entry;
        explanation.entry = Some(entry.name.to_string());
        explanation.policy = Some(entry.spec.policy.to_string());
        explanation.goal = Some(format_goal(entry.spec.booted_after));
        explanation.phase = Some(entry.record.phase.to_string());
        explanation.since = entry.record.since.map(format_goal);
        explanation.attempt = entry.record.attempt;
    }
    let (why, hint) = why_none(cluster, derived, now.wall, name);
    let last = turn.map_or_else(String::new, |turn| {
        let reason = turn.entry.record.reason;
        let reason = reason.filter(|reason| reason.as_str() != turn.phase().as_str());
        let reason = reason.map_or_else(String::new, |reason| format!(", {reason}"));
        format!(" (its last turn: {}{reason})", turn.phase())
    });
    explanation.summary = format!("{why}{last}");
    explanation.hint = hint;
    explanation
}

fn why_none(cluster: &Cluster, derived: &Derived<'_>, wall: Timestamp, name: &NodeName) -> (String, String) {
    let hinted = |why: &str, hint: &str| (why.to_owned(), hint.to_owned());
    let Some(node) = cluster.nodes.get(name) else {
        return hinted("there is no such node any more", "");
    };
    if node.excluded {
        let why = format!(
            "it is labelled {}: never touched, and counted nowhere",
            names::EXCLUDE
        );
        return (why, format!("kubectl label node {name} {}-", names::EXCLUDE));
    }
    let policy = match derived.governed.get(name) {
        Some(Ok(policy)) => *policy,
        Some(Err(blocker)) => return hinted(&blocker.to_string(), blocker.reason.hint()),
        None => return hinted("no policy selects it", Reason::NoPolicy.hint()),
    };
    let Some(goal) = policy.booted_after else {
        let why = format!("policy {} governs it and has no goal", policy.name);
        return (why, format!("junban reboot --all, or junban reboot {name}"));
    };
    let shown = format_goal(goal);
    if goal > wall {
        let why = format!(
            "the goal {shown} of policy {} lies in the future: not due yet",
            policy.name
        );
        return (why, "junban reboot --all --again sets it to now".to_owned());
    }
    if derived.is_waived(node, goal) {
        let why = format!("the goal {shown} was waived for it, by a cancel");
        return (why, format!("junban reboot {name}"));
    }
    if derived.has_booted_since(node, goal) {
        let why = format!(
            "the goal {shown} of policy {} is met: it has booted since",
            policy.name
        );
        return (why, "junban reboot --all --again asks for one more".to_owned());
    }
    if node.boot_id.is_none() {
        return hinted("it has reported no bootID", Reason::NoBootId.hint());
    }
    if node.mark_text.is_some() {
        return hinted(
            "it still carries the mark of an earlier turn, which ends first",
            "see the controller's log: kubectl logs -n junban deployment/junban",
        );
    }
    // If no entry can be made, no entry can say why: the policy's status says it.
    let summary = &policy.summary;
    if let Some(reason) = Reason::ALL
        .iter()
        .find(|reason| reason.as_str() == summary.problem)
    {
        let why = format!(
            "the goal is due and its entry is not made yet; policy {} says {reason}: {}",
            policy.name, summary.message
        );
        return (why, reason.hint().to_owned());
    }
    hinted(
        "the goal is due and its entry is not made yet",
        "if that lasts, no controller is at work: kubectl get lease junban -n junban",
    )
}
