//! A test per guard of lifecycle.md 4 to 6: with the guard a run is good, without it a claim of the scenario or a
//! checker of the world turns red (safety.md 4, planted bugs).
//!
//! The network of most runs here takes 50 ms each way, always, so that an act of a person can be aimed between two
//! steps. With the write-ahead record done at R, the attempt stands in the mark at R + 100 ms, the live reads see
//! the cluster of R + 200 ms, and the driver is called at R + 300 ms.
//!
//! Not each guard can be seen to matter alone. Where a rule is held twice both are taken out, and the test says so;
//! [`NOT_SEEN_ALONE`] names those whose loss turns nothing red here, and why.

#![expect(
    clippy::panic,
    reason = "a scenario that does not parse is a mistake of this file"
)]

use junban_core::effect::{Effect, NodeWrite, Read};
use junban_core::guard::{Guard, Slip, with_slip, without};
use junban_sim::scenario::model::Scenario;
use junban_sim::scenario::parse;
use junban_sim::sim::{Delays, Trouble, Troubles};
use junban_sim::simulated::{Options, Outcome, run_in};
use junban_world::Span;

/// Guards whose loss nothing here sees, and what holds the same rule.
const NOT_SEEN_ALONE: [(Guard, &str); 6] = [
    (
        Guard::ActSameNode,
        "the reads of the act also reach the plan's view: another UID, bootID, mark or attempt moves the turn first",
    ),
    (
        Guard::ActSameEntry,
        "as for the Node; and the CRD refuses Rebooting on a cancelled entry",
    ),
    (
        Guard::VoidFirst,
        "the process whose attempt is late is dead or without its Lease, and starts nothing after its write",
    ),
    (
        Guard::OrphanLive,
        "all watches of the simulated world are equally late: an entry is never seen later than its mark",
    ),
    (
        Guard::RebuildLater,
        "a start that is under way arrives on a Node that the same order of entries starts again",
    ),
    (
        Guard::AfterDrop,
        "a dropped slot is granted again to the same entry",
    ),
];

/// A claim that can fail: whoever makes one of them visible takes it off the list.
#[test]
fn guards_whose_loss_is_not_seen_are_listed_with_a_reason() {
    let trials = [
        file("three_empty_nodes"),
        file("queue_made_again"),
        file("uncordon_in_mid_drain"),
    ];
    for (guard, why) in NOT_SEEN_ALONE {
        assert!(!why.is_empty());
        for trial in &trials {
            let wrong = without(&[guard], || trial.wrong());
            assert!(wrong.is_empty(), "{guard:?} can be seen after all: {wrong:#?}");
        }
    }
}

/// One way of running a scenario.
struct Trial {
    scenario: Scenario,
    delays: Delays,
    troubles: fn() -> Troubles,
    seeds: Vec<u64>,
    /// Runs end after each of so many writes, one run each.
    crashes: u64,
}

/// A file of `tests/scenarios/`, over the usual network.
fn file(name: &str) -> Trial {
    let path = format!("{}/../../tests/scenarios/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    Trial {
        scenario: parse(name, &text).unwrap_or_else(|error| panic!("{error}")),
        delays: Delays::default(),
        troubles: Troubles::default,
        seeds: vec![1],
        crashes: 0,
    }
}

/// A scenario over the network with 50 ms each way.
fn aimed(lines: &str) -> Trial {
    let text = format!("scenario: aimed\n{lines}");
    Trial {
        scenario: parse("aimed", &text).unwrap_or_else(|error| panic!("{error}")),
        delays: Delays {
            latency: Span::ms(100, 100),
            driver: Span::ms(100, 100),
            ..Delays::default()
        },
        troubles: Troubles::default,
        seeds: vec![1],
        crashes: 0,
    }
}

impl Trial {
    fn with(self, troubles: fn() -> Troubles) -> Self {
        Self { troubles, ..self }
    }

    fn ended_after_each_of(self, crashes: u64) -> Self {
        Self { crashes, ..self }
    }

