//! Is the queue paused? No queue object means paused (docs/design/life-cycle.md#pause).

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::cluster::QueueView;
use crate::detail::Detail;
use crate::object::ObjectRef;
use crate::reason::Reason;

pub fn check(plan: &PlanBuilder<'_>) -> Option<Blocker> {
    of(&plan.cluster.queue)
}

/// Why nothing starts, if the queue says so.
pub fn of(queue: &QueueView) -> Option<Blocker> {
    let detail = match queue {
        QueueView::Absent => Detail::NoQueue,
        QueueView::Unreadable(text) => Detail::UnreadableQueue(text.clone()),
        QueueView::Present(queue) if queue.paused => Detail::PausedBecause(queue.pause_reason.clone()),
        QueueView::Present(queue) if queue.is_held() => Detail::QueueMadeAgain,
        QueueView::Present(_) => return None,
    };
    Some(Blocker::new(Reason::Paused, ObjectRef::Queue, detail))
}
