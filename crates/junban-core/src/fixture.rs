//! Small objects for unit tests.

use crate::ids::Version;
use crate::quantity::IntOrPercent;
use crate::queue::{ControlPlane, Ledger, Queue, QueueSummary};

/// A queue with the defaults of design.md 3 and an empty ledger.
pub(crate) fn queue() -> Queue {
    Queue {
        uid: "queue-uid".into(),
        version: Version(1),
        generation: 1,
        paused: false,
        pause_reason: String::new(),
        max_concurrent: IntOrPercent::Percent(100),
        max_unavailable: IntOrPercent::Percent(10),
        failures_max: IntOrPercent::Percent(5),
        control_plane: ControlPlane::default(),
        history_per_node: 3,
        ledger: Some(Ledger::default()),
        summary: QueueSummary::default(),
    }
}