    /// From sending a request to its answer.
    fn takes(mut self, ms: u64) -> Self {
        self.delays.latency = Span::ms(ms, ms);
        self
    }

    fn watches_lag(mut self, ms: u64) -> Self {
        self.delays.watch = ms;
        self
    }

    fn runs(&self) -> Vec<Outcome> {
        let crashes = (0..=self.crashes).filter(|nth| *nth > 0 || self.crashes == 0);
        let exits = crashes.map(|nth| Some(nth).filter(|nth| *nth > 0));
        let one = |seed, exit_after_writes| {
            let options = Options {
                seed,
                exit_after_writes,
            };
            run_in(&self.scenario, options, self.delays, (self.troubles)())
        };
        exits
            .flat_map(|exit| self.seeds.iter().map(move |seed| (*seed, exit)))
            .map(|(seed, exit)| one(seed, exit))
            .collect()
    }

    /// What was wrong in any of the runs.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for outcome in self.runs() {
            wrong.extend(
                outcome
                    .failures
                    .iter()
                    .map(|failure| failure.describe(&self.scenario.file)),
            );
            if outcome.denied > 0 {
                wrong.push(format!(
                    "denied: {} evictions that Junban need not have asked for",
                    outcome.denied
                ));
            }
        }
        wrong
    }

    fn is_good(&self) {
        let wrong = self.wrong();
        assert!(wrong.is_empty(), "with all guards: {wrong:#?}");
    }

    /// Good as it is; without the guards something turns red, and says one of `words`.
    fn needs(&self, guards: &[Guard], words: &str) {
        self.is_good();
        let wrong = without(guards, || self.wrong());
        assert!(!wrong.is_empty(), "nothing turned red without {guards:?}");
        assert!(
            wrong.iter().any(|line| line.contains(words)),
            "without {guards:?}: `{words}` is not in {wrong:#?}"
        );
    }

    fn needs_arithmetic(&self, slip: Slip, off: &[Guard], words: &str) {
        self.is_good();
        let wrong = without(off, || with_slip(slip, || self.wrong()));
        assert!(
            wrong.iter().any(|line| line.contains(words)),
            "with {slip:?}: `{words}` is not in {wrong:#?}"
        );
    }
}

/// Something goes wrong with the first request that `aim` picks.
fn once(aim: fn(&Effect) -> bool, trouble: Trouble) -> Troubles {
    let mut hit = false;
    Troubles {
        on_send: Some(Box::new(move |_, effect| {
            if !hit && aim(effect) {
                hit = true;
                return trouble;
            }
            Trouble::default()
        })),
        ..Troubles::default()
    }
}

fn is_attempt(effect: &Effect) -> bool {
    matches!(effect, Effect::PatchNode(patch) if patch.what == NodeWrite::Attempt)
}

fn is_look_before_the_act(effect: &Effect) -> bool {
    matches!(effect, Effect::Read(Read::Act { .. }))
}

const ONE: &str = "nodes: 1, boot 30s..30s\ndo: reboot --all\neventually: node-1 is Rebooting\n";

fn after_the_record(lines: &str) -> Trial {
    aimed(&format!("{ONE}{lines}"))
}

mod the_act {
    use super::*;

    #[test]
    fn is_not_begun_when_the_queue_was_paused_after_the_record() {
        after_the_record("after 150ms: pause\nwait 5s\nat the end: power log empty")
            .needs(&[Guard::ActNotPaused], "power log empty");
    }

    /// Held twice: a turn goes on only with its slot, and the live read must show it.
    #[test]
    fn is_not_begun_when_the_queue_does_not_show_the_slot() {
        after_the_record(
            "after 150ms: delete queue\ndo: apply queue\nwait 3s\neventually within 1s: power log empty",
        )
        .needs(&[Guard::ActSlot, Guard::SlotFirst], "power log empty");
    }

    #[test]
    fn is_not_begun_on_a_node_that_a_person_gave_back() {
        after_the_record("after 150ms: uncordon node-1\nwait 3s\neventually within 1s: power log empty")
            .needs(&[Guard::ActCordoned], "power log empty");
    }

