use std::time::{Duration, Instant};

use junban_core::policy::Step;

use super::*;

const VARIABLES: Variables = Variables {
    node: "JUNBAN_NODE",
    boot_id: "JUNBAN_BOOT_ID",
    system_uuid: "JUNBAN_SYSTEM_UUID",
    attempt: "JUNBAN_ATTEMPT",
};

fn order(command: &[&str]) -> PowerOrder {
    PowerOrder {
        node: "node-1".into(),
        node_uid: "u1".into(),
        entry: "node-1-abc".into(),
        entry_uid: "e1".into(),
        attempt: 3,
        boot_id: "b1".into(),
        system_uuid: "s1".into(),
        step: Step::Command {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
        },
        boot_timeout: Duration::from_secs(20),
        not_after: boottime() + Duration::from_secs(4),
        beside: Vec::new(),
    }
}

async fn run(order: &PowerOrder) -> PowerAnswer {
    let Step::Command { command } = &order.step;
    CommandDriver::new(VARIABLES).run(command, order).await
}

async fn sh(script: &str) -> PowerAnswer {
    run(&order(&["sh", "-c", script])).await
}

#[tokio::test]
async fn exit_code_0_is_started_75_is_nothing_started_and_every_other_is_unknown() {
    assert_eq!(sh("exit 0").await.outcome, PowerOutcome::Started);
    assert_eq!(sh("exit 75").await.outcome, PowerOutcome::NothingStarted);
    for script in ["exit 1", "exit 127", "kill -9 $$", "kill -TERM $$"] {
        assert_eq!(sh(script).await.outcome, PowerOutcome::Unknown, "{script}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_run_started_nothing() {
    let folder = std::env::temp_dir();
    for program in ["/no/such/program", folder.to_str().unwrap()] {
        let answer = run(&order(&[program])).await;
        assert_eq!(answer.outcome, PowerOutcome::NothingStarted, "{program}");
        assert!(answer.message.contains("could not be run"), "{}", answer.message);
    }
    assert_eq!(run(&order(&[])).await.outcome, PowerOutcome::NothingStarted);
}

/// The error may come after exec, and does not say so.
#[test]
fn an_error_that_exec_does_not_give_may_mean_that_the_program_runs() {
    for errno in [
        Errno::MFILE,
        Errno::NOMEM,
        Errno::NOSPC,
        Errno::PERM,
        Errno::AGAIN,
    ] {
        assert!(!is_exec_error(&errno.into()), "{errno}");
    }
    assert!(!is_exec_error(&std::io::Error::other("no handler for SIGCHLD")));
}

#[tokio::test]
async fn the_program_gets_its_variables_and_its_output_is_kept() {
    let answer =
        sh("echo $JUNBAN_NODE $JUNBAN_BOOT_ID $JUNBAN_SYSTEM_UUID $JUNBAN_ATTEMPT; echo no >&2; exit 3")
            .await;
    assert!(answer.message.starts_with("exit 3: "), "{}", answer.message);
    assert!(answer.message.contains("node-1 b1 s1 3"), "{}", answer.message);
    assert!(answer.message.contains("no"), "{}", answer.message);
}

#[tokio::test]
async fn only_the_end_of_the_output_is_kept_and_control_characters_are_escaped() {
    let answer = sh("seq 1 2000; printf '\\033[2Jlast'; exit 1").await;
    assert!(answer.message.ends_with("\\u{1b}[2Jlast"), "{}", answer.message);
    assert_eq!(answer.message.chars().count(), MESSAGE_CHARS_MAX);
}

#[tokio::test]
async fn the_whole_process_group_is_killed_when_the_time_is_over() {
    let folder = std::env::temp_dir().join(format!("junban-command-{}", std::process::id()));
    let file = folder.to_str().unwrap().to_owned();
    let mut order = order(&["sh", "-c", "(sleep 1; touch \"$0\") & sleep 30", &file]);
    let Step::Command { command } = order.step.clone();
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(20));
    for (own_limit, boot_timeout) in [(short, long), (long, short)] {
        let mut driver = CommandDriver::new(VARIABLES);
        driver.time_limit = own_limit;
        order.boot_timeout = boot_timeout;
        let began = Instant::now();
        let answer = driver.run(&command, &order).await;
        assert_eq!(answer.outcome, PowerOutcome::Unknown);
        assert!(answer.message.starts_with("killed after"), "{}", answer.message);
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        assert!(!folder.exists(), "its child went on");
    }
}

/// The program has left its process group, so the signal does not reach it.
#[tokio::test]
async fn a_command_that_cannot_be_killed_is_not_waited_for_without_end() {
    let mut order = order(&["perl", "-e", "setpgrp(0, getpgrp(getppid)); sleep 60"]);
    // Long enough for the program to leave its group, even on a busy machine.
    order.boot_timeout = Duration::from_secs(5);
    let answer = run(&order).await;
    assert_eq!(answer.outcome, PowerOutcome::Unknown);
    // If its end had been waited for, the message would say "killed".
    assert!(
        answer.message.contains("could not be killed"),
        "{}",
        answer.message
    );
}

#[tokio::test]
async fn processes_that_the_program_leaves_behind_do_not_act_later() {
    let folder = std::env::temp_dir().join(format!("junban-command-left-{}", std::process::id()));
    let file = folder.to_str().unwrap().to_owned();
    let answer = run(&order(&[
        "sh",
        "-c",
        "(sleep 1; touch \"$0\") >/dev/null 2>&1 & exit 75",
        &file,
    ]))
    .await;
    assert_eq!(answer.outcome, PowerOutcome::NothingStarted);
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn nothing_is_started_when_the_evidence_is_too_old() {
    let mut order = order(&["sh", "-c", "exit 0"]);
    order.not_after = boottime();
    let answer = run(&order).await;
    assert_eq!(answer.outcome, PowerOutcome::NothingStarted);
    assert!(answer.message.starts_with("too late"), "{}", answer.message);
}
