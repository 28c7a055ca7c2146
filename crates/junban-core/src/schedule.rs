//! The order of starts: plain data that the start desk reads.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::ids::NodeName;

/// The order in which the start desk tries the nodes that may start. It decides nothing else: every gate is asked for
/// each node, so an old or wrong schedule costs time but no safety.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Schedule {
    /// It rises with each new schedule.
    pub version: u64,
    /// A lower rank starts earlier. Nodes with the same rank go by name.
    pub ranks: BTreeMap<NodeName, u32>,
}

impl Schedule {
    /// Ranks each node by the number of its scarce budgets: budgets of its pods with at most one token. A node without
    /// scarce budgets is the least likely to wait in the middle of its drain.
    pub fn by_scarce_budgets(version: u64, cluster: &Cluster) -> Self {
        let nodes = cluster.nodes.keys();
        Self {
            version,
            ranks: nodes
                .map(|name| (name.clone(), scarce_budgets(cluster, name)))
                .collect(),
        }
    }

    /// The rank of a node. A node that the schedule does not know goes last.
    pub fn rank(&self, node: &NodeName) -> u32 {
        self.ranks.get(node).copied().unwrap_or(u32::MAX)
    }
}

fn scarce_budgets(cluster: &Cluster, node: &NodeName) -> u32 {
    let budgets = cluster.pods_of(node).flat_map(|pod| cluster.budgets_of(pod));
    let mut scarce: Vec<_> = budgets
        .filter(|budget| budget.disruptions_allowed <= 1)
        .map(|budget| &budget.key)
        .collect();
    scarce.sort();
    scarce.dedup();
    u32::try_from(scarce.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_node_with_fewer_scarce_budgets_starts_earlier_and_an_unknown_node_last() {
        let mut cluster = Cluster::default();
        cluster.apply_node(fixture::node("node-1"));
        cluster.apply_node(fixture::node("node-2"));
        cluster.apply_pod(fixture::pod("cart-1", "node-1"));
        cluster.apply_budget(fixture::budget("cart", 3, 2, 3));
        let schedule = Schedule::by_scarce_budgets(1, &cluster);
        let ranks = ["node-1", "node-2", "node-3"].map(|name| schedule.rank(&name.into()));
        assert_eq!(ranks, [1, 0, u32::MAX]);
    }
}
