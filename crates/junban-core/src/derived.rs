//! One observation as the gates and the phases ask for it: the turn of each node, and what follows from all standings
//! together.

use std::collections::{BTreeMap, BTreeSet};

use crate::blocker::Blocker;
use crate::cluster::Cluster;
use crate::entry::{Entry, Phase};
use crate::ids::{BootId, GroupName, NodeName, PodKey, PolicyName};
use crate::in_order::InOrder;
use crate::mark::Mark;
use crate::memory::Memory;
use crate::node::Node;
use crate::pod::PodPhase;
use crate::policy::Policy;
use crate::queue::{Ledger, Queue, QuorumGroup, QuorumMembers, Slot};
use crate::standing::{Standing, Standings};
use crate::time::{Now, Timestamp};

/// The turn of one node, put together from the entry, the mark and the slot.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    pub entry: &'a Entry,
    /// The Node under this name, if it is the entry's own (same UID).
    pub node: Option<&'a Node>,
    /// The Node's mark, if it is this entry's.
    pub mark: Option<&'a Mark>,
    /// The node's slot, if it is this entry's.
    pub slot: Option<&'a Slot>,
    /// The policy that the entry names, if it can be read.
    pub policy: Option<&'a Policy>,
    /// The policy that governs the Node under this name, if one does.
    pub governing: Option<&'a Policy>,
}

impl Turn<'_> {
    pub fn phase(&self) -> Phase {
        self.entry.record.phase
    }

    /// Whether the reboot is still asked for: a person named the node, or the policy that governs it still has a goal that is
    /// not below the entry's. An entry of a person is not deleted when its policy is gone: it waits for the policy.
    pub fn is_still_asked(&self) -> bool {
        let spec = &self.entry.spec;
        let goal_stands = |policy: &&Policy| {
            policy.name == spec.policy && policy.booted_after.is_some_and(|goal| goal >= spec.booted_after)
        };
        !spec.requested_by.is_empty() || self.governing.as_ref().is_some_and(goal_stands)
    }
}

#[derive(Debug)]
pub struct Derived<'a> {
    pub queue: Option<&'a Queue>,
    pub ledger: Option<&'a Ledger>,
    pub standings: Standings,
    /// By node name, the policy that governs the Node, or why none does.
    pub governed: BTreeMap<&'a NodeName, Result<&'a Policy, Blocker>>,
    /// By node name, the entry whose turn it is.
    pub turns: BTreeMap<&'a NodeName, Turn<'a>>,
    /// Entries that are not ended and not their node's turn.
    pub waiting: Vec<&'a Entry>,
    /// Nodes that count for limits.
    pub counted: usize,
    /// Nodes that hold a place.
    pub places: BTreeSet<&'a NodeName>,
    pub broken: BTreeSet<&'a NodeName>,
    pub failed: Vec<&'a Entry>,
    pub control_planes: BTreeSet<&'a NodeName>,
    /// The highest goal that a boot has met, whatever Node shows the bootID.
    met: BTreeMap<BootId, Timestamp>,
    /// Policy and goal of entries that were proven, and when the last of them ended.
    pub proven: BTreeMap<(PolicyName, Timestamp), Timestamp>,
    /// The longest boot proven so far, in milliseconds.
    pub longest_boot_ms: Option<u64>,
    /// Nodes whose mark names an entry that is gone or cannot be read. Their turns count all the same.
    pub orphans: Vec<(&'a Node, &'a Mark)>,
    /// Entries with an attempt whose deadline has not passed, by the bootID before it.
    pub powered: BTreeMap<BootId, Vec<&'a Entry>>,
    pub quorums: Vec<Quorum<'a>>,
}

/// A quorum group of the queue as it stands (docs/design/control-plane.md#quorum-groups).
#[derive(Debug)]
pub struct Quorum<'a> {
    pub name: &'a str,
    pub members: BTreeSet<&'a NodeName>,
    /// Members that are cordoned, NotReady or marked, or that hold a slot, whoever caused it.
    pub away: Vec<&'a Node>,
    /// A pod of the group that is on no node: the node that it left is away, whichever it was.
    pub pod_without_node: Option<&'a PodKey>,
}

