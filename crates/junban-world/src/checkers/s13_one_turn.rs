//! S13: at most one entry of a node is in flight, no entry takes the slot of another entry that has not ended, and
//! there is only one entry for each node UID and goal.

use super::params::Params;
use super::view::{ClusterView, in_flight};
use crate::truth::{Truth, TruthEvent};

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, _: &Params) -> Vec<String> {
    match &event.what {
        Truth::Entry {
            entry,
            node_uid,
            goal,
            from,
            to,
            node,
            ..
        } => {
            let mut broken = Vec::new();
            let mut others = view
                .entries
                .iter()
                .filter(|(uid, e)| *uid != entry && e.node_uid == *node_uid);
            if in_flight(to) && others.clone().any(|(_, e)| e.in_flight()) {
                broken.push(format!("two entries of {node} are in flight"));
            }
            if from.is_empty() && !goal.is_empty() && others.any(|(_, e)| e.goal == *goal) {
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
