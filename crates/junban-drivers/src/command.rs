//! The `command` driver: runs the operator's program in a process group of its own, for a limited time.
//!
//! Exit code 0 means "started". Exit code 75 means "nothing was started", and so does a program that could not be run.
//! Everything else is unknown and counts as started (docs/design/ledger.md#the-act).

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

/// `EX_TEMPFAIL`: the program says that it started nothing.
const EXIT_NOTHING_STARTED: i32 = 75;

/// How many characters of an answer's message are kept. The last ones: there a program says what went wrong.
const MESSAGE_CHARS_MAX: usize = 300;

/// How many bytes of output are kept. The rest is read and dropped, so that no program blocks on a full pipe.
const TAIL_BYTES_MAX: usize = 4_096;

/// How long the program may run. Then it is killed, and the outcome is unknown.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How long the end of the program is waited for after SIGKILL. The signal may be refused (another user's process) or
/// take for ever (a process that waits for a dead disk). Then the outcome is unknown too, and the node must not wait
/// without a report.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// The names of the environment variables for the program. `junban_api::names` defines them. This crate may not use that
/// one, so the caller passes them.
#[derive(Clone, Copy, Debug)]
pub struct Variables {
    pub node: &'static str,
    pub boot_id: &'static str,
    pub system_uuid: &'static str,
    pub attempt: &'static str,
}

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

    /// Executes an order. Answers when the program has ended, or when it was killed with its whole process group because
    /// its time was over.
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
        // The last check before the act: evidence that is too old must not start anything (docs/design/ledger.md#the-act).
        if boottime() >= order.not_after {
            return nothing_started("too late: the reads that allowed the power action are too old");
        }
        match Command::from(child).spawn() {
            Ok(child) => wait_for_end(child, order, self.time_limit.min(order.boot_timeout)).await,
            Err(error) if is_exec_error(&error) => {
                nothing_started(&format!("{program} could not be run: {error}"))
            }
            Err(error) => answer(
                PowerOutcome::Unknown,
                &format!("the program may be running: {error}"),
                "",
            ),
        }
    }
}

/// Whether exec itself gave this error: then the program never ran. Any other error may come later, when the runtime
/// starts to watch a program that already runs (no descriptors are left, or no memory).
fn is_exec_error(error: &std::io::Error) -> bool {
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

async fn wait_for_end(mut child: Child, order: &PowerOrder, time_limit: Duration) -> PowerAnswer {
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).unwrap_or_default()));
    let output = tokio::spawn(tail(child.stdout.take(), child.stderr.take()));
    let ended = tokio::time::timeout(time_limit, child.wait()).await;
    // Processes that the program left behind must not act later. If the program says that it started the reboot, they
    // may be the ones that perform it.
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
    // A process that left the group may keep the pipes open for ever.
    let output = tokio::time::timeout(Duration::from_millis(200), output).await;
    let output = output.ok().and_then(Result::ok).unwrap_or_default();
    if !in_time {
        let limit = time_limit.as_secs();
        let how = match ended {
            Ok(_) => format!("killed after {limit} s"),
            Err(_) => format!("did not end after {limit} s, and could not be killed"),
        };
        return answer(PowerOutcome::Unknown, &how, &output);
    }
    match ended {
        Ok(status) => answer_of_status(status, &output),
        Err(error) => answer(
            PowerOutcome::Unknown,
            &format!("the end of the program is unknown: {error}"),
            &output,
        ),
    }
}

fn answer_of_status(status: ExitStatus, output: &str) -> PowerAnswer {
    match status.code() {
        Some(0) => answer(PowerOutcome::Started, "exit 0", output),
        Some(EXIT_NOTHING_STARTED) => answer(PowerOutcome::NothingStarted, "exit 75", output),
        Some(code) => answer(PowerOutcome::Unknown, &format!("exit {code}"), output),
        None => answer(PowerOutcome::Unknown, &status.to_string(), output),
    }
}

fn nothing_started(why: &str) -> PowerAnswer {
    answer(PowerOutcome::NothingStarted, why, "")
}

fn answer(outcome: PowerOutcome, how: &str, output: &str) -> PowerAnswer {
    let output = output.trim();
    let message = if output.is_empty() {
        how.to_owned()
    } else {
        format!("{how}: {output}")
    };
    PowerAnswer {
        outcome,
        message: cut(&message),
    }
}

/// The last characters of a text. Control characters are escaped: they could move a terminal's cursor or forge a log line.
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
    let from = escaped.len().saturating_sub(MESSAGE_CHARS_MAX);
    escaped[from..].iter().collect()
}

/// The end of what the program writes to both streams, in the order of arrival.
async fn tail(stdout: Option<impl AsyncRead + Unpin>, stderr: Option<impl AsyncRead + Unpin>) -> String {
    let kept = std::sync::Mutex::new(Vec::new());
    tokio::join!(read_into(&kept, stdout), read_into(&kept, stderr));
    String::from_utf8_lossy(&kept.into_inner().unwrap_or_default()).into_owned()
}

async fn read_into(kept: &std::sync::Mutex<Vec<u8>>, stream: Option<impl AsyncRead + Unpin>) {
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
