//! Each rule: broken by what it forbids, silent at what it allows.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests")]

use std::collections::BTreeMap;

use junban_world::{
    Checkers, DownCause, EvictionAnswer, IntOrPercent, Params, Phase, PodFacts, PowerOutcome, PowerTag,
    Ready, Removal, Truth, TruthEvent,
};

/// A stream of events with a clock.
struct Play {
    checkers: Checkers,
    at: u64,
    seq: u64,
}

impl Play {
    /// `workers` workers w1, w2 ... and `members` control-plane nodes c1, c2 ...
    fn new(workers: usize, members: usize) -> Self {
        Self::with(
            workers,
            members,
            Params {
                max_unavailable: IntOrPercent::Int(1),
                ..Params::default()
            },
        )
    }

    fn with(workers: usize, members: usize, params: Params) -> Self {
        let mut play = Self {
            checkers: Checkers::new(params),
            at: 0,
            seq: 0,
        };
        let names = (1..=workers)
            .map(|i| format!("w{i}"))
            .chain((1..=members).map(|i| format!("c{i}")));
        for node in names {
            play.tell(Truth::NodeAdded {
                uid: format!("uid-{node}"),
                machine: node.clone(),
                boot_id: "b0".into(),
                control_plane: node.starts_with('c'),
                node: node.clone(),
            });
            play.tell(Truth::NodeReady {
                node,
                ready: Ready::True,
            });
        }
        play
    }

    fn tell(&mut self, what: Truth) -> &mut Self {
        self.checkers.observe(&TruthEvent {
            at: self.at,
            seq: self.seq,
            what,
        });
        self.seq += 1;
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
        self.tell(Truth::Entry {
            entry: entry.into(),
            name: entry.into(),
            node: node.into(),
            node_uid: format!("uid-{node}"),
            goal: goal.into(),
            from: from.into(),
            to: to.into(),
            attempt,
        })
    }

