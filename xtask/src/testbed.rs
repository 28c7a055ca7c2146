//! `cargo xtask testbed`: builds the Go binary of `testbed/` once per state of
//! its sources, outside the checkout, and becomes it. What the commands mean
//! is the binary's business (`testbed/README.md`); nothing of it is known here.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// Clients refuse to parse the version of a server that was built without it.
const KUBERNETES: (&str, &str, &str) = ("v1.37.2", "1", "37");

/// Binaries of this many states of the sources stay in the cache; one is
/// about 145 MB.
const KEPT: usize = 8;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// up, status, down, machine, proxy, kubeconfig, check (`up --help` lists
    /// the flags); `path` builds and prints where the binary is
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let binary = binary()?;
    if args.command == ["path"] {
        writeln!(std::io::stdout(), "{}", binary.display())?;
        return Ok(());
    }
    // Becoming the program keeps the caller its parent: with --foreground the
    // testbed ends when the caller does.
    let error = Command::new(&binary).args(&args.command).exec();
    Err(error).with_context(|| format!("run {}", binary.display()))
}

/// The testbed's binary, built if this state of the sources never was.
pub(crate) fn binary() -> Result<PathBuf> {
    // As cargo says it now: two checkouts may share one target directory.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    let sources = Path::new(&xtask).join("../testbed");
    let cache = cache_dir()?;
    let binary = cache.join(fingerprint(&sources)?).join("testbed");
    if binary.exists() {
        return Ok(binary);
    }
    fs::create_dir_all(&cache)?;
    // Whoever waits here finds the binary that the other one built.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    if !binary.exists() {
        build(&sources, &binary)?;
        forget_old(&cache)?;
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
        "building the testbed (minutes the first time, seconds later)"
    )?;
    // The power program first: where the testbed is, both are.
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

/// A hash over everything that the binary is made from.
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

/// Drops all but the newest builds. One that still runs keeps its file open.
fn forget_old(cache: &Path) -> Result<()> {
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
