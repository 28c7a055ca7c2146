//! Is the queue paused? No queue object means paused (lifecycle.md 5).

use crate::builder::PlanBuilder;
use crate::cluster::QueueView;
use crate::reason::{Blocker, Reason};

pub fn check(plan: &PlanBuilder<'_>) -> Option<Blocker> {
    let message = match &plan.cluster.queue {
        QueueView::Absent => "there is no RebootQueue named default: apply the manifests".to_owned(),
        QueueView::Unreadable(text) => format!("the queue cannot be read, which counts as paused: {text}"),
        QueueView::Present(queue) if queue.paused && queue.pause_reason.is_empty() => {
            "the queue is paused".to_owned()
        }
        QueueView::Present(queue) if queue.paused => format!("the queue is paused: {}", queue.pause_reason),
        QueueView::Present(_) => return None,
    };
    Some(Blocker::new(Reason::Paused, "queue default", message))
}
