//! What follows from one observation and is asked by more than one gate: which policy governs a node, which entry
//! is its turn, who is unavailable, broken or holds a slot. Computed once a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::blocker::Blocker;
use crate::cluster::Cluster;
use crate::detail::Detail;
use crate::entry::{Entry, Phase, PowerRecord, Record};
use crate::ids::{BootId, EntryUid, GroupName, NodeName, PolicyName};
use crate::in_order::InOrder;
use crate::mark::Mark;
use crate::memory::Memory;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::policy::Policy;
use crate::queue::{Ledger, Queue, Slot};
use crate::reason::Reason;
use crate::time::{Now, Timestamp};

/// NotReady for as long, without a turn, is *broken* (lifecycle.md 4).
pub const BROKEN_AFTER: Duration = Duration::from_secs(300);

/// One node's turn, put together from its three places.
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

    /// Whether somebody named the node, or the policy that governs it still has a goal that is not below the entry's.
    /// Who was named waits for a policy that is gone; its entry is not deleted.
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
    /// The policy that governs each node, or why none does.
    pub governed: BTreeMap<&'a NodeName, Result<&'a Policy, Blocker>>,
    /// The entry whose turn it is, by node name: one for each.
    pub turns: BTreeMap<&'a NodeName, Turn<'a>>,
    pub by_uid: BTreeMap<&'a EntryUid, &'a Entry>,
    /// All entries, those of one node name beside each other.
    pub by_node: Vec<&'a Entry>,
    /// Entries that are not ended and not their node's turn.
    pub waiting: Vec<&'a Entry>,
    /// Nodes that count: not labelled exclude, or in mid-turn.
    pub counted: BTreeSet<&'a NodeName>,
    /// Of those, cordoned or NotReady, whoever caused it, and nodes that hold a slot.
    pub places: BTreeSet<&'a NodeName>,
    pub broken: BTreeSet<&'a NodeName>,
    pub failed: Vec<&'a Entry>,
    pub control_planes: BTreeSet<&'a NodeName>,
    /// The highest goal that a boot has met, by the bootID after of Succeeded entries: whatever Node shows it.
    succeeded: BTreeMap<&'a BootId, Timestamp>,
    /// The highest waiver in an ended entry of a node's name: it holds for a Node that is registered again.
    waived: BTreeMap<&'a NodeName, Timestamp>,
    /// Policy, goal and end of entries that were proven.
    pub proven: BTreeMap<(&'a PolicyName, Timestamp), Timestamp>,
    /// The longest boot proven so far, in milliseconds.
    pub longest_boot_ms: Option<u64>,
    /// Nodes whose mark names an entry that is gone or cannot be read: their turns count all the same.
    pub orphans: Vec<(&'a Node, &'a Mark)>,
    /// Entries with an attempt whose deadline has not passed, by the bootID before it.
    pub powered: BTreeMap<&'a BootId, Vec<&'a Entry>>,
}

impl<'a> Derived<'a> {
    pub fn new(cluster: &'a Cluster, memory: &Memory, now: Now) -> Self {
        let queue = cluster.queue.present();
        let ledger = queue.and_then(|queue| queue.ledger.as_ref());
        let by_uid: BTreeMap<_, _> = cluster
            .entries
            .values()
            .map(|entry| (&entry.uid, entry))
            .collect();
        let mut by_node: Vec<_> = cluster.entries.values().collect();
        by_node.sort_by_key(|entry| &entry.spec.node);
        let governed = cluster
            .nodes
            .values()
            .map(|node| (&node.name, governing(cluster, node)))
            .collect();
        let (turns, waiting) = turns(cluster, ledger, &by_node, &governed, now);
        let mut derived = Self {
            queue,
            ledger,
            governed,
            turns,
            by_uid,
            by_node,
            waiting,
            counted: BTreeSet::new(),
            places: BTreeSet::new(),
            broken: BTreeSet::new(),
            failed: Vec::new(),
            control_planes: BTreeSet::new(),
            succeeded: BTreeMap::new(),
            waived: BTreeMap::new(),
            proven: BTreeMap::new(),
            longest_boot_ms: None,
            orphans: Vec::new(),
            powered: BTreeMap::new(),
        };
        derived.remember_the_past(cluster, now);
        derived.failed = derived
            .turns
            .values()
            .filter(|turn| turn.phase() == Phase::Failed)
            .map(|turn| turn.entry)
            .collect();
        derived.count(cluster, memory, now);
        derived
    }