    fn call(&mut self, node: &str, attempt: u64) -> &mut Self {
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

    fn effect(&mut self, node: &str, attempt: u64, again: bool) -> &mut Self {
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

    /// Which rules were broken, in order.
    fn broken(&self) -> Vec<&str> {
        self.checkers
            .violations()
            .iter()
            .map(|v| v.rule.as_str())
            .collect()
    }

    fn fine(&self) {
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

#[test]
fn s1_a_second_effect_for_one_attempt_or_one_boot() {
    let mut p = Play::new(3, 0);
    p.effect("w1", 1, false).effect("w2", 1, false).fine();
    p.effect("w1", 1, false);
    assert_eq!(p.broken(), ["S1", "S1"], "the same attempt, and the same boot");
    let mut p = Play::new(3, 0);
    p.effect("w1", 1, false).effect("w1", 2, false);
    assert_eq!(p.broken(), ["S1"], "attempts: 1 and no retry");
    let mut p = Play::new(3, 0);
    p.effect("w1", 1, false).effect("w1", 1, true).fine();
}

#[test]
fn s1_a_retry_opens_one_more_and_a_second_attempt_waits_for_the_deadline() {
    let mut p = Play::new(3, 0);
    p.entry("w1", "", "Queued", 0).effect("w1", 1, false);
    p.tell(Truth::Retried {
        entry: "e-w1".into(),
        retries: 1,
    });
    p.effect("w1", 2, false).fine();
    p.effect("w1", 3, false);
    assert_eq!(p.broken(), ["S1"]);

    let params = || Params {
        attempts: 2,
        boot_timeout_ms: 60_000,
        ..Params::default()
    };
    let mut p = Play::with(3, 0, params());
    p.effect("w1", 1, false)
        .later(60_000)
        .effect("w1", 2, false)
        .fine();
    let mut p = Play::with(3, 0, params());
    p.effect("w1", 1, false).later(59_000).effect("w1", 2, false);
    assert_eq!(p.broken(), ["S1"]);
}

#[test]
fn s3_a_power_action_without_its_record() {
    let steps = |p: &mut Play, attempt: u64| {
        p.entry("w1", "", "Queued", 0)
            .entry("w1", "Queued", "Draining", 0);
        p.entry("w1", "Draining", "Rebooting", attempt).call("w1", 1);
    };
    let mut p = Play::new(3, 0);
    steps(&mut p, 1);
    p.fine();
    let mut p = Play::new(3, 0);
    steps(&mut p, 2);
    assert_eq!(p.broken(), ["S3"]);
    let mut p = Play::new(3, 0);
    p.entry("w1", "", "Queued", 0).call("w1", 1).call("w2", 1);
    assert_eq!(p.broken(), ["S3", "S3"]);
}

#[test]
fn s4_one_place_is_one_place() {
    let mut p = Play::new(10, 0);
    p.slots(&[("w1", "e-w1")]).cordon("w1", true, "junban").fine();
    p.slots(&[("w1", "e-w1"), ("w2", "e-w2")]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_what_others_cordoned_counts_and_costs_no_place_itself() {
    let mut p = Play::new(10, 0);
    p.slots(&[]).cordon("w9", true, "kubectl").later(10_000);
    p.slots(&[("w9", "e-w9")]).fine();
    p.slots(&[("w9", "e-w9"), ("w1", "e-w1")]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_beside_a_tolerated_failure_there_is_one_place_more() {
    let mut p = Play::new(3, 0);
    p.slots(&[]).ready("w3", Ready::Unknown).later(10_000);
    p.slots(&[("w1", "e-w1")]);
    assert_eq!(p.broken(), ["S4"], "down, but not broken yet");
    let mut p = Play::new(3, 0);
    p.slots(&[]).ready("w3", Ready::Unknown).later(301_000);
    p.slots(&[("w1", "e-w1")]).fine();
    p.slots(&[("w1", "e-w1"), ("w2", "e-w2")]);
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_what_happened_a_moment_ago_could_not_be_known_and_excluded_nodes_count_nowhere() {
    let mut p = Play::new(10, 0);
    p.slots(&[]).later(10_000).ready("w9", Ready::False).later(1000);
    p.slots(&[("w1", "e-w1")]).fine();
    let mut p = Play::new(10, 0);
    let changed = BTreeMap::from([("junban.dev/exclude".to_owned(), Some("true".to_owned()))]);
    p.slots(&[]).cordon("w9", true, "kubectl");
    p.tell(Truth::NodeLabels {
        node: "w9".into(),
        changed,
    })
    .later(10_000);
    p.slots(&[("w1", "e-w1")]).fine();
}

#[test]
fn s4_a_cordon_without_a_slot() {
    let mut p = Play::new(10, 0);
    p.slots(&[]).cordon("w1", true, "kubectl").fine();
    p.cordon("w2", true, "junban");
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s4_without_a_ledger_the_cordons_are_the_grants() {
    let mut p = Play::new(10, 0);
    p.cordon("w1", true, "junban").fine();
    p.cordon("w2", true, "junban");
    assert_eq!(p.broken(), ["S4"]);
}

#[test]
fn s5_one_control_plane_node_at_a_time_with_a_quorum_left() {
    let mut p = Play::new(10, 3);
    p.cordon("c1", true, "junban").call("c1", 1).fine();
    let mut p = Play::with(
        10,
        3,
        Params {
            max_unavailable: IntOrPercent::Int(9),
            ..Params::default()
        },
    );
    p.cordon("c1", true, "junban").cordon("c2", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
    let mut p = Play::new(10, 3);
    p.tell(Truth::MachineDown {
        machine: "c3".into(),
        boot_id: "b0".into(),
        cause: DownCause::Spontaneous,
    });
    p.later(10_000).call("c1", 1);
    assert_eq!(
        p.broken(),
        ["S5"],
        "two of three healthy is not enough to take one"
    );
    let mut p = Play::new(10, 1);
    p.cordon("c1", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
    let mut p = Play::with(
        10,
        1,
        Params {
            allow_quorum_loss: true,
            ..Params::default()
        },
    );
    p.cordon("c1", true, "junban").fine();
}

#[test]
fn s5_never_beside_workers() {
    let mut p = Play::with(
        10,
        3,
        Params {
            max_unavailable: IntOrPercent::Int(9),
            ..Params::default()
        },
    );
    p.entry("w1", "", "Queued", 0)
        .entry("w1", "Queued", "Draining", 0);
    p.cordon("c1", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
    let mut p = Play::with(
        10,
        3,
        Params {
            max_unavailable: IntOrPercent::Int(9),
            ..Params::default()
        },
    );
    p.entry("c1", "", "Queued", 0)
        .entry("c1", "Queued", "Draining", 0)
        .cordon("c1", true, "junban")
        .fine();
    p.cordon("w1", true, "junban");
    assert_eq!(p.broken(), ["S5"]);
}

#[test]
fn s6_a_power_action_with_a_pod_that_must_leave() {
    let mut p = Play::new(3, 0);
    p.pod("a", "w1", "Deployment/shop/a", true).call("w1", 1);
    assert_eq!(p.broken(), ["S6"]);
    let mut p = Play::new(3, 0);
    p.pod("a", "w2", "Deployment/shop/a", true)
        .pod("d", "w1", "DaemonSet/shop/d", true);
    p.tell(Truth::PodAdded(PodFacts {
        mirror: true,
        ..pod("m", "w1", "Node//w1", true)
    }));
    p.tell(Truth::PodAdded(PodFacts {
        phase: Phase::Succeeded,
        ..pod("j", "w1", "Job/shop/j", false)
    }));
    p.call("w1", 1).fine();
    let mut p = Play::new(3, 0);
    p.tell(Truth::PodAdded(PodFacts {
        terminating: true,
        ..pod("a", "w1", "Deployment/shop/a", true)
    }));
    p.call("w1", 1);
    assert_eq!(p.broken(), ["S6"], "a terminating pod is still there");
}

#[test]
fn s6_a_pod_that_tolerates_the_cordon_and_came_back_may_stay() {
    let tolerant = |node| PodFacts {
        tolerates_cordon: true,
        ..pod("t", node, "Deployment/shop/t", true)
    };
    let mut p = Play::new(3, 0);
    p.cordon("w1", true, "junban")
        .later(1000)
        .tell(Truth::PodAdded(tolerant("w1")))
        .call("w1", 1)
        .fine();
    let mut p = Play::new(3, 0);
    p.tell(Truth::PodAdded(tolerant("w1")))
        .later(1000)
        .cordon("w1", true, "junban")
        .call("w1", 1);
    assert_eq!(p.broken(), ["S6"]);
}

#[test]
fn s7_a_deletion_is_no_eviction() {
    let delete = |by: &str, grace_s| Truth::PodRemoval {
        pod: "shop/a".into(),
        uid: "uid-a".into(),
        ready: true,
        why: Removal::Deleted {
            by: by.into(),
            uid_given: true,
            grace_s,
        },
    };
    let mut p = Play::new(3, 0);
    p.tell(delete("kubectl", Some(0))).fine();
    p.tell(delete("junban", None));
    assert_eq!(p.broken(), ["S7"]);
    let params = Params {
        delete_allowed: ["shop".to_owned()].into(),
        ..Params::default()
    };
    let mut p = Play::with(3, 0, params);
    p.tell(delete("junban", None)).fine();
    p.tell(delete("junban", Some(0)));
    assert_eq!(p.broken(), ["S7"]);
}

fn budgeted(p: &mut Play, needed: i64) {
    for name in ["a", "b", "c"] {
        p.pod(name, "w1", "Deployment/shop/x", true);
    }
    p.tell(Truth::Owner {
        owner: "Deployment/shop/x".into(),
        replicas: 3,
    });
    p.tell(Truth::Budget {
        budget: "shop/x".into(),
        namespace: "shop".into(),
        healthy: 3,
        needed,
        expected: 3,
        allowed: 3 - needed,
        members: ["shop/a", "shop/b", "shop/c"].map(Into::into).into(),
    });
    p.later(10_000);
}

fn gone(p: &mut Play, name: &str) {
    p.tell(Truth::PodChanged(PodFacts {
        terminating: true,
        ..pod(name, "w1", "Deployment/shop/x", true)
    }));
}

#[test]
fn s7_an_eviction_below_the_budgets_need() {
    let mut p = Play::new(3, 0);
    budgeted(&mut p, 2);
    p.evict("a").fine();
    gone(&mut p, "a");
    p.evict("b");
    assert_eq!(p.broken(), ["S7"]);
}

#[test]
fn s7_a_pod_that_fell_over_a_moment_ago_could_not_be_known() {
    let mut p = Play::new(3, 0);
    budgeted(&mut p, 2);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(1000)
        .evict("a")
        .fine();
    let mut p = Play::new(3, 0);
    budgeted(&mut p, 2);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(10_000)
        .evict("a");
    assert_eq!(p.broken(), ["S7"]);
}

#[test]
fn s7_without_a_budget_one_of_an_owner_at_a_time_and_never_the_last() {
    let unbudgeted = |pods: &[&str]| {
        let mut p = Play::new(3, 0);
        for name in pods {
            p.pod(name, "w1", "Deployment/shop/x", true);
        }
        p.tell(Truth::Owner {
            owner: "Deployment/shop/x".into(),
            replicas: pods.len() as i64,
        })
        .later(10_000);
        p
    };
    let mut p = unbudgeted(&["a", "b", "c"]);
    p.evict("a").fine();
    gone(&mut p, "a");
    p.evict("b");
    assert_eq!(p.broken(), ["S7"]);
    let mut p = unbudgeted(&["a"]);
    p.evict("a").fine();
    let mut p = unbudgeted(&["a", "b"]);
    p.tell(Truth::PodChanged(pod("b", "w1", "Deployment/shop/x", false)))
        .later(400_000)
        .evict("a");
    assert_eq!(
        p.broken(),
        ["S7"],
        "b is forgotten after five minutes, but a is the last Ready one"
    );
    let mut p = unbudgeted(&["a", "b", "c"]);
    p.tell(Truth::PodChanged(pod("c", "w1", "Deployment/shop/x", false)))
        .later(400_000)
        .evict("a")
        .fine();
}

#[test]
fn s8_an_eviction_without_a_uid() {
    let eviction = |by: &str, uid_given: Option<&str>| Truth::Eviction {
        by: by.into(),
        pod: "shop/a".into(),
        uid: "uid-a".into(),
        uid_given: uid_given.map(Into::into),
        dry_run: false,
        ready: false,
        answer: EvictionAnswer::Accepted,
    };
    let mut p = Play::new(3, 0);
    p.tell(eviction("stranger", None))
        .tell(eviction("junban", Some("uid-a")))
        .fine();
    p.tell(eviction("junban", None));
    assert_eq!(p.broken(), ["S8"]);
}

#[test]
fn s9_a_cordon_of_somebody_else_is_not_lifted() {
    let mut p = Play::new(3, 0);
    p.cordon("w1", true, "junban")
        .cordon("w1", false, "junban")
        .fine();
    p.cordon("w1", true, "kubectl")
        .cordon("w1", false, "kubectl")
        .fine();
    p.cordon("w1", true, "kubectl").cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S9"]);
}

#[test]
fn s10_uncordoned_only_when_each_part_of_the_proof_is_there() {
    let begin = || {
        let mut p = Play::new(3, 0);
        p.tell(Truth::Owner {
            owner: "DaemonSet/shop/d".into(),
            replicas: 0,
        });
        p.pod("d", "w1", "DaemonSet/shop/d", true);
        p.cordon("w1", true, "junban").call("w1", 1).later(60_000);
        p
    };
    let flip = |p: &mut Play| {
        for ready in [false, true] {
            p.tell(Truth::PodChanged(pod("d", "w1", "DaemonSet/shop/d", ready)));
        }
    };
    let mut p = begin();
    p.cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S10"], "the bootID is the old one");
    let mut p = begin();
    p.booted("w1").cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S10"], "the DaemonSet's pod has its old status");
    let mut p = begin();
    p.booted("w1").ready("w1", Ready::False);
    flip(&mut p);
    p.cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S10"], "not Ready");
    let mut p = begin();
    p.tell(Truth::BootIdShown {
        node: "w1".into(),
        boot_id: "b1".into(),
    });
    flip(&mut p);
    p.cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S10"], "no Lease since");
    let mut p = begin();
    p.booted("w1");
    flip(&mut p);
    p.cordon("w1", false, "junban").fine();
}

#[test]
fn s10_nothing_powered_or_given_up_and_ready_needs_no_proof() {
    let mut p = Play::new(3, 0);
    p.cordon("w1", true, "junban")
        .cordon("w1", false, "junban")
        .fine();
    let mut p = Play::new(3, 0);
    p.entry("w1", "", "Queued", 0)
        .entry("w1", "Queued", "Draining", 0)
        .entry("w1", "Draining", "Rebooting", 1);
    p.cordon("w1", true, "junban")
        .call("w1", 1)
        .entry("w1", "Rebooting", "Failed", 1);
    p.tell(Truth::CancelAsked { entry: "e-w1".into() })
        .cordon("w1", false, "junban")
        .fine();
}

#[test]
fn s11_nothing_starts_five_seconds_after_a_pause() {
    let mut p = Play::new(10, 0);
    p.tell(Truth::Paused { paused: true })
        .later(4000)
        .cordon("w1", true, "junban")
        .fine();
    p.later(2000)
        .call("w1", 1)
        .evict("a")
        .cordon("w1", false, "junban");
    assert_eq!(p.broken()[..2], ["S11", "S11"]);
    let mut p = Play::new(10, 0);
    p.tell(Truth::Paused { paused: true })
        .later(10_000)
        .tell(Truth::Paused { paused: false });
    p.cordon("w1", true, "junban").fine();
}

#[test]
fn s13_two_entries_of_one_node() {
    let mut p = Play::new(3, 0);
    p.entry_of("e1", "w1", "T", "", "Queued", 0)
        .entry_of("e2", "w1", "U", "", "Queued", 0);
    p.entry_of("e1", "w1", "T", "Queued", "Draining", 0).fine();
    p.entry_of("e2", "w1", "U", "Queued", "Draining", 0);
    assert_eq!(p.broken(), ["S13"]);
    let mut p = Play::new(3, 0);
    p.entry_of("e1", "w1", "T", "", "Queued", 0)
        .entry_of("e2", "w1", "T", "", "Queued", 0);
    assert_eq!(p.broken(), ["S13"], "one entry for a node and goal");
    let mut p = Play::new(3, 0);
    p.entry_of("e1", "w1", "T", "", "Queued", 0)
        .slots(&[("w1", "e1")])
        .slots(&[("w1", "e2")]);
    assert_eq!(p.broken(), ["S13"], "a slot does not change hands");
}

#[test]
fn s16_only_along_the_edges() {
    let walk = |path: &[&str]| {
        let mut p = Play::new(3, 0);
        let mut from = "";
        for to in path {
            p.entry("w1", from, to, 0);
            from = to;
        }
        p.broken().len()
    };
    assert_eq!(
        walk(&["Queued", "Draining", "Rebooting", "Verifying", "Succeeded"]),
        0
    );
    assert_eq!(
        walk(&[
            "Queued",
            "Draining",
            "Rebooting",
            "Failed",
            "Queued",
            "Verifying",
            "Succeeded"
        ]),
        0
    );
    assert_eq!(walk(&["Queued", "Draining", "Queued", "Cancelled"]), 0);
    assert_eq!(walk(&["Queued", "Rebooting"]), 1);
    assert_eq!(walk(&["Queued", "Draining", "Rebooting", "Cancelled"]), 1);
    assert_eq!(
        walk(&["Queued", "Draining", "Rebooting", "Verifying", "Draining"]),
        1
    );
    assert_eq!(walk(&["Queued", "Succeeded", "Queued"]), 1);
    assert_eq!(walk(&["Queued", "Cancelled", "Queued"]), 1);
}

#[test]
fn s16_cancelled_from_anywhere_where_the_node_is_gone_and_attempts_only_rise() {
    let mut p = Play::new(3, 0);
    p.entry("w1", "", "Queued", 0)
        .entry("w1", "Queued", "Draining", 0)
        .entry("w1", "Draining", "Rebooting", 1);
    p.tell(Truth::NodeRemoved {
        node: "w1".into(),
        uid: "uid-w1".into(),
    });
    p.entry("w1", "Rebooting", "Cancelled", 1).fine();
    let mut p = Play::new(3, 0);
    p.entry("w1", "", "Queued", 2)
        .entry("w1", "Queued", "Draining", 1);
    assert_eq!(p.broken(), ["S16"]);
}

#[test]
fn s17_nothing_starts_while_too_many_have_failed() {
    let failed = |n: usize| {
        let params = Params {
            max_unavailable: IntOrPercent::Int(9),
            failures_max: IntOrPercent::Int(1),
            ..Params::default()
        };
        let mut p = Play::with(10, 0, params);
        p.slots(&[]);
        for i in 1..=n {
            p.entry(&format!("w{i}"), "", "Failed", 1);
        }
        p.slots(&[("w9", "e-w9")]);
        p
    };
    failed(1).fine();
    assert_eq!(failed(2).broken(), ["S17"]);
}

#[test]
fn services_of_two_are_never_without_a_serving_pod() {
    let serving = |serving, wanted, lost| Truth::Serving {
        service: "shop/x".into(),
        serving,
        wanted,
        lost,
    };
    let mut p = Play::new(3, 0);
    p.tell(serving(0, 2, 0))
        .tell(serving(2, 2, 0))
        .tell(serving(0, 2, 1))
        .tell(serving(1, 1, 0));
    p.tell(serving(0, 1, 0)).fine();
    p.tell(serving(0, 2, 0));
    assert_eq!(p.broken(), ["services"]);
}
