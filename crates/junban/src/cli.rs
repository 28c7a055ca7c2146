//! Arguments as clap sees them; nothing here does anything.

use std::net::SocketAddr;
use std::num::NonZeroU64;

use clap::{Args, Parser, Subcommand, ValueEnum};
use junban_api::names;

/// Reboots every server of a Kubernetes cluster without stopping what runs on it.
#[derive(Parser, Debug)]
#[command(name = "junban", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Runs the controller, inside a cluster or outside with a kubeconfig.
    Controller(Controller),
}

/// Which cluster, and as whom.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Cluster {
    /// Path of the kubeconfig.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<std::path::PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
