//! Lets the API server judge the cases. `crates/junban-api/tests/cases.rs` says how their files are named.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::findings::Findings;
use super::server::{Answer, Server};

/// Runs before the admission policies are applied: until then anybody may create an entry without `requestedBy`.
pub(super) fn check(server: &Server, root: &Path, only: Option<&str>, findings: &mut Findings) -> Result<()> {
    let files = read(&root.join("crates/junban-api/tests/cases"))?;
    for (name, text) in &files {
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let (stem, verdict) = name
            .rsplit_once('.')
            .with_context(|| format!("the name {name} has no verdict"))?;
        let answer = match stem.strip_suffix(".to") {
            _ if verdict == "from" => continue,
            None => create(server, text, &["--dry-run=server"])?,
            Some(stem) => {
                let from = files
                    .get(&format!("{stem}.from"))
                    .with_context(|| format!("{name} has no .from"))?;
                change(server, from, text)?
            }
        };
        let accepted = match verdict {
            "accept" => true,
            "refuse" => head(text, "exception").is_some_and(|why| why.starts_with("lint only")),
            _ => bail!("the name {name} has neither accept nor refuse"),
        };
        // Count only a judgement of the object: a refusal for another reason would hide a missing rule.
        let judged = answer.ok || is_judgement(&answer.text);
        findings.expect(
            answer.ok == accepted && judged,
            &format!("case {name}"),
            &answer.text,
        )?;
    }
    Ok(())
}

/// Whether a rule or the schema refused the object (422), or strict decoding did (400).
fn is_judgement(text: &str) -> bool {
    text.contains("is invalid")
        || text.contains("strict decoding error")
        || text.contains("cannot be handled as a")
}

fn create(server: &Server, text: &str, flags: &[&str]) -> Result<Answer> {
    let mut arguments = vec!["create", "-f", "-"];
    arguments.extend(flags);
    server.admin_with(&arguments, text)
}

fn change(server: &Server, from: &str, to: &str) -> Result<Answer> {
    let made = create(server, from, &["-o", "name"])?.require()?;
    let object = made.lines().next().unwrap_or_default().to_owned();
    if from.lines().any(|line| line.starts_with("status:")) {
        server
            .admin_with(&["replace", "--subresource=status", "-f", "-"], from)?
            .require()?;
    }
    let mut arguments = vec!["replace", "--dry-run=server", "-f", "-"];
    if head(to, "subresource") == Some("status") {
        arguments.push("--subresource=status");
    }
    let answer = server.admin_with(&arguments, to)?;
    server.admin(&["delete", &object])?.require()?;
    Ok(answer)
}

/// The value of `# KEY: VALUE` in the comment at the head of a case.
fn head<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .take_while(|line| line.starts_with('#'))
        .find_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(": "))
}

fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for file in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = file?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = name
            .strip_suffix(".yaml")
            .with_context(|| format!("{name} is not the file of a case"))?
            .to_owned();
        files.insert(name, std::fs::read_to_string(&path)?);
    }
    if files.is_empty() {
        bail!("no cases in {}", folder.display());
    }
    Ok(files)
}
