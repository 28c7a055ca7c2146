//! The `command` driver: runs the operator's program in a process group of its own, for a bounded time.
//!
//! Exit 0 is "started", 75 is "surely nothing was started" and so is a program that could not be run at all;
//! everything else is unknown and counts as started (design.md 6).

use std::os::unix::process::CommandExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use junban_core::effect::{PowerAnswer, PowerOrder};
use junban_core::entry::PowerOutcome;
use junban_engine::clock::boottime;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// `EX_TEMPFAIL`: the program says that surely nothing was started.
const EXIT_NOTHING_STARTED: i32 = 75;

/// Characters of the program's own words that are kept: the last ones, where programs say what went wrong.
const WORDS_CHARS_MAX: usize = 300;

/// Bytes of output kept while it runs; the rest is read and dropped, so that no program blocks on a full pipe.
const TAIL_BYTES_MAX: usize = 4_096;

/// Time that the program has. After it the program is killed, and the outcome is unknown.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// After SIGKILL. It may be refused (another user's process), or take for ever (one that waits for a dead disk): then
/// the answer is as unknown as that of a killed command, and the node must not wait for it without a word.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Environment variables that are added: names as `junban_api::names` documents them. That crate is out of reach
/// from here (design.md 7), so the caller hands them over.
#[derive(Clone, Copy, Debug)]
pub struct Variables {
    pub node: &'static str,
    pub boot_id: &'static str,
    pub system_uuid: &'static str,
    pub attempt: &'static str,
}

/// Runs commands.
pub struct CommandDriver {
    variables: Variables,
    time_limit: Duration,
}

impl CommandDriver {
    pub fn new(variables: Variables) -> Self {
        Self {
            variables,
            time_limit: TIME_LIMIT,
        }
    }

    /// The longest time from an order to its answer.
    pub(crate) fn longest(&self) -> Duration {
        self.time_limit + KILLED_WITHIN
    }

    /// Carries out an order. The answer comes when the program has ended, or was killed with its whole process group
    /// because its time was up.
    pub(crate) async fn run(&self, command: &[String], order: &PowerOrder) -> PowerAnswer {
        let variables = self.variables;
        let Some((program, arguments)) = command.split_first() else {
            return nothing_started("the command is empty");
        };
        let mut child = std::process::Command::new(program);
        child
            .args(arguments)
            .env(variables.node, order.node.as_str())
            .env(variables.boot_id, order.boot_id.as_str())
            .env(variables.system_uuid, order.system_uuid.as_str())
            .env(variables.attempt, order.attempt.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        // The last thing before the act: evidence that is too old starts nothing (lifecycle.md 6).
        if boottime() >= order.not_after {
            return nothing_started("too late: the reads that it rests on are too old");
        }
        match Command::from(child).spawn() {
            Ok(child) => see_through(child, order, self.time_limit.min(order.boot_timeout)).await,
            Err(error) if is_of_exec(&error) => {
                nothing_started(&format!("{program} could not be run: {error}"))
            }
            Err(error) => answer(PowerOutcome::Unknown, &format!("it may run: {error}"), ""),
        }
    }
}

/// What only exec itself refuses: the program never ran. Any other error may be of what comes after it, when the
/// runtime begins to follow a program that runs (no descriptors are left, or no memory).
fn is_of_exec(error: &std::io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::NOENT
                | Errno::ACCESS
                | Errno::NOEXEC
                | Errno::ISDIR
                | Errno::NOTDIR
                | Errno::LOOP
                | Errno::NAMETOOLONG
                | Errno::TOOBIG
                | Errno::TXTBSY
        )
    )
}

async fn see_through(mut child: Child, order: &PowerOrder, time_limit: Duration) -> PowerAnswer {
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).unwrap_or_default()));
    let words = tokio::spawn(tail(child.stdout.take(), child.stderr.take()));
    let ended = tokio::time::timeout(time_limit, child.wait()).await;
    // What it left behind must not act later, unless it says that it started the reboot: that may be its work.
    let started = matches!(&ended, Ok(Ok(status)) if status.success());
    if let Some(group) = group.filter(|_| !started)
        && let Err(error) = kill_process_group(group, Signal::KILL)
        && error != Errno::SRCH
    {
        tracing::warn!(%error, node = %order.node, "the command's process group could not be killed");
    }
    let in_time = ended.is_ok();
    let ended = match ended {
        Ok(ended) => ended,
        Err(_) => tokio::time::timeout(KILLED_WITHIN, child.wait())
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())),
    };
    // A process that left the group may hold the pipes open for ever.
    let words = tokio::time::timeout(Duration::from_millis(200), words).await;
    let words = words.ok().and_then(Result::ok).unwrap_or_default();
    if !in_time {
        let limit = time_limit.as_secs();
        let how = match ended {
            Ok(_) => format!("killed after {limit} s"),
            Err(_) => format!("not ended after {limit} s, and could not be killed"),
        };
        return answer(PowerOutcome::Unknown, &how, &words);
    }
    match ended {
        Ok(status) => of_status(status, &words),
        Err(error) => answer(
            PowerOutcome::Unknown,
            &format!("its end is not known: {error}"),
            &words,
        ),
    }
}

fn of_status(status: ExitStatus, words: &str) -> PowerAnswer {
    match status.code() {
        Some(0) => answer(PowerOutcome::Started, "exit 0", words),
        Some(EXIT_NOTHING_STARTED) => answer(PowerOutcome::NothingStarted, "exit 75", words),
        Some(code) => answer(PowerOutcome::Unknown, &format!("exit {code}"), words),
        None => answer(PowerOutcome::Unknown, &status.to_string(), words),
    }
}

fn nothing_started(why: &str) -> PowerAnswer {
    answer(PowerOutcome::NothingStarted, why, "")
}

fn answer(outcome: PowerOutcome, how: &str, words: &str) -> PowerAnswer {
    let words = words.trim();
    let message = if words.is_empty() {
        how.to_owned()
    } else {
        format!("{how}: {words}")
    };
    PowerAnswer {
        outcome,
        message: cut(&message),
    }
}

/// The last characters, with everything that could move a terminal's cursor or forge a log line escaped.
fn cut(text: &str) -> String {
    let escaped: Vec<char> = text
        .chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect();
    let from = escaped.len().saturating_sub(WORDS_CHARS_MAX);
    escaped[from..].iter().collect()
}

/// The end of what it writes to either stream, in the order in which it comes.
async fn tail(stdout: Option<impl AsyncRead + Unpin>, stderr: Option<impl AsyncRead + Unpin>) -> String {
    let kept = std::sync::Mutex::new(Vec::new());
    tokio::join!(keep(stdout, &kept), keep(stderr, &kept));
    String::from_utf8_lossy(&kept.into_inner().unwrap_or_default()).into_owned()
}

async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &std::sync::Mutex<Vec<u8>>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 1_024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let Ok(mut kept) = kept.lock() else { return };
        kept.extend_from_slice(&buffer[..count]);
        let over = kept.len().saturating_sub(TAIL_BYTES_MAX);
        kept.drain(..over);
    }
}

#[cfg(test)]
mod tests;
