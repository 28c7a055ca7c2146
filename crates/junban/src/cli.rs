//! The arguments, as clap reads them. Nothing here acts on them.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use junban_api::{convert, names, resources};

/// Reboots every server of a Kubernetes cluster without stopping what runs on it.
///
/// Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 blocked or timed out.
/// If the PATH contains a link to this program or a copy of it named `kubectl-junban`, `kubectl junban` works too.
#[derive(Parser, Debug)]
#[command(name = "junban", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Puts servers in the queue: all of them, or those that you name.
    Reboot(Reboot),
    /// Shows how far the queue is, what blocks it, and what would help. With `-o wide` also what the rest will cost.
    Status(Status),
    /// Lists the entries: one row for each node.
    #[command(visible_alias = "ls")]
    List(List),
    /// Shows why a node is not rebooting yet: every closed gate, and what would help.
    Explain(Explain),
    /// Pauses the queue: within 5 s nothing new starts. A node past its power action is seen through to its end.
    Pause(Pause),
    /// Ends a pause.
    Resume(Resume),
    /// Takes nodes out of the queue, and gives up failed nodes.
    Cancel(Cancel),
    /// Gives failed nodes one more round, and ends a back-off.
    Retry(Retry),
    /// Checks files of policies and queues. Needs no cluster.
    Lint(Lint),
    /// Runs the controller, inside a cluster or outside of it with a kubeconfig.
    Controller(Controller),
    /// Reboots a simulated cluster in front of you. Needs no cluster.
    Demo(Demo),
}

/// How to reach the cluster.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Cluster {
    /// Path of the kubeconfig. Without it: KUBECONFIG, then ~/.kube/config, then the account of the pod in which this
    /// runs.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME", global = true, help_heading = "Cluster")]
    pub(crate) context: Option<String>,
    /// Namespace of the controller, its Lease and its Secrets.
    #[arg(
        short,
        long,
        value_name = "NAME",
        global = true,
        env = names::ENV_NAMESPACE,
        default_value = names::NAMESPACE,
        help_heading = "Cluster"
    )]
    pub(crate) namespace: String,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Format {
    /// Format of the data.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    /// The table with more columns.
    Wide,
    Json,
    Yaml,
    /// Only the names, as kubectl accepts them.
    Name,
}

#[derive(Args, Debug)]
#[command(override_usage = "junban reboot (--all | NODE... | -l SELECTOR) [OPTIONS]")]
pub(crate) struct Reboot {
    /// Every node that a policy governs.
    #[arg(long, conflicts_with_all = ["nodes", "selector"])]
    pub(crate) all: bool,
    /// Names of nodes.
    #[arg(value_name = "NODE", conflicts_with = "selector", required_unless_present_any = ["all", "selector"])]
    pub(crate) nodes: Vec<String>,
    /// Nodes by label, in kubectl's syntax: role=worker,zone!=a.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
    /// Why you reboot them. It is kept with the goal and the entries.
    #[arg(long, value_name = "TEXT", value_parser = free_text, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Sets a new goal even if one is under way or lies in the future. Servers that are done already reboot again.
    #[arg(long, conflicts_with_all = ["nodes", "selector"])]
    pub(crate) again: bool,
    /// Waits until every server is done, failed or blocked.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,
    /// Stops waiting after this time, for example 30m or 2h. The reboots go on.
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Option<Duration>,
    /// Shows what would be rebooted and what that would cost. Changes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Shows the status again whenever it changes, until you interrupt it.
    #[arg(short, long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Lists all entries, also those of earlier turns.
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// Name of the node.
    pub(crate) node: String,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Pause {
    /// Why you pause. `status` and `explain` show it.
    #[arg(long, value_name = "TEXT", value_parser = free_text, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(override_usage = "junban cancel (--all | NODE...) [OPTIONS]")]
pub(crate) struct Cancel {
    /// Withdraws the goals of all policies and cancels every entry that is neither failed nor past its power action.
    #[arg(long, conflicts_with = "nodes")]
    pub(crate) all: bool,
    /// Names of nodes.
    #[arg(value_name = "NODE", required_unless_present = "all")]
    pub(crate) nodes: Vec<String>,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// Names of nodes.
    #[arg(value_name = "NODE", required = true)]
    pub(crate) nodes: Vec<String>,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Lint {
    /// YAML files; - is stdin.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Controller {
    /// Name in the Lease. Each running controller needs its own. By default the host's name with a random end.
    #[arg(long, env = names::ENV_POD_NAME)]
    pub(crate) identity: Option<String>,
    /// Name of the Lease.
    #[arg(long, default_value = names::LEASE)]
    pub(crate) lease_name: String,
    /// Where /metrics, /healthz and /readyz are served. Port 0 takes a free port, which is logged.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Format of the log, which goes to stderr.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What is logged, for example `info,junban_kube=debug`.
    #[arg(long, env = names::ENV_LOG, default_value = "info")]
    pub(crate) log: String,
    /// Ends the process right after so many acknowledged writes. For tests of what a crash leaves behind.
    #[arg(long, hide = true, value_name = "K")]
    pub(crate) exit_after_writes: Option<NonZeroU64>,
    /// Moves this machine's clock ahead, or back if negative. For tests of what a wrong clock does.
    #[arg(
        long,
        hide = true,
        value_name = "MS",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) clock_ahead_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Nodes of the cluster. From 10 on, three of them are its control plane.
    #[arg(long, value_name = "N", default_value = "24", value_parser = clap::value_parser!(u32).range(3..=2000))]
    pub(crate) nodes: u32,
    /// The same seed gives the same cluster and the same run.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many times as fast as real time, or `max`. By default 120 in a terminal, else `max`.
    #[arg(long, value_name = "N|max", value_parser = speed)]
    pub(crate) speed: Option<Speed>,
    /// How many servers never come back.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) fail: u32,
    /// `json`: prints one line of JSON at the end, and nothing else.
    #[arg(long, short = 'o', value_enum)]
    pub(crate) output: Option<DemoOutput>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum DemoOutput {
    Json,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Speed {
    Max,
    Times(u32),
}

fn speed(text: &str) -> Result<Speed, String> {
    match (text, text.parse()) {
        ("max", _) => Ok(Speed::Max),
        (_, Ok(times)) if times > 0 => Ok(Speed::Times(times)),
        _ => Err("write max, or a whole number from 1".to_owned()),
    }
}

/// Durations are written as in the objects, so that there is one spelling only.
fn duration(text: &str) -> Result<Duration, String> {
    match convert::parse_span(text) {
        Ok(span) if span.is_zero() => Err("it must be longer than 0s".to_owned()),
        Ok(span) => Ok(span),
        Err(_) => Err("write hours, minutes and seconds, for example 2h, 30m or 1h30m".to_owned()),
    }
}

/// Any text that is not too long for a field of an object.
fn free_text(text: &str) -> Result<String, String> {
    let count = text.chars().count();
    if count > resources::WORDS_MAX {
        return Err(format!(
            "it has {count} characters, more than {}",
            resources::WORDS_MAX
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
