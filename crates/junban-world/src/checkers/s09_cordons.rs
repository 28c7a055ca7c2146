//! S9: the controller never uncordons a node that somebody else has cordoned.

use super::params::Params;
use super::view::ClusterView;
use crate::truth::{Truth, TruthEvent};

pub(super) fn judge(event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
    let Truth::Cordon {
        node,
        cordoned: false,
        by,
    } = &event.what
    else {
        return vec![];
    };
    let whose = view
        .nodes
        .get(node)
        .and_then(|n| n.cordoned_by.clone())
        .unwrap_or_default();
    if params.is_controller(by) && !params.is_controller(&whose) {
        return vec![format!("{by} uncordoned {node}, but {whose:?} had cordoned it")];
    }
    vec![]
}
