//! Where each node stands: which policy governs it, whose turn it is, whether it counts as unavailable or broken, and
//! what its past entries showed.
//!
//! A standing holds names and no references. So standings can be kept between plans, and [`Standings::update`] makes
//! those anew whose objects have changed. Today the plan updates all of them for each event.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::blocker::Blocker;
use crate::cluster::Cluster;
use crate::detail::Detail;
use crate::entry::{Entry, Phase, PowerRecord, Record};
use crate::ids::{BootId, EntryName, NodeName, PolicyName};
use crate::mark::Mark;
use crate::memory::Memory;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::policy::Policy;
use crate::queue::Slot;
use crate::reason::Reason;
use crate::time::{Now, Timestamp};

/// A node that is NotReady for so long without a turn is *broken* (docs/design/life-cycle.md#places).
pub const BROKEN_AFTER: Duration = Duration::from_secs(300);

/// The standings of all node names: names of Nodes, and names that only entries have.
#[derive(Clone, Debug, Default)]
pub struct Standings(BTreeMap<NodeName, Standing>);

/// What follows from the objects of one node name: its Node, its entries, its slot and the policies.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    /// The policy that governs the Node, or why none does. `None`: there is no Node of this name.
    pub governing: Option<Result<PolicyName, Blocker>>,
    /// The entry whose turn it is.
    pub turn: Option<EntryName>,
    /// Other entries that are not ended.
    pub waiting: Vec<EntryName>,
    /// Whether the node counts for limits: it is not labelled exclude, or it is in the middle of a turn.
    pub counts: bool,
    /// Whether it holds a place: it counts, and it is cordoned, NotReady, marked, or holds a slot.
    pub holds_place: bool,
    pub is_broken: bool,
    /// The goals that a boot of the node has met, by the bootID.
    pub met: Vec<(BootId, Timestamp)>,
    /// The highest waiver in an ended entry. It also holds for a Node that is registered again.
    pub waived: Option<Timestamp>,
    /// Policy, goal and end of entries that were proven.
    pub proven: Vec<(PolicyName, Timestamp, Timestamp)>,
    /// The longest boot, in milliseconds.
    pub longest_boot_ms: Option<u64>,
    /// Entries with an attempt whose deadline has not passed, by the bootID before it.
    pub powered: Vec<(BootId, EntryName)>,
}

impl Standings {
    /// The standings of every node name.
    pub fn of_all(cluster: &Cluster, memory: &Memory, now: Now) -> Self {
        let mut standings = Self::default();
        let of_entries = cluster.entries.values().map(|entry| &entry.spec.node);
        let names = cluster.nodes.keys().chain(of_entries);
        standings.update(cluster, memory, now, names);
        standings
    }

