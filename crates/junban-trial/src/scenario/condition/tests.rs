use super::*;
use crate::scenario::facts::{EntryFacts, Facts, NodeFacts, PodFacts};

fn facts() -> Facts {
    let mut facts = Facts::default();
    for (name, cordoned, rack) in [
        ("node-1", true, "a"),
        ("node-2", false, "a"),
        ("node-3", true, "b"),
    ] {
        let node = NodeFacts {
            ready: true,
            cordoned,
            with_volume: name == "node-1",
            rack: rack.into(),
            boots: 1,
            ..NodeFacts::default()
        };
        facts.nodes.insert(name.into(), node);
    }
    facts.power.insert("node-1".into(), 1);
    let finished = PodFacts {
        node: "node-2".into(),
        workload: "batch/report".into(),
        ..PodFacts::default()
    };
    facts.pods.insert("batch/report-x7v2p".into(), finished);
    let entry = |node: &str, phase: &str, order| EntryFacts {
        node: node.into(),
        phase: phase.into(),
        reason: "BudgetImpossible".into(),
        message: "pdb shop/cart allows nothing".into(),
        order,
        ..EntryFacts::default()
    };
    facts.entries = vec![entry("node-1", "Succeeded", 1), entry("node-1", "Queued", 2)];
    facts
}

fn holds(text: &str) -> bool {
    Condition::parse(text).unwrap().judge(&facts()).holds
}

#[test]
fn each_claim_can_hold_and_can_fail() {
    let pairs = [
        ("every entry Succeeded or Queued", "every entry Succeeded"),
        ("node-1 is Queued", "node-1 is Succeeded"),
        (
            "node-1 Queued BudgetImpossible naming pdb shop/cart",
            "node-1 Queued BudgetExhausted",
        ),
        (
            "node-1 Queued naming pdb shop/cart",
            "node-1 Queued naming pdb shop/other",
        ),
        ("node-2 has no entry", "node-1 has no entry"),
        ("node-1 cordoned", "node-2 cordoned"),
        ("node-2 is not cordoned", "node-1 schedulable"),
        ("every node Ready", "every node cordoned"),
        ("node-1 boots 1", "node-1 boots > 1"),
        ("node-1 reboots", "not node-1 reboots"),
        ("every node boots 1", "every node boots 2"),
        ("no mark", "no cordon"),
        ("power log one line for node-1", "power log one line per node"),
        ("more than 1 nodes unavailable", "more than 2 nodes unavailable"),
        ("nodes cordoned = 2", "nodes cordoned < 2"),
        ("racks cordoned = 2", "racks cordoned > 2"),
        ("entries Queued >= 1", "entries in flight > 0"),
        ("shop/cart ready < 1", "shop/cart ready >= 1"),
        ("pod shop/a is gone", "pod shop/a is there"),
        ("batch/report pods = 1", "batch/report pods = 0"),
        (
            "batch/report pods on node-2 = 1",
            "batch/report pods on node-1 = 1",
        ),
        ("node-1 holding a volume", "node-2 holding a volume"),
        ("not queue paused", "queue paused"),
        (
            "node-1 cordoned and node-3 cordoned",
            "node-1 cordoned and node-2 cordoned",
        ),
    ];
    for (yes, no) in pairs {
        assert!(holds(yes), "{yes}");
        assert!(!holds(no), "{no}");
    }
    assert!(holds("node-9 gone"));
}

#[test]
fn a_power_action_counts_although_its_node_is_gone() {
    let facts = Facts {
        power: [("node-1".to_owned(), 1)].into(),
        ..Facts::default()
    };
    let holds = |text: &str| Condition::parse(text).unwrap().judge(&facts).holds;
    assert!(!holds("power log empty"));
    assert!(holds("power log one line per node"));
}

#[test]
fn the_error_for_a_misspelt_claim_names_the_nearest_word() {
    for (text, near) in [
        ("node-1 is Drainin", "`Draining`"),
        ("node-1 Failed BootTimout", "`BootTimeout`"),
        ("no cordn", "`cordon`"),
        ("evry entry Succeeded", "`every entry`"),
        ("more than 2 nodez unavailable", "`nodes`"),
        ("shop/cart redy < 1", "`ready`"),
    ] {
        let error = Condition::parse(text).unwrap_err();
        assert!(error.contains(&format!("did you mean {near}")), "{text}: {error}");
    }
    assert!(
        Condition::parse("node-1 cordoned twice")
            .unwrap_err()
            .contains("`twice`")
    );
}
