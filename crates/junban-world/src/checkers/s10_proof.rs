//! S10: a node is uncordoned only when its reboot is proven, when it was not powered since the cordon, or when a
//! person gave its entry up and it is Ready or excluded (docs/design/life-cycle.md#cancelling-and-giving-up).

use super::params::Params;
use super::rule::Checker;
use super::view::{ClusterView, NodeView, PowerView};
use crate::api::Ready;
use crate::truth::{Truth, TruthEvent};

#[derive(Debug)]
pub struct Proof;

impl Checker for Proof {
    fn rule(&self) -> &'static str {
        "S10"
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
        let Some(n) = view.nodes.get(node).filter(|_| params.is_controller(by)) else {
            return vec![];
        };
        let Some(power) = &n.power else { return vec![] };
        let given_up = view.entries.values().any(|e| e.node == *node && e.cancel_asked);
        let excluded = n.labels.contains_key(&params.exclude_label);
        if given_up && (n.ready == Ready::True || excluded) {
            return vec![];
        }
        let missing = unproven(view, node, n, power);
        missing
            .into_iter()
            .map(|what| format!("{node} was uncordoned, but {what}"))
            .collect()
    }
}

fn unproven(view: &ClusterView, node: &str, n: &NodeView, power: &PowerView) -> Option<String> {
    if n.boot_id == power.boot_id || n.boot_id.is_empty() {
        return Some(format!("its bootID is still {}", n.boot_id));
    }
    if n.ready != Ready::True {
        return Some("it is not Ready".into());
    }
    if n.lease_of_boot != n.boot_id {
        return Some("its Lease has not changed since the boot".into());
    }
    let back = |daemon: &str| {
        view.pods_on(node)
            .any(|p| p.facts.topmost == daemon && p.healthy() && p.ready_since > power.at)
    };
    // A DaemonSet that was deleted meanwhile has no pod to wait for.
    let missing = power
        .daemons
        .keys()
        .find(|d| view.owners.contains_key(*d) && !back(d))?;
    Some(format!("{missing} has no Ready pod on it since the boot"))
}
