//! The constraints between pods, as kube-scheduler filters by them: affinity, anti-affinity and topology spread.
//!
//! Source: the plugins InterPodAffinity and PodTopologySpread of kube-scheduler (Kubernetes 1.34).

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::Cluster;
use crate::detail::Barrier;
use crate::duty::{is_selected, untolerated};
use crate::ids::{NodeName, PodKey};
use crate::node::Node;
use crate::pod::{Pod, PodGroup, PodPhase, PodTerm, Spread};

/// How many pods there are by domain: by the value of a label of their nodes.
type Domains<'a> = BTreeMap<&'a str, i64>;

/// Which pods run where, now and after the moves that are tried. Counts are made when a pod first asks for them.
#[derive(Debug, Default)]
pub(super) struct Topology<'a> {
    /// The pods that a term matches.
    matching: BTreeMap<&'a PodTerm, Domains<'a>>,
    /// The pods that a spread counts, by node.
    spread: BTreeMap<&'a PodGroup, BTreeMap<&'a NodeName, i64>>,
    /// The pods that have an anti-affinity term themselves. `None`: not counted yet.
    demanding: Option<BTreeMap<&'a PodTerm, Domains<'a>>>,
    moves: Vec<(&'a Pod, &'a Node, i64)>,
}

/// What one pod demands, with the counts of the moment.
pub(super) struct Demands<'t, 'a> {
    pod: &'t Pod,
    affinity: Vec<(&'t str, &'t Domains<'a>)>,
    /// No pod meets the pod's affinity, and it meets it itself: it may be the first.
    may_be_first: bool,
    anti_affinity: Vec<(&'t str, &'t Domains<'a>)>,
    spread: Vec<(&'t Spread, Domains<'a>)>,
}

impl<'a> Topology<'a> {
    /// What `pod` demands. `away`: nodes that are cordoned, or will be. `leaving`: one more.
    pub(super) fn demands<'t>(
        &'t mut self,
        cluster: &'a Cluster,
        pod: &'a Pod,
        away: &BTreeSet<&NodeName>,
        leaving: Option<&NodeName>,
    ) -> Demands<'t, 'a> {
        self.count_for(cluster, pod);
        let of_term = |term: &'a PodTerm| Some((term.topology_key.as_str(), self.matching.get(term)?));
        let demanding = self.demanding.iter().flatten();
        let against = demanding.filter(|(term, _)| term.pods.has(pod));
        let against = against.map(|(term, domains)| (term.topology_key.as_str(), domains));
        let neighbours = &pod.neighbours;
        let affinity: Vec<_> = neighbours.affinity.iter().filter_map(of_term).collect();
        let nobody = affinity
            .iter()
            .all(|(_, domains)| domains.values().all(|pods| *pods <= 0));
        Demands {
            pod,
            may_be_first: nobody && neighbours.affinity.iter().all(|term| term.pods.has(pod)),
            affinity,
            anti_affinity: neighbours
                .anti_affinity
                .iter()
                .filter_map(of_term)
                .chain(against)
                .collect(),
            spread: neighbours
                .spread
                .iter()
                .map(|spread| (spread, self.domains(cluster, pod, spread, away, leaving)))
                .collect(),
        }
    }

    /// The pods by domain that a spread counts, with the domains that have none.
    fn domains(
        &self,
        cluster: &'a Cluster,
        pod: &Pod,
        spread: &Spread,
        away: &BTreeSet<&NodeName>,
        leaving: Option<&NodeName>,
    ) -> Domains<'a> {
        let by_node = self.spread.get(&spread.pods);
        let is_away = |name: &NodeName| away.contains(name) || leaving == Some(name);
        let has_all_keys = |node: &Node| {
            let mut keys = pod.neighbours.spread.iter().map(|spread| &spread.topology_key);
            keys.all(|key| node.labels.contains_key(key))
        };
        let tolerated = |node: &Node| {
            untolerated(pod, node).is_none() && (!is_away(&node.name) || pod.tolerates_cordon())
        };
        let mut domains = Domains::new();
        for node in cluster.nodes.values().filter(|node| has_all_keys(node)) {
            if (spread.honors_affinity && !is_selected(pod, node))
                || (spread.honors_taints && !tolerated(node))
            {
                continue;
            }
            let pods = by_node.and_then(|by_node| by_node.get(&node.name));
            *domains
                .entry(node.labels[&spread.topology_key].as_str())
                .or_insert(0) += pods.unwrap_or(&0);
        }
        domains
    }