    #[test]
    fn is_not_begun_for_a_goal_that_was_waived() {
        after_the_record(
            "after 150ms: cancel node-1\nwait 5s\nat the end: power log empty, no mark, no slot",
        )
        .needs(&[Guard::ActWaiver], "power log empty");
    }

    #[test]
    fn is_not_begun_with_a_pod_that_came_after_the_list() {
        aimed(
            "nodes: 2, boot 30s..30s\n\
             deployment shop/late: replicas 1, on node-2, tolerates unschedulable, spread, stops in 10s\n\
             do: reboot node-1\neventually: node-1 is Rebooting\ndo: scale shop/late to 2\nwait 7s\n\
             eventually within 1s: power log empty",
        )
        .takes(2_000)
        .needs(&[Guard::ActPods], "power log empty");
    }

    #[test]
    fn begins_within_10_s_of_the_record() {
        let late = || {
            once(
                is_attempt,
                Trouble {
                    answer_late: 9_900,
                    ..Trouble::default()
                },
            )
        };
        after_the_record("wait 11s\neventually within 2s: power log empty")
            .with(late)
            .needs(&[Guard::ActInTime], "power log empty");
    }

    #[test]
    fn rests_on_reads_of_the_last_4_s() {
        let late = || {
            once(
                is_look_before_the_act,
                Trouble {
                    answer_late: 6_000,
                    ..Trouble::default()
                },
            )
        };
        after_the_record("after 1s: pause\nwait 10s\nat the end: power log empty")
            .with(late)
            .needs(&[Guard::ActEvidence], "S11");
    }

    /// The write of an attempt whose process died arrives when its successor has powered the machine.
    #[test]
    fn tests_the_whole_mark_when_its_attempt_is_written() {
        let late_and_killed = || {
            once(
                is_attempt,
                Trouble {
                    late: 12_000,
                    kill: true,
                    ..Trouble::default()
                },
            )
        };
        after_the_record("eventually: every entry Succeeded\nat the end: no cordon, no mark, no slot")
            .with(late_and_killed)
            .needs(&[Guard::AttemptTestsMark], "S1");
    }

    /// Held twice: by the `test` and by the live reads after it.
    #[test]
    fn tests_the_cordon_when_its_attempt_is_written() {
        after_the_record("after 50ms: uncordon node-1\nwait 3s\neventually within 1s: power log empty")
            .needs(
                &[Guard::AttemptTestsCordon, Guard::ActCordoned],
                "power log empty",
            );
    }

    #[test]
    fn of_another_process_counts_as_started() {
        after_the_record(
            "after 350ms: kill controller\nafter 1s: start controller\neventually: every entry Succeeded\n\
             at the end: power log one line per node, no cordon, no mark",
        )
        .needs(&[Guard::ForeignAttemptCounts], "S1");
    }

    #[test]
    fn is_seen_through_by_a_process_that_is_asked_to_end() {
        file("stop_in_rebooting").needs(&[Guard::SeenThrough], "BootTimeout");
    }

    /// The successor writes the record once more, for its outcome.
    #[test]
    fn is_a_process_s_own_only_by_the_record_that_began_it() {
        aimed(
            "nodes: 1, boot 30s..30s\ndo: reboot --all\neventually: every entry Succeeded\n\
             at the end: power log one line per node, no mark",
        )
        .ended_after_each_of(24)
        .needs(&[Guard::OwnRecordOnly], "S1");
    }
}

mod the_ledger {
    use super::*;

    #[test]
    fn gets_the_slot_of_a_mark_back() {
        file("entry_deleted_after_failure")
            .needs(&[Guard::PutBack], "`eventually within 5m: node-1 is Succeeded`");
    }

    /// Held twice: a slot is freed for an ended entry, and after live reads that show the same.
    #[test]
    fn frees_a_slot_only_for_what_has_ended() {
        file("three_empty_nodes").needs(
            &[Guard::FreeEnded, Guard::FreeLive],
            "S4: node-1 was cordoned without a slot",
        );
    }

