//! Is there a place? The arithmetic of lifecycle.md 4.

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::gates::Candidate;
use crate::guard::{self, Guard, Slip};
use crate::ids::NodeName;
use crate::object::ObjectRef;
use crate::quantity::IntOrPercent;
use crate::queue::Queue;
use crate::reason::Reason;

/// `failures.max` as a number: in percent at least 1; the number 0 means stop at the first; never more than half of
/// the nodes.
pub fn failures_max(queue: &Queue, nodes: usize) -> usize {
    let written = match queue.failures_max {
        IntOrPercent::Count(count) => count as usize,
        percent => percent.of_rounded_up(nodes).max(1),
    };
    written.min(nodes / 2)
}

/// How many nodes are broken and stay so.
pub fn broken(plan: &PlanBuilder<'_>) -> usize {
    let derived = &plan.derived;
    let leaves = |name: &NodeName| derived.turns.get(name).is_some_and(|turn| plan.goes_back(turn));
    derived.broken.iter().filter(|name| !leaves(name)).count()
}

/// Places: max(⌈maxUnavailable⌉, min(broken, failures.max) + 1). Without failures it is the written limit; beside
/// tolerated failures there is always one place more, so one dead server stops no cluster of three.
pub fn places(queue: &Queue, nodes: usize, broken: usize) -> usize {
    let written = queue.max_unavailable.of_rounded_up(nodes).max(1);
    written.max(broken.min(failures_max(queue, nodes)) + 1) + guard::slip(Slip::Place) as usize
}

pub fn check(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    let policy = candidate.policy.as_ref().ok()?;
    let Candidate { node, tally, .. } = candidate;
    if !guard::holds(Guard::LimitQueue, tally.active < tally.max_concurrent) {
        return Some(Blocker::new(
            Reason::QueueLimit,
            ObjectRef::Limit("maxConcurrent".into()),
            Detail::QueueFull(tally.active),
        ));
    }
    let active = tally.active_of_policy.get(&policy.name).copied().unwrap_or(0);
    let full = policy.max_concurrent.is_some_and(|most| active >= most.max(1));
    if !guard::holds(Guard::LimitPolicy, !full) {
        return Some(Blocker::new(
            Reason::PolicyLimit,
            ObjectRef::Policy(policy.name.clone()),
            Detail::PolicyFull(active),
        ));
    }
    let already = plan.derived.places.contains(&node.name);
    let has_place = already || tally.places.len() < tally.max_unavailable;
    if !guard::holds(Guard::LimitPlaces, has_place) {
        // The sentence names no holder: holders change with each start, and every waiting entry stores the sentence.
        return Some(Blocker::new(
            Reason::NoPlace,
            ObjectRef::Nodes(tally.places.iter().take(5).cloned().collect()),
            Detail::PlacesFull(tally.max_unavailable),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn limits(max_unavailable: &str, failures_max: &str) -> Queue {
        let parse = |text| IntOrPercent::parse(text).unwrap();
        Queue {
            max_unavailable: parse(max_unavailable),
            failures_max: parse(failures_max),
            ..fixture::queue()
        }
    }

    #[test]
    fn without_failures_it_is_the_written_limit() {
        let queue = limits("10%", "5%");
        assert_eq!(
            [3, 10, 11, 30].map(|nodes| places(&queue, nodes, 0)),
            [1, 1, 2, 3]
        );
    }

    #[test]
    fn beside_tolerated_failures_there_is_always_one_place_more() {
        let queue = limits("10%", "5%");
        assert_eq!(places(&queue, 3, 1), 2);
        // More than failures.max tolerates makes no further place.
        assert_eq!(places(&queue, 3, 2), 2);
        assert_eq!(places(&limits("50%", "5%"), 30, 1), 15);
    }

    #[test]
    fn failures_max_in_percent_is_at_least_one_and_the_number_zero_stops_at_the_first() {
        assert_eq!(failures_max(&limits("1", "5%"), 3), 1);
        assert_eq!(failures_max(&limits("1", "0"), 3), 0);
        assert_eq!(
            failures_max(&limits("1", "100%"), 7),
            3,
            "never more than half of the nodes"
        );
    }
}
