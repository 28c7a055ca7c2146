//! May anything start in this cluster? Nothing starts if the view is implausible, or after more failures than
//! `failures.max` allows (docs/design/life-cycle.md#failures-and-halt).

use std::time::Duration;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::detail::Detail;
use crate::entry::{Entry, Phase};
use crate::object::ObjectRef;
use crate::reason::Reason;

const WINDOW: Duration = Duration::from_secs(600);

/// Whether the view of the cluster is too old, or too many nodes changed at once.
pub fn implausible(plan: &PlanBuilder<'_>) -> Option<Blocker> {
    let blocked = |detail| Some(Blocker::new(Reason::Implausible, ObjectRef::Cluster, detail));
    if let Some(text) = &plan.cluster.stale {
        return blocked(Detail::CacheOld(text.clone()));
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
        // Junban's own reboots do not count.
        .filter(|node| {
            plan.derived
                .turns
                .get(&node.name)
                .is_none_or(|turn| turn.slot.is_none())
        })
        .count();
    if gone_down > (nodes / 2).max(3) {
        return blocked(Detail::NodesWentDown {
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
        return blocked(Detail::NodesVanished {
            known: most,
            left: nodes,
        });
    }
    None
}

/// Whether more entries are Failed than `failures.max` allows. Boots that take suspiciously long count as well.
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

/// Whether a boot takes longer than twice the longest one proven so far, and longer than a third of bootTimeout.
fn is_overdue(plan: &PlanBuilder<'_>, entry: &Entry) -> bool {
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