    /// Held twice: by the lists, and by putting back the slot of each mark.
    #[test]
    fn is_rebuilt_from_marks() {
        aimed(
            "nodes: 2, boot 5s..5s\ndo: reboot --all\nwhen node-1 is Draining: delete queue\nafter 2s: apply queue\n\
             eventually: every entry Succeeded\nat the end: no cordon, no mark, no slot",
        )
        .needs(&[Guard::RebuildFromMarks, Guard::PutBack], "every entry Succeeded");
    }

    #[test]
    fn keeps_the_limit_of_unavailable_nodes() {
        let trial = aimed(
            "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 2\ndo: reboot --all\neventually: every entry Succeeded",
        );
        trial.needs(&[Guard::LimitPlaces], "independent check");
        trial.needs(&[Guard::LimitPlaces, Guard::Recheck], "S4");
    }

    #[test]
    fn keeps_the_queue_s_limit() {
        aimed(
            "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 4, maxConcurrent 1\ndo: reboot --all\n\
             never: entries in flight > 1\neventually: every entry Succeeded",
        )
        .needs(&[Guard::LimitQueue], "entries in flight > 1");
    }

    #[test]
    fn keeps_the_policy_s_limit() {
        aimed(
            "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 4\npolicy workers: maxConcurrent 1\ndo: reboot --all\n\
             never: entries in flight > 1\neventually: every entry Succeeded",
        )
        .needs(&[Guard::LimitPolicy], "entries in flight > 1");
    }

    #[test]
    fn waits_for_the_first_proof() {
        let trial = aimed(
            "nodes: 4, boot 60s..60s\nqueue: maxUnavailable 4\ndo: reboot --all\neventually: node-1 is Rebooting\nwait 30s\n\
             eventually within 1s: entries in flight = 1",
        );
        trial.needs(&[Guard::FirstProofStart], "entries in flight = 1");
        let trial = aimed(
            "nodes: 4, boot 60s..60s\nqueue: maxUnavailable 4\ndo: reboot --all\neventually: node-1 is Rebooting\nwait 30s\n\
             eventually within 1s: entries Rebooting = 1",
        );
        trial.needs(
            &[Guard::FirstProofStart, Guard::FirstProofPower],
            "entries Rebooting = 1",
        );
    }

    #[test]
    fn opens_one_group_at_a_time() {
        aimed(
            "nodes: 6, racks 2, boot 5s..5s\nqueue: maxUnavailable 4\n\
             policy workers: groups.by topology.kubernetes.io/zone\ndo: reboot --all\n\
             never: racks in flight > 1\neventually: every entry Succeeded",
        )
        .needs(&[Guard::Groups], "racks in flight > 1");
    }

    #[test]
    fn stops_when_failures_exceed_their_limit() {
        file("stop_at_the_first_failure").needs(&[Guard::Halt], "Queued Halted");
    }

    #[test]
    fn starts_no_boot_that_another_entry_may_have_powered() {
        aimed(
            "nodes: 1, boot 30s..30s\nfault node-1: power lost\ndo: reboot --all\neventually: node-1 is Rebooting\n\
             after 5s: delete node node-1\nafter 5s: register node node-1\nwait 60s\n\
             eventually within 1s: node-1 Queued EarlierPower",
        )
        .needs(&[Guard::EarlierPower], "EarlierPower");
    }

    #[test]
    fn starts_no_node_that_is_held_or_excluded() {
        file("hold_and_exclude").needs(&[Guard::NodeGate], "Queued Hold");
    }

    #[test]
    fn starts_a_control_plane_node_alone() {
        file("three_control_planes").needs(&[Guard::ControlPlaneAlone], "S5");
    }

    /// Held twice: by the health of the members, and by the Nodes that are out of service.
    #[test]
    fn starts_no_control_plane_node_beside_a_dead_one() {
        file("control_plane_that_never_returns")
            .needs(&[Guard::ControlPlaneHealth, Guard::ControlPlaneAlone], "S5");
    }
}

