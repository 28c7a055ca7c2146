//! The options of a rehearsal, and which servers it cannot reboot.

use std::path::PathBuf;

#[derive(clap::Parser)]
#[command(
    bin_name = "xtask rehearsal",
    override_usage = "xtask rehearsal [OPTIONS]",
    about = "Reboots a whole cluster under load and watches it"
)]
pub struct Args {
    /// Workers
    #[arg(long, default_value_t = 30)]
    pub(super) nodes: usize,
    /// Control-plane servers: 1, which is no Node of the cluster, or 3, which are Nodes besides the workers
    #[arg(long, default_value_t = 3)]
    pub(super) control_planes: usize,
    /// Pods of Deployments and `StatefulSets`
    #[arg(long, default_value_t = 300)]
    pub(super) pods: usize,
    /// A server that never returns; may be repeated
    #[arg(long)]
    pub(super) lost: Vec<String>,
    /// Adds a lost server, a budget of 0, SIGKILL for the controller every 20 s, and a pause in the middle
    #[arg(long)]
    pub(super) trouble: bool,
    /// Controllers that run side by side
    #[arg(long, default_value_t = 2)]
    pub(super) controllers: usize,
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Minutes until the command gives up
    #[arg(long, default_value_t = 30)]
    pub(super) minutes: u64,
    /// Build the optimised program
    // Read by xtask, which builds the program.
    #[arg(long)]
    release: bool,
    /// Use this program and build none
    #[arg(long)]
    pub(super) program: PathBuf,
    /// Keep the logs and print where they are
    #[arg(long)]
    pub(super) keep: bool,
    /// The testbed's program (`cargo xtask testbed path`)
    #[arg(long, hide = true)]
    pub(super) testbed: PathBuf,
    /// The checkout's `manifests/`
    #[arg(long, hide = true)]
    pub(super) manifests: PathBuf,
}

/// The servers that are not rebooted at the end, and why.
pub(super) struct Exceptions {
    pub(super) lost: Vec<String>,
    /// The server with a pod whose budget allows nothing.
    pub(super) stuck: Option<String>,
}

impl Exceptions {
    pub(super) fn of(args: &Args) -> Self {
        let mut exceptions = Self {
            lost: args.lost.clone(),
            stuck: None,
        };
        if args.trouble {
            exceptions.stuck = Some(format!("node-{}", args.nodes));
            if exceptions.lost.is_empty() {
                exceptions.lost.push("node-2".to_owned());
            }
        }
        exceptions
    }

    /// The exit code that `junban reboot --all --wait` must have: 1 for a failed server, 3 for a blocked one.
    pub(super) fn exit(&self) -> i32 {
        match (self.lost.is_empty(), &self.stuck) {
            (false, _) => 1,
            (true, Some(_)) => 3,
            (true, None) => 0,
        }
    }

    pub(super) fn contains(&self, node: &str) -> bool {
        self.stuck.as_deref() == Some(node) || self.lost.iter().any(|lost| lost == node)
    }
}
