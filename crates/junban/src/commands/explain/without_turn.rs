//! Why a node has no entry, or only entries that have ended.

use jiff::Timestamp;
use junban_api::convert::format_goal;
use junban_api::names;
use junban_core::cluster::Cluster;
use junban_core::derived::{Derived, Turn};
use junban_core::ids::NodeName;
use junban_core::reason::Reason;
use junban_core::standing::governing;
use junban_core::time::Now;

use super::explanation::Explanation;

pub(super) fn explain_node(
    cluster: &Cluster,
    derived: &Derived<'_>,
    now: Now,
    name: &NodeName,
    turn: Option<&Turn<'_>>,
) -> Explanation {
    let (why, hint) = why_no_entry(cluster, derived, now.wall, name);
    let last = turn.map_or_else(String::new, |turn| {
        let reason = turn.entry.record.reason;
        let reason = reason.filter(|reason| reason.as_str() != turn.phase().as_str());
        let reason = reason.map_or_else(String::new, |reason| format!(", {reason}"));
        format!(" (its last turn: {}{reason})", turn.phase())
    });
    Explanation {
        summary: format!("{why}{last}"),
        hint,
        ..Explanation::new(name, turn.map(|turn| turn.entry))
    }
}

/// The reason in words, and a hint.
fn why_no_entry(
    cluster: &Cluster,
    derived: &Derived<'_>,
    wall: Timestamp,
    name: &NodeName,
) -> (String, String) {
    let hinted = |why: &str, hint: &str| (why.to_owned(), hint.to_owned());
    let Some(node) = cluster.nodes.get(name) else {
        return hinted("there is no such node any more", "");
    };
    if node.excluded {
        let why = format!(
            "it is labelled {}: Junban neither touches nor counts it",
            names::EXCLUDE
        );
        return (why, format!("kubectl label node {name} {}-", names::EXCLUDE));
    }
    let policy = match governing(cluster, node) {
        Ok(policy) => policy,
        Err(blocker) => return hinted(&blocker.to_string(), blocker.hint()),
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
        let why = format!("a cancel waived the goal {shown} for it");
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
            "it still has the mark of an earlier turn, which must end first",
            "see the controller's log: kubectl logs -n junban deployment/junban",
        );
    }
    // While no entry can be created, the policy's status says why.
    let summary = &policy.summary;
    let due = "the goal is due, and the controller has not created its entry yet";
    match Reason::named(&summary.problem) {
        Some(reason) => {
            let why = format!("{due}; policy {} says {reason}: {}", policy.name, summary.message);
            (why, reason.hint().to_owned())
        }
        None => hinted(
            due,
            "if this lasts, see whether a controller runs: kubectl get lease junban -n junban",
        ),
    }
}