mod two_leaders {
    use super::*;

    /// Both hold a Lease of their own, all the time. What they promise each other then is safety, not an end in time.
    fn split(trial: Trial) -> Vec<String> {
        let rules = |line: &String| {
            line.contains("a checker") || line.contains("independent") || line.contains("never")
        };
        trial.wrong().into_iter().filter(rules).collect()
    }

    fn both_lead() -> Troubles {
        Troubles {
            split_brain: true,
            ..Troubles::default()
        }
    }

    fn trial(troubles: fn() -> Troubles) -> Trial {
        let mut trial = aimed(
            "nodes: 6, boot 20s..20s\ncontrollers: 2\nqueue: maxUnavailable 2\ndo: reboot --all\nwait 10m",
        )
        .with(troubles);
        trial.seeds = vec![1, 2, 3, 4];
        trial
    }

    #[test]
    fn are_kept_apart_by_what_each_write_tests() {
        let wrong = split(trial(both_lead));
        assert!(wrong.is_empty(), "{wrong:#?}");
        let wrong = without(&[Guard::OwnRecordDone], || split(trial(both_lead)));
        assert!(
            wrong.iter().any(|line| line.contains("S1")),
            "an attempt of the other taken for its own: {wrong:#?}"
        );
    }
}

mod the_node {
    use super::*;

    #[test]
    fn keeps_the_cordon_that_a_person_took_over() {
        let trial = after_the_record(
            "after 2s: uncordon node-1\ndo: cordon node-1\neventually: every entry Succeeded\n\
             at the end: node-1 cordoned, no mark, no slot",
        );
        trial.needs(&[Guard::UncordonOwnManager], "independent check");
        trial.needs(&[Guard::UncordonOwnManager, Guard::Recheck], "S9");
    }

    /// Held twice: whose field manager owns the cordon, and what was before.
    #[test]
    fn keeps_the_cordon_that_was_there_before() {
        let trial = file("cordon_before_the_run");
        trial.needs(
            &[Guard::UncordonPrior, Guard::UncordonOwnManager, Guard::Recheck],
            "S9",
        );
    }

    #[test]
    fn is_powered_5_s_after_its_cordon_at_the_earliest() {
        aimed(
            "nodes: 1, boot 30s..30s\ndo: reboot --all\neventually: node-1 is cordoned\nwait 4s\n\
             eventually within 1s: power log empty",
        )
        .needs(&[Guard::ListAfterCordon], "power log empty");
    }

    /// Held twice: by the list that proves the drain, and by the live reads of the act.
    #[test]
    fn is_powered_without_a_pod_on_it() {
        aimed(
            "nodes: 2, boot 30s..30s\n\
             deployment shop/slow: replicas 1, on node-1, stops in 60s, grace 120s\n\
             do: reboot node-1\neventually: every entry Succeeded",
        )
        .needs(&[Guard::ListIsEmpty, Guard::ActPods], "S6");
    }

    #[test]
    fn is_powered_when_its_volumes_are_detached() {
        aimed(
            "nodes: 2, boot 30s..30s\n\
             deployment shop/files: replicas 1, on node-1, csi volume, stops in 10s\n\
             do: reboot node-1\neventually: node-1 is cordoned\nwait 11s\neventually within 1s: power log empty",
        )
        .needs(&[Guard::VolumesDetached], "power log empty");
    }

    #[test]
    fn is_given_back_when_proven() {
        file("boot_check_fails_for_long").needs(&[Guard::Proof], "S10");
    }

    #[test]
    fn is_given_back_for_an_entry_that_is_gone_when_proven() {
        file("entry_deleted_in_rebooting").needs(&[Guard::OrphanProven], "S10");
    }

    #[test]
    fn is_given_back_when_given_up_and_ready() {
        file("giving_up").needs(&[Guard::LiveAttempt], "S10");
    }

