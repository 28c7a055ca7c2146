//! S9: the controller never uncordons a node that somebody else cordoned.

use super::params::Params;
use super::rule::Checker;
use super::view::ClusterView;
use crate::truth::{Truth, TruthEvent};

/// The rule.
#[derive(Debug)]
pub struct Cordons;

impl Checker for Cordons {
    fn rule(&self) -> &'static str {
        "S9"
    }

    fn observe(&mut self, event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
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
        if params.ours(by) && !params.ours(&whose) {
            return vec![format!(
                "{node} was uncordoned by {by}, but {whose:?} had cordoned it"
            )];
        }
        vec![]
    }
}
