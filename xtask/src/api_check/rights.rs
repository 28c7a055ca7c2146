//! Compares the rights of Junban's token, as the API server lists them, with the golden list. Rights that every
//! account of a cluster has (to ask for its own rights, to read the version) do not count: an account without a
//! binding shows which these are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::findings::Findings;
use super::server::{Account, Server};

/// Namespaces in which the account has a Role.
const NAMESPACES: [&str; 3] = ["default", "junban", "kube-node-lease"];
/// A namespace without one: a right that the account has here it has everywhere.
const WITHOUT_ROLE: &str = "kube-system";

type Rights = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(server: &Server, root: &Path, findings: &mut Findings) -> Result<()> {
    let path = root.join("crates/junban-api/tests/golden/rights.txt");
    let golden = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let golden: BTreeSet<String> = golden
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let granted = granted(server)?;
    for line in &granted {
        findings.expect(
            golden.contains(line),
            "the account has no right beyond the golden list",
            line,
        )?;
    }
    for line in &golden {
        findings.expect(
            granted.contains(line),
            "the account has each right of the golden list",
            line,
        )?;
    }
    Ok(())
}

fn granted(server: &Server) -> Result<BTreeSet<String>> {
    let everywhere = rights(server, WITHOUT_ROLE)?;
    let mut lines: BTreeSet<String> = lines("cluster", &everywhere, &Rights::new());
    for namespace in NAMESPACES {
        lines.append(&mut self::lines(
            namespace,
            &rights(server, namespace)?,
            &everywhere,
        ));
    }
    Ok(lines)
}

fn lines(scope: &str, rights: &Rights, known: &Rights) -> BTreeSet<String> {
    let more = rights
        .iter()
        .filter(|(what, verbs)| known.get(*what) != Some(verbs));
    more.map(|(what, verbs)| {
        let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
        format!("{scope}: {what}: {}", verbs.join(" "))
    })
    .collect()
}

/// The rights of Junban's token in a namespace, without those that an account without a binding has.
fn rights(server: &Server, namespace: &str) -> Result<Rights> {
    let mut rights = review(server, "junban/junban", namespace)?;
    let nobody = review(server, "default/default", namespace)?;
    rights.retain(|what, verbs| nobody.get(what) != Some(verbs));
    Ok(rights)
}

fn review(server: &Server, account: &str, namespace: &str) -> Result<Rights> {
    let question = format!(
        r#"{{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectRulesReview","spec":{{"namespace":"{namespace}"}}}}"#
    );
    let arguments = ["create", "--validate=false", "-o", "json", "-f", "-"];
    let answer = server
        .by(&Account::Token(account), &arguments, &question)?
        .require()?;
    let answer: Value = serde_json::from_str(&answer)?;
    if answer["status"]["incomplete"] != false {
        bail!("the review of {account} in {namespace} is incomplete: {answer}");
    }
    let mut rights = Rights::new();
    for rule in answer["status"]["resourceRules"].as_array().into_iter().flatten() {
        let names = match words(&rule["resourceNames"]) {
            names if names.is_empty() => vec![String::new()],
            names => names.into_iter().map(|name| format!("/{name}")).collect(),
        };
        for group in words(&rule["apiGroups"]) {
            let suffix = if group.is_empty() {
                String::new()
            } else {
                format!(".{group}")
            };
            for resource in words(&rule["resources"]) {
                for name in &names {
                    let verbs = words(&rule["verbs"]).into_iter().map(str::to_owned);
                    rights
                        .entry(format!("{resource}{suffix}{name}"))
                        .or_default()
                        .extend(verbs);
                }
            }
        }
    }
    Ok(rights)
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
