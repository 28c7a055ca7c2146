//! Goals become entries (docs/design/life-cycle.md#goals).

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::builder::PlanBuilder;
use crate::derived::Derived;
use crate::effect::{Effect, NewEntry};
use crate::entry::EntrySpec;
use crate::ids::{EntryName, NodeName, NodeUid, PolicyName};
use crate::in_order::InOrder;
use crate::node::Node;
use crate::policy::Policy;
use crate::time::Timestamp;

/// How many entries a plan creates. Each is an API request.
const CREATED_PER_PLAN: usize = 50;

/// Makes the entries for the goals of policies.
pub fn settle(plan: &mut PlanBuilder<'_>) {
    let mut left = CREATED_PER_PLAN;
    let mut governing = InOrder::new(&plan.derived.governed);
    let mut turns = InOrder::new(&plan.derived.turns);
    let waiting: BTreeSet<&NodeName> = plan
        .derived
        .waiting
        .iter()
        .map(|entry| &entry.spec.node)
        .collect();
    let free = plan.cluster.nodes.values().filter_map(|node| {
        let policy = governing.get(&&node.name)?.as_ref().ok()?;
        // A node has one turn at a time: a raised goal makes no second entry, and a Failed entry waits for a person.
        let turn = turns.get(&&node.name).filter(|turn| turn.node.is_some());
        let has_open_turn = turn.is_some_and(|turn| !turn.phase().is_ended());
        // An ended turn still holds its slot for a moment, and another entry of the node may wait for it.
        let is_free = !has_open_turn && !waiting.contains(&node.name);
        is_free.then_some((node, *policy))
    });
    let free: Vec<_> = free.collect();
    for (node, policy) in free {
        let Some(goal) = policy.booted_after else { continue };
        if left == 0 {
            return plan.wake_in(std::time::Duration::from_millis(50));
        }
        if is_due_here(plan, node, policy, goal) {
            let spec = EntrySpec {
                reason: policy.goal_reason.clone(),
                priority: policy.priority,
                ..EntrySpec::new(node.name.clone(), node.uid.clone(), policy.name.clone(), goal)
            };
            let name = entry_name(&node.name, &node.uid, &policy.name, goal);
            left -= usize::from(plan.emit(Effect::CreateEntry(NewEntry { name, spec })));
        }
    }
}

/// Whether a policy's goal asks for a new entry of this node.
fn is_due_here(plan: &mut PlanBuilder<'_>, node: &Node, policy: &Policy, goal: Timestamp) -> bool {
    if goal > plan.now.wall {
        if let Ok(left) = std::time::Duration::try_from(goal.duration_since(plan.now.wall)) {
            plan.wake_in(left);
        }
        return false;
    }
    asks_for(&plan.derived, node, goal) && {
        let name = entry_name(&node.name, &node.uid, &policy.name, goal);
        !plan.cluster.entries.contains_key(&name) && !plan.cluster.unreadable_entries.contains_key(&name)
    }
}

/// Whether a goal that is due asks for a boot of this node, whatever entries the node has.
pub(crate) fn asks_for(derived: &Derived<'_>, node: &Node, goal: Timestamp) -> bool {
    let aside = node.excluded || node.mark.is_some() || derived.is_waived(node, goal);
    // Without a current journal it is not known whether the node has booted since.
    !aside && node.current_journal().is_some() && !derived.has_booted_since(node, goal)
}

/// `NODE-HASH`: the first 10 digits of the lower-case RFC 4648 base32 of SHA-256 over node UID, policy and goal in
/// UTC seconds, joined by `/`; NODE is cut so that the name fits 253 characters.
pub fn entry_name(node: &NodeName, uid: &NodeUid, policy: &PolicyName, goal: Timestamp) -> EntryName {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    const DIGITS: usize = 10;
    let digest = Sha256::digest(format!("{uid}/{policy}/{}", goal.as_second()));
    let bits: String = digest.iter().take(7).map(|byte| format!("{byte:08b}")).collect();
    let hash: String = (0..DIGITS)
        .filter_map(|digit| usize::from_str_radix(bits.get(digit * 5..digit * 5 + 5)?, 2).ok())
        .map(|value| char::from(ALPHABET[value]))
        .collect();
    let node = node.as_str();
    let kept = &node[..node.len().min(253 - DIGITS - 1)];
    EntryName::new(format!("{}-{hash}", kept.trim_end_matches(['.', '-'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_node_and_ten_digits_of_the_hash() {
        let goal = Timestamp::from_second(1_763_888_400).unwrap();
        let name = entry_name(&"node-17".into(), &"uid-1".into(), &"workers".into(), goal);
        // printf 'uid-1/workers/1763888400' | sha256sum | xxd -r -p | base32 | tr A-Z a-z | cut -c1-10
        assert_eq!(name.as_str(), "node-17-b6s7l344sp");
        let long = "n".repeat(300);
        assert_eq!(
            entry_name(&long.as_str().into(), &"u".into(), &"p".into(), goal)
                .as_str()
                .len(),
            253
        );
    }
}
