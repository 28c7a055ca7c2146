//! Is the cluster as a whole in a state in which anything may start? Implausible input, and more failures than
//! `failures.max`, stop new work (safety.md S17, S27).

use std::time::Duration;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::entry::Phase;
use crate::object::ObjectRef;
use crate::reason::Reason;

const WINDOW: Duration = Duration::from_secs(600);

/// Whether the view of the cluster is too old, or too many nodes changed at once.
pub fn implausible(plan: &PlanBuilder<'_>) -> Option<Blocker> {
    let say = |detail| Some(Blocker::new(Reason::Implausible, ObjectRef::Cluster, detail));
    if let Some(text) = &plan.cluster.stale {
        return say(Detail::CacheOld(text.clone()));
    }
    let now = plan.now.mono;
    let nodes = plan.cluster.nodes.len();
    let gone_down = plan
        .cluster
        .nodes
        .values()
        .filter(|node| !node.ready)
        .filter(|node| {
            let seen = plan.memory.sightings.readiness_of(node);
            seen.is_some_and(|seen| !seen.ready && seen.changed && now.since(seen.since) < WINDOW)
        })
        // Our own reboots are no surprise.
        .filter(|node| {
            plan.derived
                .turns
                .get(&node.name)
                .is_none_or(|turn| turn.slot.is_none())
        })
        .count();
    if gone_down > (nodes / 2).max(3) {
        return say(Detail::NodesWentDown {
            down: gone_down,
            nodes,
        });
    }
    let most = plan
        .memory
        .sightings
        .node_counts
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(nodes);
    if most > 3 && nodes * 10 < most * 7 {
        return say(Detail::NodesVanished {
            known: most,
            left: nodes,
        });
    }
    None
}

/// While Failed entries exceed `failures.max` nothing starts. Machines that boot suspiciously long count as well.
pub fn halted(plan: &PlanBuilder<'_>) -> Option<Blocker> {
    let queue = plan.derived.queue?;
    let most = queue.failures_tolerated(plan.derived.counted);
    let failed = plan.derived.failed.len();
    let overdue = plan
        .derived
        .turns
        .values()
        .filter(|turn| is_overdue(plan, turn.entry))
        .count();
    (failed + overdue > most).then(|| {
        let nodes = plan.derived.failed.iter().map(|entry| entry.spec.node.clone());
        let detail = Detail::Failures {
            failed,
            overdue,
            max: most,
            nodes: nodes.take(5).collect(),
        };
        Blocker::new(Reason::Halted, ObjectRef::Limit("failures.max".into()), detail)
    })
}

/// In Rebooting for more than twice the longest boot proven so far, and a third of bootTimeout at least.
fn is_overdue(plan: &PlanBuilder<'_>, entry: &crate::entry::Entry) -> bool {
    let record = &entry.record;
    let (Phase::Rebooting, Some(power), Some(since)) = (record.phase, &record.power, record.phase_at) else {
        return false;
    };
    let Some(longest) = plan.derived.longest_boot_ms else {
        return false;
    };
    let limit = (2 * longest).max(power.boot_timeout_seconds * 1_000 / 3);
    plan.now.clock.led_since(since) > Duration::from_millis(limit)
}
