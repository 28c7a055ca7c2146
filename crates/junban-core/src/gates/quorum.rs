//! Is every other server of the node's quorum groups there? Of a group never two nodes are away at once, whoever caused it
//! (docs/design/control-plane.md#quorum-groups).

use super::Candidate;
use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::Quorum;
use crate::detail::Detail;
use crate::entry::Phase;
use crate::ids::NodeName;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::reason::Reason;

/// Before a start no other member is away.
pub fn before_start(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let name = &candidate.node.name;
    let blocker = |quorum: &Quorum<'_>| {
        let started = candidate.tally.places.iter();
        let started = started.filter(|other| quorum.members.contains(other));
        let mut others = quorum.away.iter().map(|node| &node.name).chain(started);
        if let Some(other) = others.find(|other| *other != name) {
            return Some(away(plan, quorum, other));
        }
        let pod = ObjectRef::Pod(quorum.pod_without_node?.clone());
        let detail = Detail::QuorumPodWithoutNode(quorum.name.to_owned());
        Some(Blocker::new(Reason::QuorumAway, pod, detail))
    };
    of(plan, name).find_map(blocker)
}

/// Before a power action no other member is away for a cause of its own. Members in a turn were judged at their start.
pub fn before_power(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let name = &candidate.node.name;
    of(plan, name).find_map(|quorum| {
        let mut others = quorum.away.iter().filter(|node| !has_turn(plan, node));
        let other = others.find(|node| node.name != *name)?;
        Some(away(plan, quorum, &other.name))
    })
}

/// The names of the groups of which the node is a member.
pub fn groups_of(plan: &PlanBuilder<'_>, node: &Node) -> Vec<String> {
    of(plan, &node.name)
        .map(|quorum| quorum.name.to_owned())
        .collect()
}

fn of<'p, 'a>(plan: &'p PlanBuilder<'a>, node: &'p NodeName) -> impl Iterator<Item = &'p Quorum<'a>> {
    plan.derived
        .quorums
        .iter()
        .filter(|quorum| quorum.members.contains(node))
}

/// Whether the node has a slot or a mark: then it is in a turn, which brings it back.
fn has_turn(plan: &PlanBuilder<'_>, node: &Node) -> bool {
    let slots = plan.derived.ledger.map(|ledger| &ledger.slots);
    node.mark.is_some() || slots.is_some_and(|slots| slots.contains_key(&node.name))
}

/// Says that this other member is away, and whether its turn brings it back.
fn away(plan: &PlanBuilder<'_>, quorum: &Quorum<'_>, other: &NodeName) -> Blocker {
    let node = plan.cluster.nodes.get(other);
    let is_down = |node: &Node| node.unschedulable || !node.ready;
    let without_turn = node.is_some_and(|node| is_down(node) && !has_turn(plan, node));
    let phase = plan.derived.turns.get(other).map(|turn| turn.phase());
    let waits_for_person = without_turn || matches!(phase, Some(Phase::Failed | Phase::Cancelled));
    let group = quorum.name.to_owned();
    let (reason, detail) = match waits_for_person {
        true => (Reason::QuorumAway, Detail::QuorumAway(group)),
        false => (Reason::QuorumTurn, Detail::QuorumInTurn(group)),
    };
    Blocker::new(reason, ObjectRef::Node(other.clone()), detail)
}

#[cfg(test)]
mod tests;
