//! `cargo xtask api-check`: what only a real API server can say of the manifests. The table of cases that the
//! offline lint is held by (`crates/junban-api/tests/cases`), the two admission policies with a node's own
//! credentials and a stranger's, the rights of the account's token against the golden list, and that applying
//! the manifests again resets nothing.

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
    /// Only the cases whose name contains this
    #[arg(long)]
    cases: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let server = Server::start()?;
    let mut findings = Findings::default();

    // The cases first: there is no queue yet whose name would be taken.
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

/// lifecycle.md 5: neither GitOps nor a new release resets a pause, a goal or a limit.
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
    findings.expect(edited, "a pause, a limit and a goal are set", &before)?;
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
