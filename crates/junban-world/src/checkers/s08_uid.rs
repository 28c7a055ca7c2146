//! S8: every eviction and every deletion names the pod's UID as its precondition.

use super::params::Params;
use super::view::ClusterView;
use crate::truth::{Removal, Truth, TruthEvent};

pub(super) fn judge(event: &TruthEvent, _: &ClusterView, params: &Params) -> Vec<String> {
    match &event.what {
        Truth::Eviction {
            by,
            pod,
            uid_given: None,
            ..
        } if params.is_controller(by) => {
            vec![format!("eviction of {pod} without a UID")]
        }
        Truth::PodRemoval {
            pod,
            why: Removal::Deleted {
                by, uid_given: false, ..
            },
            ..
        } if params.is_controller(by) => {
            vec![format!("deletion of {pod} without a UID")]
        }
        _ => vec![],
    }
}
