//! `cargo xtask testbed`: builds the Go program of `testbed/`, once for each state of its sources and outside the
//! checkout, and then becomes that program. `testbed/README.md` describes its commands.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// The version that the servers report, whole, major and minor: clients cannot parse the version of a server that was
/// built without it.
const KUBERNETES: (&str, &str, &str) = ("v1.37.2", "1", "37");

/// The cache keeps this many builds, each for one state of the sources. A build has about 145 MB.
const KEPT: usize = 8;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// up, status, down, machine, proxy, kubeconfig, check (`up --help` lists the flags); `path` builds the program
    /// and prints where it is
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let binary = binary()?;
    if args.command == ["path"] {
        writeln!(std::io::stdout(), "{}", binary.display())?;
        return Ok(());
    }
    // With --foreground the testbed ends when its parent ends. The caller is its parent only if this process becomes
    // the testbed.
    let error = Command::new(&binary).args(&args.command).exec();
    Err(error).with_context(|| format!("run {}", binary.display()))
}

/// The path of the testbed's program. Builds it if this state of the sources was never built.
pub(crate) fn binary() -> Result<PathBuf> {
    // Ask cargo at run time: two checkouts may share one target directory, and so this program.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    let sources = Path::new(&xtask).join("../testbed");
    let cache = cache_dir()?;
    let binary = cache.join(fingerprint(&sources)?).join("testbed");
    if binary.exists() {
        return Ok(binary);
    }
    fs::create_dir_all(&cache)?;
    // A process that waits here finds what the other process built.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    if !binary.exists() {
        build(&sources, &binary)?;
        remove_old_builds(&cache)?;
    }
    Ok(binary)
}

fn build(sources: &Path, binary: &Path) -> Result<()> {
    let (version, major, minor) = KUBERNETES;
    let mut flags = String::from("-s -w");
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        flags += &format!(
            " -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        );
    }
    writeln!(
        std::io::stderr(),
        "building the testbed (6 minutes the first time, seconds later)"
    )?;
    // Build the power program first: if the testbed is there, both are there.
    go_build(sources, "./cmd/power", "-s -w", &binary.with_file_name("power"))?;
    go_build(sources, ".", &flags, binary)
}

fn go_build(sources: &Path, package: &str, flags: &str, binary: &Path) -> Result<()> {
    let unfinished = binary.with_extension("unfinished");
    let status = Command::new("go")
        .args(["build", "-trimpath", "-ldflags", flags, "-o"])
        .arg(&unfinished)
        .arg(package)
        .current_dir(sources)
        .env("CGO_ENABLED", "0")
        .status()
        .context("run go: the testbed needs the Go toolchain named in testbed/go.mod")?;
    if !status.success() {
        bail!("go build of testbed/{package} failed");
    }
    fs::rename(&unfinished, binary)?;
    Ok(())
}

fn cache_dir() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("junban/testbed"))
}

/// A hash of everything that the program is built from.
fn fingerprint(sources: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(sources, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    hash.update(KUBERNETES.0);
    for file in files {
        let name = file.strip_prefix(sources)?.to_string_lossy().into_owned();
        let content = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        hash.update(format!("{name}\0{}\0", content.len()));
        hash.update(content);
    }
    Ok(hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            collect(&path, files)?;
        } else if name == "go.mod" || name == "go.sum" || name.ends_with(".go") && !name.ends_with("_test.go")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Removes all but the newest builds. A program that still runs keeps its file open, and is not disturbed.
fn remove_old_builds(cache: &Path) -> Result<()> {
    let mut builds: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.path().is_dir() {
            builds.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    builds.sort();
    for (_, old) in builds.iter().rev().skip(KEPT) {
        fs::remove_dir_all(old)?;
    }
    Ok(())
}