impl<'a> Quorum<'a> {
    fn of(cluster: &'a Cluster, ledger: Option<&Ledger>, group: &'a QuorumGroup) -> Self {
        let mut quorum = Self {
            name: &group.name,
            members: BTreeSet::new(),
            away: Vec::new(),
            pod_without_node: None,
        };
        match &group.members {
            QuorumMembers::Nodes(selector) => {
                let selected = cluster
                    .nodes
                    .values()
                    .filter(|node| selector.selects(&node.labels));
                quorum.members.extend(selected.map(|node| &node.name));
            }
            QuorumMembers::Pods { namespace, selector } => {
                let first = PodKey::new(namespace.as_str(), "");
                let of_namespace = cluster.pods.range(first..);
                let of_namespace = of_namespace.take_while(|(key, _)| key.namespace == *namespace);
                for (key, pod) in of_namespace {
                    if pod.phase == PodPhase::Finished || !selector.selects(&pod.labels) {
                        continue;
                    }
                    match &pod.node {
                        Some(node) => drop(quorum.members.insert(node)),
                        None => quorum.pod_without_node = Some(key),
                    }
                }
            }
        }
        let was_member = |node: &&Node| {
            let mark = node.mark.as_ref().and_then(|mark| mark.as_ref().ok());
            mark.is_some_and(|mark| mark.quorum_groups.contains(&group.name))
        };
        let marked = cluster.nodes.values().filter(was_member);
        quorum.members.extend(marked.map(|node| &node.name));
        let nodes = quorum.members.iter().filter_map(|name| cluster.nodes.get(*name));
        let is_away = |node: &&Node| {
            let holds_slot = ledger.is_some_and(|ledger| ledger.slots.contains_key(&node.name));
            holds_slot || node.mark.is_some() || node.unschedulable || !node.ready
        };
        quorum.away = nodes.filter(is_away).collect();
        quorum
    }
}

impl<'a> Derived<'a> {
    pub fn new(cluster: &'a Cluster, memory: &Memory, now: Now) -> Self {
        let queue = cluster.queue.present();
        let mut derived = Self {
            queue,
            ledger: queue.and_then(|queue| queue.ledger.as_ref()),
            standings: Standings::default(),
            governed: BTreeMap::new(),
            turns: BTreeMap::new(),
            waiting: Vec::new(),
            counted: 0,
            places: BTreeSet::new(),
            broken: BTreeSet::new(),
            failed: Vec::new(),
            control_planes: BTreeSet::new(),
            met: BTreeMap::new(),
            proven: BTreeMap::new(),
            longest_boot_ms: None,
            orphans: Vec::new(),
            powered: BTreeMap::new(),
            quorums: Vec::new(),
        };
        derived.quorums = queue
            .into_iter()
            .flat_map(|queue| &queue.quorum_groups)
            .map(|group| Quorum::of(cluster, derived.ledger, group))
            .collect();
        let standings = Standings::of_all(cluster, memory, now);
        let mut nodes = InOrder::new(&cluster.nodes);
        let mut entries = InOrder::new(&cluster.entries);
        for (name, standing) in standings.iter() {
            let turn = standing.turn.as_ref().and_then(|turn| entries.get(turn));
            derived.add(cluster, standing, nodes.get(name), turn);
        }
        derived.standings = standings;
        derived
    }

    fn add(
        &mut self,
        cluster: &'a Cluster,
        standing: &Standing,
        node: Option<&'a Node>,
        turn: Option<&'a Entry>,
    ) {
        let policy_named = |name: &PolicyName| cluster.policies.get(name);
        let mark = node.and_then(|node| node.mark.as_ref()?.as_ref().ok());
        let governing = standing.governing.as_ref();
        let governing_policy = governing.and_then(|found| policy_named(found.as_ref().ok()?));
        if let Some(node) = node {
            let name = &node.name;
            self.counted += usize::from(standing.counts);
            if standing.holds_place {
                self.places.insert(name);
            }
            if standing.is_broken {
                self.broken.insert(name);
            }
            if node.is_control_plane() {
                self.control_planes.insert(name);
            }
            if let Some(mark) = mark
                && cluster.entry(&mark.entry, &mark.entry_uid).is_none()
            {
                self.orphans.push((node, mark));
            }
            let governed = match (governing, governing_policy) {
                (Some(Err(blocker)), _) => Some(Err(blocker.clone())),
                (_, found) => found.map(Ok),
            };
            self.governed.extend(governed.map(|found| (name, found)));
        }
        if let Some(entry) = turn {
            let spec = &entry.spec;
            let slot = self.ledger.and_then(|ledger| ledger.slots.get(&spec.node));
            let turn = Turn {
                entry,
                node: node.filter(|node| node.uid == spec.node_uid),
                mark: mark.filter(|mark| mark.entry_uid == entry.uid),
                slot: slot.filter(|slot| slot.entry_uid == entry.uid),
                policy: policy_named(&spec.policy)
                    .filter(|policy| !cluster.unreadable_policies.contains_key(&policy.name)),
                governing: governing_policy,
            };
            if turn.phase() == Phase::Failed {
                self.failed.push(entry);
            }
            self.turns.insert(&spec.node, turn);
        }
        let waiting = standing.waiting.iter();
        self.waiting
            .extend(waiting.filter_map(|name| cluster.entries.get(name)));
        self.add_past(cluster, standing);
    }

