//! The preconditions of a write: UID, resourceVersion, `test`. They keep two leaders apart, and Junban and people. Here the
//! API server ignores one of them, and a rule must break. Each test name goes on after "preconditions".

use junban_core::ids::Version;
use junban_world::World;

use super::two_leaders::broken_rules;
use super::*;

fn server_that(ignores: fn(&mut Effect, &World)) -> Troubles {
    Troubles {
        on_arrival: Some(Box::new(ignores)),
        ..Troubles::default()
    }
}

/// The version that an object has when the request arrives. With this version no write is too late.
fn version_of(world: &World, kind: &str, name: &str) -> Option<Version> {
    let custom = world.store().custom(kind, name)?;
    Some(Version(custom.meta.resource_version))
}

fn ignores_the_queue_s_version(effect: &mut Effect, world: &World) {
    if let Effect::WriteQueue(write) = effect
        && let Some(now) = version_of(world, "RebootQueue", junban_api::names::QUEUE)
    {
        write.version = now;
    }
}

fn ignores_the_record_s_version(effect: &mut Effect, world: &World) {
    if let Effect::WriteRecord(write) = effect
        && let Some(now) = version_of(world, "NodeReboot", write.name.as_str())
    {
        write.version = now;
    }
}

fn ignores_tests_of_nodes(effect: &mut Effect, _: &World) {
    if let Effect::PatchNode(patch) = effect {
        patch.version = None;
        patch.mark_is = None;
        patch.unschedulable_is = None;
    }
}

fn ignores_the_uid_of_pods(effect: &mut Effect, world: &World) {
    if let Effect::Evict(leave) = effect
        && let Some(pod) = world.store().pod(&leave.pod.namespace, &leave.pod.name)
    {
        leave.uid = (&*pod.meta.uid).into();
    }
}

/// The requests of the second leader arrive so late that the first leader has gone on.
fn late_from_the_second(which: fn(&Effect) -> bool, ignores: fn(&mut Effect, &World)) -> Troubles {
    Troubles {
        split_brain: true,
        on_send: Some(Box::new(move |number, effect| Trouble {
            late: if number == 2 && which(effect) { 700 } else { 0 },
            ..Trouble::default()
        })),
        ..server_that(ignores)
    }
}

fn ignores_nothing(_: &mut Effect, _: &World) {}

/// Two leaders, eight servers with a service on them, and a network whose speed varies.
fn two_leaders_with(troubles: fn() -> Troubles) -> Trial {
    let mut trial = aimed(
        "nodes: 8, boot 20s..40s\ncontrollers: 2\nqueue: maxUnavailable 2\n\
         deployment shop/web: replicas 8, budget maxUnavailable 2, \
         on node-1 node-2 node-3 node-4 node-5 node-6 node-7 node-8, ready after 3s, stops in 3s\n\
         do: reboot --all\nwait 20m",
    )
    .with(troubles);
    trial.delays.latency = Span::ms(20, 400);
    trial.seeds = (1..=10).collect();
    trial
}

fn breaks(ignoring: fn() -> Troubles, correct: fn() -> Troubles, words: &str) {
    let wrong = broken_rules(&two_leaders_with(correct));
    assert!(wrong.is_empty(), "a correct server: {wrong:#?}");
    let wrong = broken_rules(&two_leaders_with(ignoring));
    assert!(
        wrong.iter().any(|line| says(line, words)),
        "with a server that ignores it no failure contains `{words}`: {wrong:#?}"
    );
}

fn is_queue_write(effect: &Effect) -> bool {
    matches!(effect, Effect::WriteQueue(_))
}

fn is_record(effect: &Effect) -> bool {
    matches!(effect, Effect::WriteRecord(_))
}

fn is_patch(effect: &Effect) -> bool {
    matches!(effect, Effect::PatchNode(_))
}

fn is_eviction(effect: &Effect) -> bool {
    matches!(effect, Effect::Evict(_))
}

#[test]
fn of_the_ledger_keep_two_leaders_within_the_limits() {
    breaks(
        || late_from_the_second(is_queue_write, ignores_the_queue_s_version),
        || late_from_the_second(is_queue_write, ignores_nothing),
        "S4",
    );
}

#[test]
fn of_a_record_keep_two_leaders_from_a_second_power_action() {
    breaks(
        || late_from_the_second(is_record, ignores_the_record_s_version),
        || late_from_the_second(is_record, ignores_nothing),
        "S1",
    );
}

#[test]
fn of_a_node_keep_two_leaders_from_a_second_power_action() {
    breaks(
        || late_from_the_second(is_patch, ignores_tests_of_nodes),
        || late_from_the_second(is_patch, ignores_nothing),
        "S1",
    );
}

/// The next pod of a StatefulSet has the same name and another UID.
#[test]
fn of_an_eviction_protect_the_next_pod_of_the_same_name() {
    fn late(ignores: fn(&mut Effect, &World)) -> Troubles {
        let trouble = Trouble {
            late: 20_000,
            ..Trouble::default()
        };
        Troubles {
            on_arrival: Some(Box::new(ignores)),
            ..once(is_eviction, trouble)
        }
    }
    let trial = |troubles| {
        aimed(
            "nodes: 2, boot 30s..30s\n\
             statefulset shop/db: replicas 2, budget maxUnavailable 1, on node-1 node-2, stops in 9s\n\
             do: reboot node-1\neventually: node-1 is cordoned\nafter 1s: delete pod shop/db-0\n\
             eventually: pod shop/db-0 is on node-2\neventually within 5s: shop/db ready = 2\n\
             wait 12s\neventually within 1s: shop/db ready = 2\n\
             eventually: every entry Succeeded",
        )
        .with(troubles)
    };
    trial(|| late(ignores_nothing)).has_no_failure();
    let wrong = trial(|| late(ignores_the_uid_of_pods)).wrong();
    assert!(
        wrong.iter().any(|line| line.contains("ready = 2")),
        "with a server that ignores the UID: {wrong:#?}"
    );
}
