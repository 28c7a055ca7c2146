//! Child processes that end with this process and that do not hang.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The checks use one small cluster: a command that runs longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(240);

/// Only the `setpriv` of util-linux has `--pdeathsig`.
static HAS_SETPRIV: LazyLock<bool> = LazyLock::new(|| {
    let tried = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "true"])
        .output();
    tried.is_ok_and(|output| output.status.success())
});

/// A command that the kernel kills when this process ends for any reason, SIGKILL included. Without util-linux it is a
/// plain command.
pub fn tied(program: &Path) -> Command {
    if !*HAS_SETPRIV {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs a command to its end. Kills it and returns an error when it hangs.
pub fn to_its_end(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // The command may end with an error before it has read all input.
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

/// Runs a command that must succeed.
pub fn successful(command: &mut Command, input: &str) -> Result<Output> {
    let output = to_its_end(command, input)?;
    if !output.status.success() {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default();
        let words = [name].into_iter().chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}: {}", words.join(" "), output.status, said.trim());
    }
    Ok(output)
}

/// Runs a command that must succeed. Returns its standard output without the spaces around it.
pub fn text_of(command: &mut Command, input: &str) -> Result<String> {
    let output = successful(command, input)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
