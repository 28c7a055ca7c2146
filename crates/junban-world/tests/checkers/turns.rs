//! S9, S10, S11, S13, S16: cordons, proof, pause, and the edges of entries.

use super::*;

#[test]
fn s9_the_controller_does_not_remove_the_cordon_of_somebody_else() {
    let mut p = Stream::new(3, 0);
    p.cordon("w1", true, "junban")
        .cordon("w1", false, "junban")
        .allowed();
    p.cordon("w1", true, "kubectl")
        .cordon("w1", false, "kubectl")
        .allowed();
    p.cordon("w1", true, "kubectl").cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S9"]);
}

#[test]
fn s10_an_uncordon_needs_every_part_of_the_proof() {
    let begin = || {
        let mut p = Stream::new(3, 0);
        p.tell(Truth::Owner {
            owner: "DaemonSet/shop/d".into(),
            replicas: 0,
            min_ready_s: 0,
        });
        p.pod("d", "w1", "DaemonSet/shop/d", true);
        p.cordon("w1", true, "junban").powered("w1", 1).later(60_000);
        p
    };
    let flip = |p: &mut Stream| {
        for ready in [false, true] {
            p.tell(Truth::PodChanged(pod("d", "w1", "DaemonSet/shop/d", ready)));
        }
    };
    let mut p = begin();
    p.cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S10"], "the API shows the old bootID");
    let mut p = begin();
    p.booted("w1").cordon("w1", false, "junban");
    assert_eq!(
        p.broken(),
        ["S10"],
        "the DaemonSet pod has not become Ready again"
    );
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
    assert_eq!(p.broken(), ["S10"], "the Lease was not renewed since");
    let mut p = begin();
    p.booted("w1");
    flip(&mut p);
    p.cordon("w1", false, "junban").allowed();
}

#[test]
fn s10_a_control_plane_node_settles_before_its_turn_ends() {
    let uncordoned_after = |ms: u64| {
        let mut p = Stream::new(0, 3);
        p.entry("c1", "", "Queued", 0)
            .entry("c1", "Queued", "Draining", 0)
            .entry("c1", "Draining", "Rebooting", 1);
        p.cordon("c1", true, "junban")
            .powered("c1", 1)
            .ready("c1", Ready::False)
            .booted("c1")
            .entry("c1", "Rebooting", "Verifying", 1);
        p.later(20_000);
        p.ready("c1", Ready::True).later(ms);
        p.cordon("c1", false, "junban");
        p
    };
    assert_eq!(uncordoned_after(10_000).broken(), ["S10"]);
    uncordoned_after(30_000).allowed();
}

/// `w1` was powered, and its entry is Failed.
fn failed() -> Stream {
    let mut p = Stream::new(3, 0);
    p.entry("w1", "", "Queued", 0)
        .entry("w1", "Queued", "Draining", 0)
        .entry("w1", "Draining", "Rebooting", 1);
    p.cordon("w1", true, "junban")
        .powered("w1", 1)
        .entry("w1", "Rebooting", "Failed", 1);
    p
}

#[test]
fn s10_a_node_that_was_not_powered_or_is_given_up_and_ready_needs_no_proof() {
    let mut p = Stream::new(3, 0);
    p.cordon("w1", true, "junban")
        .cordon("w1", false, "junban")
        .allowed();
    let mut p = failed();
    p.cancelled_or_retried(true, 0)
        .cordon("w1", false, "junban")
        .allowed();
}

#[test]
fn s10_a_server_that_is_given_up_while_it_is_down_waits_until_it_is_ready_or_excluded() {
    let begin = || {
        let mut p = failed();
        p.ready("w1", Ready::Unknown);
        p
    };
    let mut p = begin();
    p.cancelled_or_retried(true, 0).cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S10"], "down");
    let mut p = begin();
    p.label("w1", "junban.dev/exclude", Some("true"))
        .cordon("w1", false, "junban");
    assert_eq!(p.broken(), ["S10"], "excluded, but not given up");
    let mut p = begin();
    p.cancelled_or_retried(true, 0)
        .label("w1", "junban.dev/exclude", Some("true"))
        .cordon("w1", false, "junban")
        .allowed();
}

#[test]
fn s11_nothing_starts_five_seconds_after_a_pause() {
    let mut p = Stream::new(10, 0);
    p.tell(Truth::Paused { paused: true })
        .later(4000)
        .cordon("w1", true, "junban")
        .allowed();
    p.later(2000)
        .powered("w1", 1)
        .evict("a")
        .cordon("w1", false, "junban");
    assert_eq!(p.broken()[..2], ["S11", "S11"]);
    let params = Params {
        delete_allowed: ["shop".to_owned()].into(),
        ..Params::default()
    };
    let mut p = Stream::with(10, 0, params);
    p.tell(Truth::Paused { paused: true }).later(6000);
    p.tell(Truth::PodRemoval {
        pod: "shop/a".into(),
        uid: "uid-a".into(),
        ready: true,
        why: Removal::Deleted {
            by: "junban".into(),
            uid_given: true,
            grace_s: None,
        },
    });
    assert_eq!(p.broken(), ["S11"]);
    let mut p = Stream::new(10, 0);
    p.tell(Truth::Paused { paused: true })
        .later(10_000)
        .tell(Truth::Paused { paused: false });
    p.cordon("w1", true, "junban").allowed();
}

#[test]
fn s13_two_entries_of_one_node() {
    let mut p = Stream::new(3, 0);
    p.entry_of("e1", "w1", "T", "", "Queued", 0)
        .entry_of("e2", "w1", "U", "", "Queued", 0);
    p.entry_of("e1", "w1", "T", "Queued", "Draining", 0).allowed();
    p.entry_of("e2", "w1", "U", "Queued", "Draining", 0);
    assert_eq!(p.broken(), ["S13"]);
    let mut p = Stream::new(3, 0);
    p.entry_of("e1", "w1", "T", "", "Queued", 0)
        .entry_of("e2", "w1", "T", "", "Queued", 0);
    assert_eq!(p.broken(), ["S13"], "a second entry for the same node and goal");
    let mut p = Stream::new(3, 0);
    p.entry_of("e1", "w1", "T", "", "Queued", 0)
        .slots(&[("w1", "e1")])
        .slots(&[("w1", "e2")]);
    assert_eq!(p.broken(), ["S13"], "another entry took the slot");
}

#[test]
fn s16_entries_move_only_along_the_edges() {
    let walk = |path: &[&str]| {
        let mut p = Stream::new(3, 0);
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
fn s16_any_phase_may_end_cancelled_if_the_node_is_gone_and_attempts_never_fall() {
    let mut p = Stream::new(3, 0);
    p.entry("w1", "", "Queued", 0)
        .entry("w1", "Queued", "Draining", 0)
        .entry("w1", "Draining", "Rebooting", 1);
    p.tell(Truth::NodeRemoved {
        node: "w1".into(),
        uid: "uid-w1".into(),
    });
    p.entry("w1", "Rebooting", "Cancelled", 1).allowed();
    let mut p = Stream::new(3, 0);
    p.entry("w1", "", "Queued", 2)
        .entry("w1", "Queued", "Draining", 1);
    assert_eq!(p.broken(), ["S16"]);
}
