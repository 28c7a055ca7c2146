//! Drains that wait for pods on their way out.

use std::time::Duration;

use crate::effect::{Effect, PowerOrder};
use crate::entry::Phase;
use crate::fixture::{Toy, pod};
use crate::ids::{ClaimKey, Version};
use crate::plan::plan;
use crate::pod::Pod;
use crate::policy::StuckTerminating;
use crate::reason::Reason;
use crate::recheck::objection;
use crate::schedule::Schedule;
use crate::volume::{Attachment, Claim};

/// Two nodes of which only node-1 may start.
fn two_nodes() -> Toy {
    let mut toy = Toy::new(&["node-1", "node-2"]);
    toy.node("node-2").held = true;
    toy
}

/// A pod of node-1 that was asked to leave at the beginning.
fn leaving(toy: &mut Toy, name: &str, grace_seconds: u64) -> Pod {
    let grace = Duration::from_secs(grace_seconds);
    let pod = Pod {
        terminating: true,
        gone_by: toy.now().wall.checked_add(grace).ok(),
        grace,
        ..pod(name, "node-1")
    };
    toy.cluster.apply_pod(pod.clone());
    pod
}

#[test]
fn a_drain_is_given_up_two_minutes_after_the_grace_of_its_last_pods() {
    let mut toy = two_nodes();
    toy.policy().drain.timeout = Duration::from_secs(60);
    leaving(&mut toy, "slow", 600);
    toy.run(620);
    toy.assert_phase("node-1", Phase::Draining, Reason::Evicting);
    toy.run(80);
    toy.assert_phase("node-1", Phase::Draining, Reason::PodStuck);
    toy.run(30);
    toy.assert_phase("node-1", Phase::Queued, Reason::BackOff);
    let message = &toy.entry("node-1").unwrap().record.message;
    let expected = "released (DrainTimeout): pod shop/slow is terminating for longer than its grace";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_pod_that_was_not_asked_to_leave_ends_the_drain_at_its_timeout() {
    let mut toy = two_nodes();
    toy.policy().drain.timeout = Duration::from_secs(60);
    leaving(&mut toy, "slow", 600);
    toy.run(1);
    // It came after the cordon and blocks.
    toy.cluster.apply_pod(Pod {
        owner: None,
        ..pod("bare", "node-1")
    });
    toy.run(70);
    toy.assert_phase("node-1", Phase::Queued, Reason::BackOff);
}

/// A controller that is killed again and again must not wait for ever.
#[test]
fn a_new_leader_waits_no_longer_than_the_grace_after_the_timeout() {
    let mut toy = two_nodes();
    toy.policy().drain.timeout = Duration::from_secs(60);
    leaving(&mut toy, "stuck", 30);
    for _ in 0..11 {
        toy.run(20);
        toy.memory = crate::memory::Memory::new("next");
    }
    toy.run(20);
    toy.assert_phase("node-1", Phase::Queued, Reason::BackOff);
}

/// With a volume that is attached to node-1.
fn with_volume(toy: &mut Toy, pod: Pod) {
    let key = ClaimKey::new("shop", "data");
    let claim = Claim {
        volume: "pv-1".into(),
        ..Claim::default()
    };
    toy.cluster.claims.insert(key.clone(), claim);
    toy.cluster.apply_attachment(Attachment {
        name: "a".into(),
        version: Version(1),
        node: "node-1".into(),
        volume: "pv-1".into(),
        attached: true,
    });
    toy.cluster.apply_pod(Pod {
        claims: vec![key],
        version: Version(2),
        ..pod
    });
}

#[test]
fn the_volume_of_the_last_pod_is_waited_for_as_well() {
    let mut toy = two_nodes();
    toy.policy().drain.timeout = Duration::from_secs(60);
    let last = leaving(&mut toy, "last", 300);
    with_volume(&mut toy, last.clone());
    toy.run(200);
    toy.cluster.remove_pod(&last.key);
    toy.run(100);
    toy.assert_phase("node-1", Phase::Draining, Reason::VolumeAttached);
    toy.run(30);
    toy.assert_phase("node-1", Phase::Queued, Reason::BackOff);
}

#[test]
fn the_reboot_goes_on_beside_a_stuck_pod_if_the_policy_says_so() {
    for (rule, reboots) in [
        (StuckTerminating::Release, false),
        (StuckTerminating::Reboot, true),
    ] {
        let mut toy = two_nodes();
        toy.policy().drain.stuck_terminating = rule;
        let stuck = leaving(&mut toy, "stuck", 30);
        with_volume(&mut toy, stuck);
        let slow = leaving(&mut toy, "slow", 300);
        toy.run(160);
        assert_eq!(
            toy.powered,
            Vec::<String>::new(),
            "another pod still ends in its own time"
        );
        toy.assert_phase("node-1", Phase::Draining, Reason::PodStuck);
        let goes_on = "with volumes attached (pv-1); the reboot goes on (drain.stuckTerminating: Reboot)";
        let message = &toy.entry("node-1").unwrap().record.message;
        assert_eq!(message.ends_with(goes_on), reboots, "{message}");
        toy.cluster.remove_pod(&slow.key);
        toy.run(10);
        assert_eq!(!toy.powered.is_empty(), reboots, "{:?}", toy.entry("node-1"));
    }
}

#[test]
fn the_second_check_finds_a_pod_that_may_still_end() {
    let mut toy = two_nodes();
    toy.policy().drain.stuck_terminating = StuckTerminating::Reboot;
    let stuck = leaving(&mut toy, "stuck", 30);
    toy.run(149);
    let mut order: Option<PowerOrder> = None;
    for _ in 0..60 {
        let now = toy.now();
        toy.memory.observe(&toy.cluster, now);
        let effects = plan(&toy.cluster, &toy.memory, &Schedule::default(), now).effects;
        order = effects.into_iter().find_map(|effect| match effect {
            Effect::Power(order) => Some(order),
            _ => None,
        });
        if order.is_some() {
            break;
        }
        if toy.step().is_err() {
            toy.now_ms += 1_000;
        }
    }
    let order = order.expect("a power action");
    assert_eq!(order.beside, std::slice::from_ref(&stuck.key));
    let now = toy.now();
    assert_eq!(objection(&toy.cluster, now, &Effect::Power(order.clone())), None);
    toy.cluster.apply_pod(Pod {
        gone_by: Some(now.wall),
        version: Version(9),
        ..stuck
    });
    let against = objection(&toy.cluster, now, &Effect::Power(order.clone()));
    assert!(against.unwrap().contains("which may still end"));
    toy.policy().drain.stuck_terminating = StuckTerminating::Release;
    let against = objection(&toy.cluster, now, &Effect::Power(order));
    assert!(against.unwrap().contains("under Release"));
}
