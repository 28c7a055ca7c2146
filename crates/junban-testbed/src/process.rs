//! Processes that neither outlive this one nor hang.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// A command that talks to one small cluster and does not end by then hangs.
const PATIENCE: Duration = Duration::from_secs(240);

/// Only util-linux has a `setpriv` that can do it.
static CAN_TIE: LazyLock<bool> = LazyLock::new(|| {
    let tried = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "true"])
        .output();
    tried.is_ok_and(|output| output.status.success())
});

/// A command that the kernel ends with this process where util-linux is there, also when that is killed.
pub fn tied(program: &Path) -> Command {
    if !*CAN_TIE {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs a command to its end; one that hangs is killed and reported.
pub fn to_its_end(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may refuse before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
    }
    let pid = child.id().to_string();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(PATIENCE) else {
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
        bail!("{command:?} does not end within {} s", PATIENCE.as_secs());
    };
    Ok(output?)
}
