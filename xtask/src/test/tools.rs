//! The programs that the parts of `cargo xtask test` need, and how to install them.

use std::path::Path;
use std::process::{Command, Stdio};

pub(super) struct Tool {
    pub(super) name: &'static str,
    /// A command with these words needs the tool.
    words: &'static str,
    /// Succeeds in a checkout if the tool is installed.
    probe: &'static str,
    /// What a person types on Debian, or where to read it.
    pub(super) install: &'static str,
}

pub(super) const ALL: &[Tool] = &[
    Tool {
        name: "rustfmt",
        words: "cargo fmt",
        probe: "cargo fmt --version",
        install: "rustup component add rustfmt",
    },
    Tool {
        name: "clippy",
        words: "cargo clippy",
        probe: "cargo clippy --version",
        install: "rustup component add clippy",
    },
    Tool {
        name: "promtool",
        words: "promtool",
        probe: "promtool --version",
        install: "apt-get update && apt-get install -y prometheus",
    },
    Tool {
        name: "gofmt",
        words: "gofmt",
        probe: "gofmt -l testbed/main.go",
        install: INSTALL_GO,
    },
    Tool {
        name: GO,
        words: "go -C testbed",
        // Fails with a Go that is older than go.mod wants, as that of a Debian release may be.
        probe: "go -C testbed list -m",
        install: INSTALL_GO,
    },
];

const GO: &str = "go";
const INSTALL_GO: &str = "https://go.dev/doc/install (testbed/go.mod names the oldest version that will do)";

impl Tool {
    /// Whether a command needs the tool. A command that starts the real control plane builds it with Go.
    pub(super) fn is_needed_by(&self, command: &str, real: bool) -> bool {
        command.contains(self.words) || real && self.name == GO
    }

    pub(super) fn is_installed(&self, root: &Path) -> bool {
        let (program, arguments) = self.probe.split_once(' ').unwrap_or((self.probe, ""));
        let probe = Command::new(program)
            .args(arguments.split(' '))
            .current_dir(root)
            .stdin(Stdio::null())
            .output();
        probe.is_ok_and(|output| output.status.success())
    }
}
