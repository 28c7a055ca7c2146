//! Arguments as clap sees them; nothing here does anything.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use junban_api::{convert, names, resources};

use crate::commands::demo::DemoArgs;

/// Reboots every server of a Kubernetes cluster without stopping what runs on it.
///
/// Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 blocked or timed out.
/// Linked or copied as `kubectl-junban` into the PATH it works as `kubectl junban`.
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
    /// Puts servers in the queue: all of them, or those that are named.
    Reboot(Reboot),
    /// How far the queue is, what holds it up, and what would help (-o wide: and what the rest will cost).
    Status(Status),
    /// Lists the entries: one row per node.
    #[command(visible_alias = "ls")]
    List(List),
    /// Why a node is not rebooting yet: every unmet gate, with what would help.
    Explain(Explain),
    /// Stops everything that is not past its power action, within 5 s.
    Pause(Pause),
    /// Ends a pause.
    Resume(Resume),
    /// Takes nodes out of the queue; gives up failed ones.
    Cancel(Cancel),
    /// Opens one more round for failed nodes; ends a back-off.
    Retry(Retry),
    /// Checks files of Junban's objects without a cluster.
    Lint(Lint),
    /// Runs the controller, inside a cluster or outside with a kubeconfig.
    Controller(Controller),
    /// Reboots a simulated cluster in front of you; needs no cluster.
    Demo(DemoArgs),
}

/// Which cluster, and as whom.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Cluster {
    /// Path of the kubeconfig. Without one: KUBECONFIG, ~/.kube/config, or the account of the pod that this runs in.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME", global = true, help_heading = "Cluster")]
    pub(crate) context: Option<String>,
}

/// How data is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    /// The table with more columns.
    Wide,
    Json,
    Yaml,
    /// Names only, as kubectl takes them.
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
    /// Nodes by label, as kubectl takes it: role=worker,zone!=a.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
    /// Why: kept with what is asked.
    #[arg(long, value_name = "TEXT", value_parser = words, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Sets a new goal even if one is under way or lies in the future: servers that are done go once more.
    #[arg(long, conflicts_with_all = ["nodes", "selector"])]
    pub(crate) again: bool,
    /// Waits until everything is done, failed or blocked.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,
    /// Gives up waiting after so long, as 30m or 2h; what was asked goes on.
    #[arg(long, value_name = "DURATION", value_parser = span, requires = "wait")]
    pub(crate) timeout: Option<Duration>,
    /// Says what would be rebooted and what that will cost; changes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Shows it again whenever it changes, until interrupted.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// All entries, also those of earlier turns.
    #[arg(short, long)]
    pub(crate) all: bool,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// Name of the node.
    pub(crate) node: String,
    /// Namespace of the controller's Lease.
    #[arg(short, long, env = names::ENV_NAMESPACE, default_value = names::NAMESPACE)]
    pub(crate) namespace: String,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Pause {
    /// Why: shown to everybody who asks.
    #[arg(long, value_name = "TEXT", value_parser = words, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Resume {
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
#[command(override_usage = "junban cancel (--all | NODE...) [OPTIONS]")]
pub(crate) struct Cancel {
    /// Withdraws the goals of all policies and cancels everything that is not past its power action.
    #[arg(long, conflicts_with = "nodes")]
    pub(crate) all: bool,
    /// Names of nodes.
    #[arg(value_name = "NODE", required_unless_present = "all")]
    pub(crate) nodes: Vec<String>,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// Names of nodes.
    #[arg(value_name = "NODE", required = true)]
    pub(crate) nodes: Vec<String>,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Lint {
    /// YAML files; - is stdin.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Controller {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// Namespace of the Lease and of Junban's Secrets.
    #[arg(long, env = names::ENV_NAMESPACE, default_value = names::NAMESPACE)]
    pub(crate) namespace: String,
    /// Name in the Lease; must be unique among living controllers. By default the host's with a random end.
    #[arg(long, env = names::ENV_POD_NAME)]
    pub(crate) identity: Option<String>,
    /// Name of the Lease.
    #[arg(long, default_value = names::LEASE)]
    pub(crate) lease_name: String,
    /// Where /metrics, /healthz and /readyz are served; port 0 takes a free one, which is logged.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// How the log is written, to stderr.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What is logged, as `info,junban_kube=debug`.
    #[arg(long, env = names::ENV_LOG, default_value = "info")]
    pub(crate) log: String,
    /// Ends the process right after so many acknowledged writes: for tests of what a crash leaves behind.
    #[arg(long, hide = true, value_name = "K")]
    pub(crate) exit_after_writes: Option<NonZeroU64>,
    /// Takes the clock of this machine to be so far ahead, or behind: for tests of what a wrong one does.
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

/// The spelling of durations in the objects, so that there is only one.
fn span(text: &str) -> Result<Duration, String> {
    match convert::parse_span(text) {
        Ok(span) if span.is_zero() => Err("it must be longer than 0s".to_owned()),
        Ok(span) => Ok(span),
        Err(_) => Err("write hours, minutes and seconds, as 2h, 30m or 1h30m".to_owned()),
    }
}

/// Free words, as many as an object takes.
fn words(text: &str) -> Result<String, String> {
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