    fn remember_the_past(&mut self, cluster: &'a Cluster, now: Now) {
        for entry in cluster.entries.values() {
            let record = &entry.record;
            if record.phase == Phase::Succeeded {
                let (spec, ended) = (&entry.spec, record.since.unwrap_or(entry.created));
                if let Some(boot_id) = &record.boot_id_after {
                    let highest = self.succeeded.entry(boot_id).or_insert(spec.booted_after);
                    *highest = spec.booted_after.max(*highest);
                }
                if record.reason == Some(Reason::Proven) {
                    let last = self
                        .proven
                        .entry((&spec.policy, spec.booted_after))
                        .or_insert(ended);
                    *last = ended.max(*last);
                }
                self.longest_boot_ms = self.longest_boot_ms.max(record.boot_ms);
            }
            if let Some(waived) = record.waived.filter(|_| record.phase.is_ended()) {
                let highest = self.waived.entry(&entry.spec.node).or_insert(waived);
                *highest = waived.max(*highest);
            }
            let running = record
                .power
                .as_ref()
                .is_some_and(|power| deadline(record, power, now) > now.clock.led_ms);
            if let (Some(before), true) = (&record.boot_id_before, running) {
                self.powered.entry(before).or_default().push(entry);
            }
        }
    }

    /// Whether the node's present boot is known to be at or after the goal (lifecycle.md 1).
    pub fn has_booted_since(&self, node: &Node, goal: Timestamp) -> bool {
        let Some(boot_id) = &node.boot_id else {
            return false;
        };
        let journal = node.current_journal();
        journal.is_some_and(|journal| journal.booted_since(goal))
            || self.succeeded.get(boot_id).is_some_and(|met| *met >= goal)
    }

    /// Whether no goal up to this one is the node's any more (lifecycle.md 1, waiver).
    pub fn is_waived(&self, node: &Node, goal: Timestamp) -> bool {
        node.has_waived(goal) || self.waived.get(&node.name).is_some_and(|waived| *waived >= goal)
    }

    fn count(&mut self, cluster: &'a Cluster, memory: &Memory, now: Now) {
        let (mut counted, mut places) = (Vec::new(), Vec::new());
        let mut turn_of = InOrder::new(&self.turns);
        for node in cluster.nodes.values() {
            let name = &node.name;
            if node.control_plane {
                self.control_planes.insert(name);
            }
            let orphan = node.mark.as_ref().and_then(|mark| mark.as_ref().ok());
            let orphan = orphan.filter(|mark| !self.by_uid.contains_key(&mark.entry_uid));
            self.orphans.extend(orphan.map(|mark| (node, mark)));
            let turn = turn_of.get(&name).filter(|turn| turn.node.is_some());
            let holds = self.ledger.is_some_and(|ledger| ledger.slots.contains_key(name));
            let in_turn = holds || matches!(node.mark, Some(Ok(_)));
            if node.excluded && !in_turn {
                continue;
            }
            counted.push(name);
            if holds || in_turn || node.unschedulable || !node.ready {
                places.push(name);
            }
            let failed = turn.is_some_and(|turn| turn.phase() == Phase::Failed);
            let long_down = !node.ready
                && orphan.is_none()
                && !turn.is_some_and(|turn| turn.phase().is_in_flight())
                && down_for(node, turn, memory, now) >= BROKEN_AFTER;
            if failed || long_down {
                self.broken.insert(name);
            }
        }
        self.counted = counted.into_iter().collect();
        self.places = places.into_iter().collect();
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

/// How long a node has been NotReady, as this process saw it or the leaders before it wrote down.
pub fn down_for(node: &Node, turn: Option<&Turn<'_>>, memory: &Memory, now: Now) -> Duration {
    let seen = memory.sightings.readiness_of(node);
    let seen = seen.map_or(Duration::ZERO, |seen| now.mono.since(seen.since));
    let record = turn.map(|turn| &turn.entry.record);
    let told = record.filter(|record| record.reason == Some(Reason::NodeDown));
    let told = told.and_then(|record| record.reason_at);
    seen.max(told.map_or(Duration::ZERO, |at| now.clock.led_since(at)))
}

/// The group of a node under a policy: a node without the label is a group of its own.
pub fn group_of(policy: &Policy, node: &Node) -> Option<GroupName> {
    let groups = policy.groups.as_ref()?;
    Some(match node.labels.get(&groups.by) {
        Some(value) => GroupName::new(value.clone()),
        None => GroupName::new(format!("node {}", node.name)),
    })
}

/// Whether an entry was made again for a mark that still names the one before: it becomes Failed, and waits for
/// nothing until then (lifecycle.md 6).
pub fn is_made_again(cluster: &Cluster, entry: &Entry) -> bool {
    let node = cluster.nodes.get(&entry.spec.node);
    let mark = node.and_then(|node| node.mark.as_ref()?.as_ref().ok());
    mark.is_some_and(|mark| mark.entry == entry.name && mark.entry_uid != entry.uid)
}

/// The highest priority governs; a tie is a conflict, in which neither acts (lifecycle.md 1).
pub fn governing<'a>(cluster: &'a Cluster, node: &Node) -> Result<&'a Policy, Blocker> {
    let mut best: Vec<&Policy> = Vec::new();
    for policy in cluster.policies.values() {
        if !policy
            .node_selector
            .as_ref()
            .is_ok_and(|selector| selector.selects(&node.labels))
        {
            continue;
        }
        match best.first().map(|first| first.priority.cmp(&policy.priority)) {
            None | Some(std::cmp::Ordering::Equal) => best.push(policy),
            Some(std::cmp::Ordering::Less) => best = vec![policy],
            Some(std::cmp::Ordering::Greater) => {}
        }
    }
    match best.as_slice() {
        [] => Err(Blocker::new(
            Reason::NoPolicy,
            ObjectRef::Node(node.name.clone()),
            Detail::NotSelected,
        )),
        [one] => Ok(one),
        several => {
            let policies: Vec<_> = several.iter().map(|policy| policy.name.clone()).collect();
            Err(Blocker::new(
                Reason::PolicyConflict,
                ObjectRef::Policy(policies[0].clone()),
                Detail::SamePriority {
                    policies,
                    priority: several[0].priority,
                },
            ))
        }
    }
}

