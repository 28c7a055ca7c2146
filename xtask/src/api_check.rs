//! `cargo xtask api-check`: checks the manifests against a real API server.
//!
//! - The server judges each case of `crates/junban-api/tests/cases` as the offline lint does.
//! - The two admission policies refuse a node and a stranger, under their own credentials.
//! - The token of Junban's account has the rights of the golden list, and no others.
//! - Applying the manifests again resets nothing.

mod cases;
mod findings;
mod people;
mod rights;
mod server;

use std::path::{Path, PathBuf};

use anyhow::Result;

use findings::Findings;
use server::Server;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Check only the cases whose name contains this
    #[arg(long)]
    cases: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let server = Server::start()?;
    let mut findings = Findings::default();

    // Check the cases before a queue exists: a case creates a queue of the same name.
    server.bed.apply_crds()?;
    cases::check(&server, &root, args.cases.as_deref(), &mut findings)?;
    if args.cases.is_none() {
        server.bed.apply(&["junban", "defaults"])?;
        people::check(&server, &mut findings)?;
        rights::check(&server, &root, &mut findings)?;
        applying_again_resets_nothing(&server, &root, &mut findings)?;
    }
    findings.report()
}

fn manifests(root: &Path, folder: &str) -> PathBuf {
    root.join("manifests").join(folder)
}

/// Neither GitOps nor a new release resets a pause, a goal or a limit (docs/design/life-cycle.md#pause).
fn applying_again_resets_nothing(server: &Server, root: &Path, findings: &mut Findings) -> Result<()> {
    let edits = [
        (
            "rebootqueue/default",
            r#"{"spec":{"paused":true,"maxUnavailable":3}}"#,
        ),
        (
            "rebootpolicy/workers",
            r#"{"spec":{"bootedAfter":"2026-11-23T09:00:00Z","drain":{"timeout":"45m"}}}"#,
        ),
    ];
    for (object, patch) in edits {
        server
            .admin(&["patch", object, "--type=merge", "-p", patch])?
            .require()?;
    }
    let read = || -> Result<String> {
        let paths = "{.items[*].spec.paused} {.items[*].spec.maxUnavailable} {.items[*].spec.bootedAfter} {.items[*].spec.drain.timeout}";
        let output = format!("-o=jsonpath={paths}");
        server
            .admin(&["get", "rbq,rbp", "--sort-by=.metadata.name", &output])?
            .require()
    };
    let before = read()?;
    let edited = before.contains("true 3 2026-11-23T09:00:00Z") && before.contains("45m");
    findings.expect(edited, "a pause, a limit and a goal can be set", &before)?;
    for how in [&["apply", "--server-side"][..], &["apply"][..]] {
        for folder in ["crds", "junban", "defaults"] {
            let path = manifests(root, folder);
            let mut arguments = how.to_vec();
            let path = path.to_string_lossy();
            arguments.extend(["-f", &path]);
            server.admin(&arguments)?.require()?;
        }
        let after = read()?;
        let what = format!(
            "kubectl {} again resets neither pause nor limit nor goal",
            how.join(" ")
        );
        findings.expect(after == before, &what, &format!("{before}, then {after}"))?;
    }
    Ok(())
}
