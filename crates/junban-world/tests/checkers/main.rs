//! Each rule: its checker reports what the rule forbids and nothing else.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use std::collections::BTreeMap;

use junban_world::{
    Checkers, DownCause, EntryFacts, EvictionAnswer, IntOrPercent, Params, Phase, PodFacts, PowerOutcome,
    PowerTag, QuorumGroup, Ready, Removal, Selector, Truth, TruthEvent,
};

mod in_flight;
mod limits;
mod pods;
mod power;
mod turns;

/// A stream of events with a clock; the checkers judge each event.
struct Stream {
    checkers: Checkers,
    at: u64,
    entries: BTreeMap<String, EntryFacts>,
}

impl Stream {
    /// `workers` workers w1, w2 ... and `members` control-plane nodes c1, c2 ...
    fn new(workers: usize, members: usize) -> Self {
        Self::with(workers, members, places(1))
    }

    fn with(workers: usize, members: usize, params: Params) -> Self {
        let mut stream = Self {
            checkers: Checkers::new(params),
            at: 0,
            entries: BTreeMap::new(),
        };
        let names = (1..=workers)
            .map(|i| format!("w{i}"))
            .chain((1..=members).map(|i| format!("c{i}")));
        for node in names {
            stream.tell(Truth::NodeAdded {
                uid: format!("uid-{node}"),
                machine: node.clone(),
                boot_id: "b0".into(),
                control_plane: node.starts_with('c'),
                node: node.clone(),
            });
            stream.tell(Truth::NodeReady {
                node,
                ready: Ready::True,
            });
        }
        stream
    }

    fn tell(&mut self, what: Truth) -> &mut Self {
        self.checkers.observe(&TruthEvent { at: self.at, what });
        self
    }

    fn later(&mut self, ms: u64) -> &mut Self {
        self.at += ms;
        self
    }

    fn cordon(&mut self, node: &str, cordoned: bool, by: &str) -> &mut Self {
        self.tell(Truth::Cordon {
            node: node.into(),
            cordoned,
            by: by.into(),
        })
    }

    fn ready(&mut self, node: &str, ready: Ready) -> &mut Self {
        self.tell(Truth::NodeReady {
            node: node.into(),
            ready,
        })
    }

    fn entry(&mut self, node: &str, from: &str, to: &str, attempt: u64) -> &mut Self {
        self.entry_of(&format!("e-{node}"), node, "T", from, to, attempt)
    }

    fn entry_of(
        &mut self,
        entry: &str,
        node: &str,
        goal: &str,
        from: &str,
        to: &str,
        attempt: u64,
    ) -> &mut Self {
        let mut facts = self.facts_of(entry);
        (facts.node, facts.node_uid, facts.goal) = (node.into(), format!("uid-{node}"), goal.into());
        if facts.phase != from {
            // The stream begins in the middle of a turn.
            from.clone_into(&mut facts.phase);
            self.entries.insert(entry.into(), facts.clone());
            let what = Truth::Entry(facts.clone());
            self.checkers.learn(&TruthEvent { at: self.at, what });
        }
        (facts.phase, facts.attempt) = (to.into(), attempt);
        self.tell_entry(facts)
    }

    /// What the stream has told of this entry.
    fn facts_of(&self, entry: &str) -> EntryFacts {
        let new = || EntryFacts {
            uid: entry.into(),
            name: entry.into(),
            ..EntryFacts::default()
        };
        self.entries.get(entry).cloned().unwrap_or_else(new)
    }

    fn tell_entry(&mut self, facts: EntryFacts) -> &mut Self {
        self.entries.insert(facts.uid.clone(), facts.clone());
        self.tell(Truth::Entry(facts))
    }

    /// Somebody changed the spec of the entry `e-w1`.
    fn cancelled_or_retried(&mut self, cancel_asked: bool, retries: u64) -> &mut Self {
        let facts = self.facts_of("e-w1");
        self.tell_entry(EntryFacts {
            cancel_asked,
            retries,
            ..facts
        })
    }

    /// The entry `e-NODE` of `policy` was made.
    fn entry_made(&mut self, node: &str, policy: &str) -> &mut Self {
        let facts = self.facts_of(&format!("e-{node}"));
        self.tell_entry(EntryFacts {
            node: node.into(),
            node_uid: format!("uid-{node}"),
            policy: policy.into(),
            ..facts
        })
    }

    fn label(&mut self, node: &str, key: &str, value: Option<&str>) -> &mut Self {
        self.tell(Truth::NodeLabels {
            node: node.into(),
            changed: BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]),
        })
    }

    fn powered(&mut self, node: &str, attempt: u64) -> &mut Self {
        let tag = PowerTag {
            entry: format!("e-{node}"),
            attempt,
        };
        self.tell(Truth::PowerCalled {
            node: node.into(),
            machine: node.into(),
            boot_id: "b0".into(),
            tag,
            outcome: PowerOutcome::Started,
        })
    }

    fn power_effect(&mut self, node: &str, attempt: u64, again: bool) -> &mut Self {
        let tag = PowerTag {
            entry: format!("e-{node}"),
            attempt,
        };
        self.tell(Truth::PowerEffect {
            node: node.into(),
            machine: node.into(),
            boot_id: "b0".into(),
            tag,
            again,
        })
    }

    fn booted(&mut self, node: &str) -> &mut Self {
        let (node, boot_id) = (node.to_owned(), "b1".to_owned());
        self.tell(Truth::BootIdShown {
            node: node.clone(),
            boot_id: boot_id.clone(),
        });
        self.tell(Truth::LeaseAfterBoot { node, boot_id })
    }

    fn slots(&mut self, holders: &[(&str, &str)]) -> &mut Self {
        let holders = holders
            .iter()
            .map(|(n, e)| ((*n).to_owned(), (*e).to_owned()))
            .collect();
        self.tell(Truth::Slots { holders })
    }

    fn pod(&mut self, name: &str, node: &str, owner: &str, ready: bool) -> &mut Self {
        self.tell(Truth::PodAdded(pod(name, node, owner, ready)))
    }

    fn evict(&mut self, name: &str) -> &mut Self {
        self.tell(Truth::Eviction {
            by: "junban".into(),
            pod: format!("shop/{name}"),
            uid: format!("uid-{name}"),
            uid_given: Some(format!("uid-{name}")),
            dry_run: false,
            ready: true,
            answer: EvictionAnswer::Accepted,
        })
    }

    /// The broken rules, in order.
    fn broken(&self) -> Vec<&str> {
        self.checkers
            .violations()
            .iter()
            .map(|v| v.rule.as_str())
            .collect()
    }

    fn allowed(&self) {
        assert_eq!(self.checkers.violations(), []);
    }
}

fn pod(name: &str, node: &str, owner: &str, ready: bool) -> PodFacts {
    PodFacts {
        pod: format!("shop/{name}"),
        uid: format!("uid-{name}"),
        namespace: "shop".into(),
        labels: BTreeMap::new(),
        owner_kind: owner.split('/').next().unwrap().to_owned(),
        topmost: owner.into(),
        node: Some(node.into()),
        phase: Phase::Running,
        ready,
        ..PodFacts::default()
    }
}

fn places(n: i64) -> Params {
    Params {
        max_unavailable: IntOrPercent::Int(n),
        ..Params::default()
    }
}
