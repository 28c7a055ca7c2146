//! S30: of a quorum group never two nodes are away at once. A controller cordons no node, and powers none, while another
//! node of the group is down or cordoned, whoever caused it.

use std::collections::{BTreeMap, BTreeSet};

use super::params::{Params, QuorumGroup};
use super::view::{ClusterView, NodeView};
use crate::api::{Ms, Phase, Ready};
use crate::truth::{PowerOutcome, Truth, TruthEvent};

#[derive(Debug, Default)]
pub(super) struct Quorum {
    /// The groups of each node that a controller has cordoned, from the moment of the cordon: its pods leave then.
    cordoned: BTreeMap<String, BTreeSet<String>>,
}

impl Quorum {
    pub(super) fn judge(&mut self, event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String> {
        match &event.what {
            Truth::Cordon {
                node,
                cordoned: true,
                by,
            } if params.is_controller(by) => {
                let groups = params.quorum_groups.iter();
                let groups = groups.filter(|group| is_member(view, group, node));
                let names = groups.map(|group| group.name.clone()).collect();
                self.cordoned.insert(node.clone(), names);
                self.others(view, params, node, "cordoned", |other| {
                    params.cordoned(other) || is_away_by_others(event.at, params, other)
                })
            }
            Truth::Cordon {
                node,
                cordoned: false,
                ..
            } => {
                self.cordoned.remove(node);
                vec![]
            }
            Truth::PowerCalled { node, outcome, .. } if *outcome != PowerOutcome::NothingStarted => {
                // A node that a controller has cordoned was judged then.
                self.others(view, params, node, "powered", |other| {
                    is_away_by_others(event.at, params, other)
                })
            }
            _ => vec![],
        }
    }

    fn others(
        &self,
        view: &ClusterView,
        params: &Params,
        node: &str,
        what: &str,
        is_away: impl Fn(&NodeView) -> bool,
    ) -> Vec<String> {
        let groups = params.quorum_groups.iter();
        let of_node = groups.filter(|group| self.is_or_was_member(view, group, node));
        let broken = of_node.flat_map(|group| {
            let is_other = |name: &str| name != node && self.is_or_was_member(view, group, name);
            let others = view.nodes.iter().filter(|(name, n)| is_other(name) && is_away(n));
            let names = others.map(|(name, _)| name.clone());
            names
                .map(|other| {
                    let group = &group.name;
                    format!("{node} was {what} while {other} of quorum group {group} was down or cordoned")
                })
                .collect::<Vec<_>>()
        });
        broken.collect()
    }

    fn is_or_was_member(&self, view: &ClusterView, group: &QuorumGroup, node: &str) -> bool {
        let was = self
            .cordoned
            .get(node)
            .is_some_and(|groups| groups.contains(&group.name));
        was || is_member(view, group, node)
    }
}

fn is_member(view: &ClusterView, group: &QuorumGroup, node: &str) -> bool {
    match &group.pods_in {
        None => view
            .nodes
            .get(node)
            .is_some_and(|n| group.selector.matches(&n.labels)),
        Some(namespace) => view.pods_on(node).any(|pod| {
            let facts = &pod.facts;
            let ended = matches!(facts.phase, Phase::Succeeded | Phase::Failed);
            facts.namespace == *namespace && !ended && group.selector.matches(&facts.labels)
        }),
    }
}

/// Whether the node is cordoned or not Ready for a cause that is not the controllers' own. What others have done a moment
/// ago the controllers may not know yet.
fn is_away_by_others(now: Ms, params: &Params, node: &NodeView) -> bool {
    let known = |since: Ms| since + params.lag_ms <= now;
    let cordoned = node.cordoned_by.is_some() && known(node.cordoned_at);
    !params.cordoned(node) && (cordoned || (node.ready != Ready::True && known(node.ready_since)))
}