    #[test]
    fn is_left_alone_while_paused() {
        aimed(
            "nodes: 3, boot 5s..5s\n\
             deployment shop/web: replicas 4, budget maxUnavailable 1, on node-1 node-1 node-1 node-1, ready after 10s\n\
             do: reboot node-1\nwhen node-1 is Draining: pause\nwait 1m\ndo: resume\neventually: every entry Succeeded",
        )
        .needs(&[Guard::PauseEvidence], "S11");
    }
}

mod budgets {
    use super::*;

    const FOUR: &str = "nodes: 3, boot 5s..5s\n\
        deployment shop/web: replicas 4, budget maxUnavailable 1, on node-1 node-1 node-1 node-2\n\
        do: reboot node-1\neventually: every entry Succeeded\nat the end: no cordon, no mark";

    #[test]
    fn without_a_token_are_not_asked() {
        aimed(FOUR).needs(&[Guard::BudgetTokens], "denied");
    }

    #[test]
    fn count_what_the_watch_does_not_show_yet() {
        aimed(FOUR)
            .watches_lag(2_000)
            .needs(&[Guard::UnseenTokens], "denied");
    }

    #[test]
    fn are_asked_one_request_at_a_time() {
        aimed(FOUR).needs(&[Guard::OneRequestPerBudget], "denied");
    }

    #[test]
    fn keep_tokens_for_pinned_pods() {
        aimed(
            "nodes: 4, boot 10s..10s\nqueue: maxUnavailable 4\n\
             statefulset db/a: replicas 2, budget maxUnavailable 1, local volume, on node-2 node-3, stops in 5s\n\
             statefulset db/b: replicas 2, budget maxUnavailable 1, local volume, on node-2 node-3, stops in 5s\n\
             do: reboot --all\nnever: node-2 is cordoned and node-3 is cordoned\neventually: every entry Succeeded",
        )
        .needs(&[Guard::Reservations], "node-2 is cordoned and node-3");
    }

    #[test]
    fn are_implied_for_owners_without_one() {
        file("no_budget_one_node").needs(&[Guard::ImpliedBudget], "S7");
    }

    #[test]
    fn that_can_never_allow_an_eviction_cost_no_cordon() {
        file("impossible_budget").needs(&[Guard::ImpossibleBudget], "Queued BudgetImpossible");
    }

    #[test]
    fn pods_that_nobody_would_make_again_stay() {
        file("bare_pod_blocks").needs(&[Guard::ForbiddenPods], "Queued BarePod");
    }

    #[test]
    fn with_one_token_too_many_are_denied() {
        aimed(FOUR).needs_arithmetic(Slip::Token, &[], "denied");
    }

    #[test]
    fn implied_with_one_too_many_turn_a_checker_red() {
        aimed(
            "nodes: 3, boot 5s..5s\ndeployment shop/web: replicas 4, on node-1 node-1 node-1 node-2, ready after 10s\n\
             do: reboot node-1\neventually: every entry Succeeded",
        )
        .needs_arithmetic(Slip::Implied, &[], "S7");
    }

    #[test]
    fn that_forget_the_last_ready_pod_turn_a_checker_red() {
        // The other replica has found no room for so long that it no longer counts as disrupted.
        aimed(
            "nodes: 2, boot 5s..5s, cpu 4\ndeployment shop/web: replicas 2, only on node-1, cpu 3\nwait 10m\n\
             do: reboot node-1\nwait 1m\neventually within 1s: node-1 Queued ImpliedBudget",
        )
        .needs_arithmetic(Slip::LastPod, &[], "S7");
    }

    #[test]
    fn one_place_too_many_turns_a_checker_red() {
        let trial = aimed(
            "nodes: 6, boot 5s..5s\nqueue: maxUnavailable 2\ndo: reboot --all\neventually: every entry Succeeded",
        );
        trial.needs_arithmetic(Slip::Place, &[], "independent check");
        trial.needs_arithmetic(Slip::Place, &[Guard::Recheck], "S4");
    }
}