/// Picks each node's turn: the entry with the slot, else the mark's, else one that is under way, else the newest
/// goal that is due. The rest wait.
fn turns<'a>(
    cluster: &'a Cluster,
    ledger: Option<&'a Ledger>,
    by_node: &[&'a Entry],
    governed: &BTreeMap<&'a NodeName, Result<&'a Policy, Blocker>>,
    now: Now,
) -> (BTreeMap<&'a NodeName, Turn<'a>>, Vec<&'a Entry>) {
    let mut turns = Vec::new();
    let mut waiting = Vec::new();
    let mut node_of = InOrder::new(&cluster.nodes);
    let mut governing = InOrder::new(governed);
    for entries in by_node.chunk_by(|one, next| one.spec.node == next.spec.node) {
        let name = &entries[0].spec.node;
        let node = node_of.get(name);
        let slot = ledger.and_then(|ledger| ledger.slots.get(name));
        let mark = node.and_then(|node| node.mark.as_ref()?.as_ref().ok());
        let rank = |entry: &'a Entry| {
            let has_slot = slot.is_some_and(|slot| slot.entry_uid == entry.uid);
            let has_mark = mark.is_some_and(|mark| mark.entry_uid == entry.uid);
            let live = !entry.record.phase.is_ended();
            let under_way = live && entry.record.phase != Phase::Queued;
            let due = live && entry.spec.booted_after <= now.wall;
            (
                has_slot,
                has_mark,
                under_way,
                due,
                live,
                entry.spec.booted_after,
                &entry.name,
            )
        };
        let Some(first) = entries.iter().copied().max_by_key(|entry| rank(entry)) else {
            continue;
        };
        waiting.extend(
            entries
                .iter()
                .filter(|entry| entry.uid != first.uid && !entry.record.phase.is_ended()),
        );
        let turn = Turn {
            entry: first,
            node: node.filter(|node| node.uid == first.spec.node_uid),
            mark: mark.filter(|mark| mark.entry_uid == first.uid),
            slot: slot.filter(|slot| slot.entry_uid == first.uid),
            policy: cluster
                .policies
                .get(&first.spec.policy)
                .filter(|policy| cluster.unreadable_policy(&policy.name).is_none()),
            governing: governing
                .get(&name)
                .and_then(|found| found.as_ref().ok())
                .copied(),
        };
        turns.push((name, turn));
    }
    (turns.into_iter().collect(), waiting)
}

/// The deadline of an attempt, in milliseconds led. An entry that ended on a clock which is gone (its reading is above
/// this one's) was powered before this clock began (lifecycle.md 3).
fn deadline(record: &Record, power: &PowerRecord, now: Now) -> u64 {
    let of_another_clock = record.phase_at.is_some_and(|at| at.led_ms > now.clock.led_ms);
    if record.phase.is_ended() && of_another_clock {
        return power.boot_timeout_seconds * 1_000;
    }
    power.deadline_led_ms
}

/// Policy and goal of an entry: first proof is a matter of these. Nodes that somebody named are one matter, whenever
/// each was named.
pub fn goal_key(entry: &Entry) -> (&PolicyName, Option<Timestamp>) {
    let by_name = !entry.spec.requested_by.is_empty();
    (&entry.spec.policy, (!by_name).then_some(entry.spec.booted_after))
}