    /// Makes the standings of these nodes anew. A standing changes when its Node, one of its entries, its slot or a policy
    /// changes, and when time passes: a goal becomes due, a deadline passes, a node has been down for five minutes.
    pub fn update<'a>(
        &mut self,
        cluster: &Cluster,
        memory: &Memory,
        now: Now,
        names: impl Iterator<Item = &'a NodeName>,
    ) {
        let mut entries: BTreeMap<&NodeName, Vec<&Entry>> = names.map(|name| (name, Vec::new())).collect();
        for entry in cluster.entries.values() {
            if let Some(of_node) = entries.get_mut(&entry.spec.node) {
                of_node.push(entry);
            }
        }
        for (name, entries) in entries {
            let node = cluster.nodes.get(name);
            if node.is_none() && entries.is_empty() {
                self.0.remove(name);
            } else {
                let standing = Standing::of(cluster, memory, now, name, node, &entries);
                self.0.insert(name.clone(), standing);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&NodeName, &Standing)> {
        self.0.iter()
    }

    pub fn get(&self, node: &NodeName) -> Option<&Standing> {
        self.0.get(node)
    }
}

impl Standing {
    fn of(
        cluster: &Cluster,
        memory: &Memory,
        now: Now,
        name: &NodeName,
        node: Option<&Node>,
        entries: &[&Entry],
    ) -> Self {
        let queue = cluster.queue.present();
        let ledger = queue.and_then(|queue| queue.ledger.as_ref());
        let slot = ledger.and_then(|ledger| ledger.slots.get(name));
        let mark = node.and_then(|node| node.mark.as_ref()?.as_ref().ok());
        let governing = node.map(|node| governing(cluster, node).map(|policy| policy.name.clone()));
        let turn = whose_turn(entries, slot, mark, now);
        let waits = |entry: &&&Entry| !entry.record.phase.is_ended() && Some(**entry) != turn;
        let mut standing = Self {
            governing,
            turn: turn.map(|entry| entry.name.clone()),
            waiting: entries
                .iter()
                .filter(waits)
                .map(|entry| entry.name.clone())
                .collect(),
            counts: false,
            holds_place: false,
            is_broken: false,
            met: Vec::new(),
            waived: None,
            proven: Vec::new(),
            longest_boot_ms: None,
            powered: Vec::new(),
        };
        if let Some(node) = node {
            let turn = turn.filter(|entry| entry.spec.node_uid == node.uid);
            let in_turn = slot.is_some() || mark.is_some();
            standing.counts = !node.excluded || in_turn;
            standing.holds_place = standing.counts && (in_turn || node.unschedulable || !node.ready);
            standing.is_broken = standing.counts && is_broken(cluster, memory, now, node, mark, turn);
        }
        for entry in entries {
            standing.add_past(entry, now);
        }
        standing
    }

    fn add_past(&mut self, entry: &Entry, now: Now) {
        let (spec, record) = (&entry.spec, &entry.record);
        if record.phase == Phase::Succeeded {
            let boot = record.boot_id_after.clone();
            self.met.extend(boot.map(|boot_id| (boot_id, spec.booted_after)));
            if record.reason == Some(Reason::Proven) {
                let ended = record.since.unwrap_or(entry.created);
                self.proven.push((spec.policy.clone(), spec.booted_after, ended));
            }
            self.longest_boot_ms = self.longest_boot_ms.max(record.boot_ms);
        }
        if record.phase.is_ended() {
            self.waived = self.waived.max(record.waived);
        }
        if let (Some(before), Some(power)) = (&record.boot_id_before, &record.power)
            && deadline(record, power, now) > now.clock.led_ms
        {
            self.powered.push((before.clone(), entry.name.clone()));
        }
    }
}

/// The entry whose turn it is: the entry with the slot, else the entry of the mark, else one that is under way, else the
/// newest goal that is due.
fn whose_turn<'a>(
    entries: &[&'a Entry],
    slot: Option<&Slot>,
    mark: Option<&Mark>,
    now: Now,
) -> Option<&'a Entry> {
    let rank = |entry: &&'a Entry| {
        let has_slot = slot.is_some_and(|slot| slot.entry_uid == entry.uid);
        let has_mark = mark.is_some_and(|mark| mark.entry_uid == entry.uid);
        let is_open = !entry.record.phase.is_ended();
        let is_under_way = is_open && entry.record.phase != Phase::Queued;
        let goal = entry.spec.booted_after;
        let is_due = is_open && goal <= now.wall;
        (
            has_slot,
            has_mark,
            is_under_way,
            is_due,
            is_open,
            goal,
            &entry.name,
        )
    };
    entries.iter().copied().max_by_key(rank)
}

/// Whether a node is broken: its entry is Failed, or it is NotReady without a turn, and this for five minutes or because it
/// was given up (docs/design/life-cycle.md#places).
fn is_broken(
    cluster: &Cluster,
    memory: &Memory,
    now: Now,
    node: &Node,
    mark: Option<&Mark>,
    turn: Option<&Entry>,
) -> bool {
    let phase = turn.map(|entry| entry.record.phase);
    if phase == Some(Phase::Failed) {
        return true;
    }
    // A person has looked at this server and gave it up: nobody waits to see whether it comes back by itself.
    let is_given_up = mark.is_some_and(|mark| {
        turn.is_some_and(|entry| entry.uid == mark.entry_uid && entry.record.reason == Some(Reason::GivenUp))
    });
    let is_orphan = mark.is_some_and(|mark| cluster.entry(&mark.entry, &mark.entry_uid).is_none());
    let in_flight = phase.is_some_and(Phase::is_in_flight);
    let is_long_down = || down_for(node, turn, memory, now) >= BROKEN_AFTER;
    !node.ready && !is_orphan && !in_flight && (is_given_up || is_long_down())
}

/// How long a node has been NotReady, as this process saw it, or as the leaders before it wrote it down. `turn`: the entry
/// whose turn it is.
pub fn down_for(node: &Node, turn: Option<&Entry>, memory: &Memory, now: Now) -> Duration {
    let seen = memory.sightings.readiness_of(node);
    let seen = seen.map_or(Duration::ZERO, |seen| now.mono.since(seen.since));
    let record = turn.map(|entry| &entry.record);
    let written = record.filter(|record| record.reason == Some(Reason::NodeDown));
    let written = written.and_then(|record| record.reason_at);
    seen.max(written.map_or(Duration::ZERO, |at| now.clock.led_since(at)))
}

/// The policy with the highest priority governs a node. Two policies with the same priority are in conflict, and neither
/// acts (docs/design/life-cycle.md#which-policy).
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

/// The deadline of an attempt, in milliseconds led. If an entry ended with a reading above the clock, its clock is gone:
/// the attempt began before the present clock (docs/design/life-cycle.md#time).
fn deadline(record: &Record, power: &PowerRecord, now: Now) -> u64 {
    let of_another_clock = record.phase_at.is_some_and(|at| at.led_ms > now.clock.led_ms);
    if record.phase.is_ended() && of_another_clock {
        return power.boot_timeout_seconds * 1_000;
    }
    power.deadline_led_ms
}
