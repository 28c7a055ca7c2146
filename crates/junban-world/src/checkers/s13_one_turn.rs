//! S13: at most one entry of a node is in flight, no entry takes the slot of another entry that has not ended, and
//! there is only one entry for each node UID and goal.

use super::params::Params;
use super::view::ClusterView;
use crate::truth::{EntryFacts, Truth, TruthEvent};

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, _: &Params) -> Vec<String> {
    match &event.what {
        Truth::Entry(entry) => {
            let node = &entry.node;
            let mut broken = Vec::new();
            let mut others = view
                .entries
                .values()
                .filter(|e| e.uid != entry.uid && e.node_uid == entry.node_uid);
            if entry.in_flight() && others.clone().any(EntryFacts::in_flight) {
                broken.push(format!("two entries of {node} are in flight"));
            }
            let known = view.entries.get(&entry.uid);
            let begins = !entry.phase.is_empty() && known.is_none_or(|known| known.phase.is_empty());
            let goal = &entry.goal;
            if begins && !goal.is_empty() && others.any(|e| e.goal == *goal && !e.phase.is_empty()) {
                broken.push(format!("a second entry of {node} for the goal {goal}"));
            }
            broken
        }
        Truth::Slots { holders } => {
            let old = view.slots.iter().flatten();
            let taken = old.filter(|(node, entry)| {
                let alive = view.entries.get(*entry).is_some_and(|e| !e.ended());
                alive && holders.get(*node).is_some_and(|h| h != *entry)
            });
            taken
                .map(|(node, _)| format!("the slot of {node} went to another entry"))
                .collect()
        }
        _ => vec![],
    }
}
