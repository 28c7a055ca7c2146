//! S11: later than 5 s after a pause, nothing is cordoned, evicted, deleted or powered. A deleted queue is a pause.

use super::params::Params;
use super::view::ClusterView;
use crate::api::Ms;
use crate::truth::{PowerOutcome, Removal, Truth, TruthEvent};

/// After this time the controller must know the pause.
const KNOWN_AFTER_MS: Ms = 5000;

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    let Some(since) = view.paused_since.filter(|s| s + KNOWN_AFTER_MS < event.at) else {
        return vec![];
    };
    let what = match &event.what {
        Truth::Cordon {
            node,
            cordoned: true,
            by,
        } if params.is_controller(by) => format!("cordon of {node}"),
        Truth::Eviction {
            by,
            pod,
            dry_run: false,
            ..
        } if params.is_controller(by) => format!("eviction of {pod}"),
        Truth::PodRemoval {
            pod,
            why: Removal::Deleted { by, .. },
            ..
        } if params.is_controller(by) => format!("deletion of {pod}"),
        Truth::PowerCalled { node, outcome, .. } if *outcome != PowerOutcome::NothingStarted => {
            format!("power action on {node}")
        }
        _ => return vec![],
    };
    vec![format!("{what} {} ms after the pause", event.at - since)]
}