    /// Counts what the pod asks about and what was not asked about before.
    fn count_for(&mut self, cluster: &'a Cluster, pod: &'a Pod) {
        if self.demanding.is_none() {
            self.demanding = Some(BTreeMap::new());
            for other in cluster
                .pods
                .values()
                .filter(|pod| !pod.neighbours.anti_affinity.is_empty())
            {
                if let Some(node) = place(cluster, other) {
                    self.count_demands(other, node, 1);
                }
            }
            for (moved, node, by) in self.moves.clone() {
                self.count_demands(moved, node, by);
            }
        }
        let neighbours = &pod.neighbours;
        for term in neighbours.affinity.iter().chain(&neighbours.anti_affinity) {
            if self.matching.contains_key(term) {
                continue;
            }
            let mut domains = Domains::new();
            let placed =
                members(cluster, &term.pods).filter_map(|other| Some((other, place(cluster, other)?, 1)));
            let moved = self
                .moves
                .iter()
                .copied()
                .filter(|(other, ..)| term.pods.has(other));
            for (_, node, by) in placed.chain(moved) {
                add_to_domain(&mut domains, &term.topology_key, node, by);
            }
            self.matching.insert(term, domains);
        }
        for spread in &neighbours.spread {
            if self.spread.contains_key(&spread.pods) {
                continue;
            }
            let mut by_node = BTreeMap::new();
            let placed = members(cluster, &spread.pods).filter(|other| !other.terminating);
            let placed = placed.filter_map(|other| Some((other, place(cluster, other)?, 1)));
            let moved = self.moves.iter().copied();
            let moved = moved.filter(|(other, ..)| spread.pods.has(other) && !other.terminating);
            for (_, node, by) in placed.chain(moved) {
                *by_node.entry(&node.name).or_insert(0) += by;
            }
            self.spread.insert(&spread.pods, by_node);
        }
    }

    fn count_demands(&mut self, pod: &'a Pod, node: &'a Node, by: i64) {
        for term in &pod.neighbours.anti_affinity {
            let demanding = self.demanding.get_or_insert_default();
            add_to_domain(demanding.entry(term).or_default(), &term.topology_key, node, by);
        }
    }

    /// Counts a pod that comes to a node (`by` 1) or leaves it (`by` -1).
    pub(super) fn shift(&mut self, pod: &'a Pod, node: &'a Node, by: i64) {
        self.apply(pod, node, by);
        self.moves.push((pod, node, by));
    }

    fn apply(&mut self, pod: &'a Pod, node: &'a Node, by: i64) {
        for (term, domains) in &mut self.matching {
            if term.pods.has(pod) {
                add_to_domain(domains, &term.topology_key, node, by);
            }
        }
        for (pods, by_node) in &mut self.spread {
            if pods.has(pod) && !pod.terminating {
                *by_node.entry(&node.name).or_insert(0) += by;
            }
        }
        if self.demanding.is_some() {
            self.count_demands(pod, node, by);
        }
    }

    /// How many moves are counted. [`Self::undo`] goes back to this state.
    pub(super) fn state(&self) -> usize {
        self.moves.len()
    }

    /// Takes back all moves since a state.
    pub(super) fn undo(&mut self, state: usize) {
        while self.moves.len() > state {
            if let Some((pod, node, by)) = self.moves.pop() {
                self.apply(pod, node, -by);
            }
        }
    }
}

impl Demands<'_, '_> {
    /// What keeps the pod from a node, if something does.
    pub(super) fn barrier(&self, node: &Node) -> Option<Barrier> {
        let pods = |key: &str, domains: &Domains<'_>| {
            let value = node.labels.get(key)?;
            Some(domains.get(value.as_str()).copied().unwrap_or(0))
        };
        for (key, domains) in &self.anti_affinity {
            if pods(key, domains).is_some_and(|pods| pods > 0) {
                return Some(Barrier::AntiAffinity((*key).to_owned()));
            }
        }
        for (key, domains) in &self.affinity {
            let met = pods(key, domains).is_some_and(|pods| pods > 0 || self.may_be_first);
            if !met {
                return Some(Barrier::Affinity((*key).to_owned()));
            }
        }
        self.spread.iter().find_map(|(spread, domains)| {
            let there = pods(&spread.topology_key, domains);
            let least = if domains.len() < spread.min_domains {
                0
            } else {
                domains.values().copied().min().unwrap_or(0)
            };
            let own = i64::from(spread.pods.has(self.pod));
            let met = there.is_some_and(|pods| pods + own - least <= spread.max_skew);
            (!met).then(|| Barrier::Spread {
                topology: spread.topology_key.clone(),
                honors_taints: spread.honors_taints,
            })
        })
    }
}

/// The node of a pod that counts: one that is bound and has not ended.
fn place<'a>(cluster: &'a Cluster, pod: &Pod) -> Option<&'a Node> {
    let counts = pod.phase != PodPhase::Finished;
    cluster.nodes.get(pod.node.as_ref().filter(|_| counts)?)
}

/// The pods of a group.
fn members<'a>(cluster: &'a Cluster, group: &'a PodGroup) -> Box<dyn Iterator<Item = &'a Pod> + 'a> {
    let Some(namespaces) = &group.namespaces else {
        return Box::new(
            cluster
                .pods
                .values()
                .map(AsRef::as_ref)
                .filter(|pod| group.has(pod)),
        );
    };
    let of_namespaces = namespaces.iter().flat_map(|namespace| {
        let first = PodKey::new(namespace.as_str(), "");
        let from = cluster.pods.range(first..);
        from.take_while(move |(key, _)| key.namespace == *namespace)
    });
    Box::new(
        of_namespaces
            .map(|(_, pod)| pod.as_ref())
            .filter(|pod| group.has(pod)),
    )
}

fn add_to_domain<'a>(domains: &mut Domains<'a>, key: &str, node: &'a Node, by: i64) {
    if let Some(value) = node.labels.get(key) {
        *domains.entry(value.as_str()).or_insert(0) += by;
    }
}
