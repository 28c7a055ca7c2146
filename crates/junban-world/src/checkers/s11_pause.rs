//! S11: five seconds after a pause (or the loss of the queue) nothing is cordoned, evicted, deleted or powered.

use super::params::Params;
use super::rule::Checker;
use super::view::ClusterView;
use crate::api::Ms;
use crate::truth::{PowerOutcome, Removal, Truth, TruthEvent};

/// By then a pause must be known.
const KNOWN_AFTER_MS: Ms = 5000;

/// The rule.
#[derive(Debug)]
pub struct Pause;

impl Checker for Pause {
    fn rule(&self) -> &'static str {
        "S11"
    }

    fn observe(&mut self, event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
        let Some(since) = view.paused_since.filter(|s| s + KNOWN_AFTER_MS < event.at) else {
            return vec![];
        };
        let what = match &event.what {
            Truth::Cordon {
                node,
                cordoned: true,
                by,
            } if params.ours(by) => format!("cordon of {node}"),
            Truth::Eviction {
                by,
                pod,
                dry_run: false,
                ..
            } if params.ours(by) => format!("eviction of {pod}"),
            Truth::PodRemoval {
                pod,
                why: Removal::Deleted { by, .. },
                ..
            } if params.ours(by) => format!("deletion of {pod}"),
            Truth::PowerCalled { node, outcome, .. } if *outcome != PowerOutcome::NothingStarted => {
                format!("power action on {node}")
            }
            _ => return vec![],
        };
        vec![format!("{what} {} ms after the pause", event.at - since)]
    }
}