    fn add_past(&mut self, cluster: &'a Cluster, standing: &Standing) {
        for (boot_id, goal) in &standing.met {
            let highest = self.met.entry(boot_id.clone()).or_insert(*goal);
            *highest = (*highest).max(*goal);
        }
        for (policy, goal, ended) in &standing.proven {
            let last = self.proven.entry((policy.clone(), *goal)).or_insert(*ended);
            *last = (*last).max(*ended);
        }
        self.longest_boot_ms = self.longest_boot_ms.max(standing.longest_boot_ms);
        for (boot_id, entry) in &standing.powered {
            let entry = cluster.entries.get(entry);
            self.powered.entry(boot_id.clone()).or_default().extend(entry);
        }
    }

    /// Whether the node's present boot is known to be at or after the goal (docs/design/life-cycle.md#boot-journal).
    pub fn has_booted_since(&self, node: &Node, goal: Timestamp) -> bool {
        let Some(boot_id) = &node.boot_id else {
            return false;
        };
        let journal = node.current_journal();
        journal.is_some_and(|journal| journal.booted_since(goal))
            || self.met.get(boot_id).is_some_and(|met| *met >= goal)
    }

    /// Whether the goal is waived for the node (docs/design/life-cycle.md#waiver).
    pub fn is_waived(&self, node: &Node, goal: Timestamp) -> bool {
        node.has_waived(goal) || {
            let standing = self.standings.get(&node.name);
            standing.and_then(|standing| standing.waived) >= Some(goal)
        }
    }

    /// The turn of the Node under this name, unless it has ended.
    pub fn open_turn(&self, node: &NodeName) -> Option<&Turn<'a>> {
        let turn = self.turns.get(node)?;
        (turn.node.is_some() && !turn.phase().is_ended()).then_some(turn)
    }

    /// Entries in Draining, Rebooting or Verifying.
    pub fn in_flight(&self) -> impl Iterator<Item = &Turn<'a>> {
        self.turns.values().filter(|turn| turn.phase().is_in_flight())
    }

    /// Whether an entry takes one of the places of `maxConcurrent`: in flight, or started in the ledger.
    pub fn is_active(&self, turn: &Turn<'_>) -> bool {
        turn.phase().is_in_flight() || (turn.phase() == Phase::Queued && turn.slot.is_some())
    }

    pub fn policy_of(&self, node: &NodeName) -> Option<&'a Policy> {
        self.governed
            .get(node)
            .and_then(|found| found.as_ref().ok())
            .copied()
    }
}

/// The group of a node under a policy. A node without the label is a group of its own.
pub fn group_of(policy: &Policy, node: &Node) -> Option<GroupName> {
    let groups = policy.groups.as_ref()?;
    Some(match node.labels.get(&groups.by) {
        Some(value) => GroupName::new(value.clone()),
        None => GroupName::new(format!("node {}", node.name)),
    })
}

/// Whether an entry was made again for a mark that still names the UID of the entry before. Such an entry becomes Failed,
/// and waits for nothing until then (docs/design/ledger.md#orphaned-marks).
pub fn is_made_again(cluster: &Cluster, entry: &Entry) -> bool {
    let node = cluster.nodes.get(&entry.spec.node);
    let mark = node.and_then(|node| node.mark.as_ref()?.as_ref().ok());
    mark.is_some_and(|mark| mark.entry == entry.name && mark.entry_uid != entry.uid)
}

/// Policy and goal of an entry: the first proof is owed for each pair. All nodes that people named are one pair for each
/// policy, whenever each was named.
pub fn goal_key(entry: &Entry) -> (&PolicyName, Option<Timestamp>) {
    let by_name = !entry.spec.requested_by.is_empty();
    (&entry.spec.policy, (!by_name).then_some(entry.spec.booted_after))
}
