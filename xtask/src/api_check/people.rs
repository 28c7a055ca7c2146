//! The two admission policies, proven with the credentials of those whom they keep out and of those whom they let
//! in. Each refusal stands beside a write that the same account may do, so that it is not for want of rights.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::findings::Findings;
use super::server::{Account, Answer, Server};

const NODE: &str = "node-1";
const ADMIN: Account<'static> = Account::Admin;
const KUBELET: Account<'static> = Account::Node(NODE);
const JUNBAN: Account<'static> = Account::Token("junban/junban");
/// May patch every Node, and is no administrator of Junban.
const STRANGER: Account<'static> = Account::User("mallory");
/// The same, with the ClusterRole junban-operator.
const OPERATOR: Account<'static> = Account::User("olivia");

const NODE_KEYS: &str = "may not write junban.dev/";
const REQUESTED_BY: &str = "spec.requestedBy must be";

pub(super) fn check(server: &Server, findings: &mut Findings) -> Result<()> {
    grant(server)?;
    until(|| {
        Ok(says(
            &annotate(server, &KUBELET, "junban.dev/mark", "forged")?,
            NODE_KEYS,
        ))
    })?;
    node_keys(server, findings)?;
    registration(server, findings)?;
    requested_by(server, findings)?;
    without_the_policy(server, findings)
}

fn grant(server: &Server) -> Result<()> {
    let role = [
        "create",
        "clusterrole",
        "node-patcher",
        "--verb=get,list,patch,update",
        "--resource=nodes,nodes/status",
    ];
    server.admin(&role)?.require()?;
    for (user, role) in [
        ("mallory", "node-patcher"),
        ("olivia", "node-patcher"),
        ("olivia", "junban-operator"),
    ] {
        let (name, user, role) = (
            format!("{user}-{role}"),
            format!("--user={user}"),
            format!("--clusterrole={role}"),
        );
        server
            .admin(&["create", "clusterrolebinding", &name, &role, &user])?
            .require()?;
    }
    Ok(())
}

fn node_keys(server: &Server, findings: &mut Findings) -> Result<()> {
    for (who, account) in [("a kubelet", &KUBELET), ("a stranger", &STRANGER)] {
        let mut refused = |what: &str, answer: &Answer| {
            findings.expect(
                says(answer, NODE_KEYS),
                &format!("{who} may not {what}"),
                &answer.text,
            )
        };
        refused(
            "forge a mark",
            &annotate(server, account, "junban.dev/mark", "forged")?,
        )?;
        refused(
            "forge a mark through the status",
            &annotate_status(server, account, "junban.dev/mark", "forged")?,
        )?;
        refused(
            "forge a journal",
            &annotate(server, account, "junban.dev/boot", "b1 - x")?,
        )?;
        refused(
            "waive a goal",
            &annotate(server, account, "junban.dev/waived", "2026-11-23T09:00:00Z")?,
        )?;
        refused(
            "hold a node",
            &label(server, account, "junban.dev/hold", Some("yes"))?,
        )?;
        refused(
            "exclude a node",
            &label(server, account, "junban.dev/exclude", Some(""))?,
        )?;
        let fine = annotate(server, account, "example.com/note", who)?;
        findings.expect(fine.ok, &format!("{who} may write other annotations"), &fine.text)?;
        let fine = annotate_status(server, account, "example.com/status-note", who)?;
        findings.expect(
            fine.ok,
            &format!("{who} may write other annotations through the status"),
            &fine.text,
        )?;
    }
    let taint = taint(server, &STRANGER, "junban.dev/pending")?;
    findings.expect(says(&taint, NODE_KEYS), "a stranger may not steer", &taint.text)?;
    let other = self::taint(server, &STRANGER, "example.com/other")?;
    findings.expect(other.ok, "a stranger may write other taints", &other.text)?;

    for (who, account) in [
        ("Junban's account", &JUNBAN),
        ("an operator", &OPERATOR),
        ("an administrator", &ADMIN),
    ] {
        let mark = annotate(server, account, "junban.dev/mark", who)?;
        findings.expect(mark.ok, &format!("{who} may write a mark"), &mark.text)?;
        let hold = label(server, account, "junban.dev/hold", Some("yes"))?;
        findings.expect(hold.ok, &format!("{who} may hold a node"), &hold.text)?;
        let steer = self::taint(server, account, "junban.dev/pending")?;
        findings.expect(steer.ok, &format!("{who} may steer"), &steer.text)?;
    }

    // Now they are there: nobody else may change or remove them, nor is in the way of other changes.
    for (who, account) in [("a kubelet", &KUBELET), ("a stranger", &STRANGER)] {
        let changed = annotate(server, account, "junban.dev/mark", "forged")?;
        findings.expect(
            says(&changed, NODE_KEYS),
            &format!("{who} may not change a mark"),
            &changed.text,
        )?;
        let removed = label(server, account, "junban.dev/hold", None)?;
        findings.expect(
            says(&removed, NODE_KEYS),
            &format!("{who} may not end a hold"),
            &removed.text,
        )?;
        let fine = annotate(server, account, "example.com/note", "again")?;
        findings.expect(fine.ok, &format!("{who} may write beside a mark"), &fine.text)?;
    }
    let untaint = patch(server, &STRANGER, r#"{"spec":{"taints":null}}"#)?;
    findings.expect(
        says(&untaint, NODE_KEYS),
        "a stranger may not end the steering",
        &untaint.text,
    )?;
    patch(server, &ADMIN, r#"{"spec":{"taints":null},"metadata":{"annotations":{"junban.dev/mark":null},"labels":{"junban.dev/hold":null}}}"#)?
        .require()?;
    Ok(())
}

/// A kubelet that registers its Node.
fn registration(server: &Server, findings: &mut Findings) -> Result<()> {
    let kubelet = Account::Node("node-9");
    let register = |labels: &str| {
        let object = format!(
            r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"node-9","labels":{{{labels}}}}}}}"#
        );
        server.by(
            &kubelet,
            &["create", "--validate=false", "-f", "-"],
            Some(&object),
        )
    };
    let held = register(r#""junban.dev/exclude":"""#)?;
    findings.expect(
        says(&held, NODE_KEYS),
        "a kubelet may not register an excluded node",
        &held.text,
    )?;
    let plain = register(r#""example.com/rack":"1""#)?;
    findings.expect(plain.ok, "a kubelet may register a node", &plain.text)?;
    server.admin(&["delete", "node", "node-9"])?.require()?;
    Ok(())
}

fn requested_by(server: &Server, findings: &mut Findings) -> Result<()> {
    let ask = |account: &Account<'_>, name: &str| {
        let spec = format!(
            r#"{{"nodeName":"node-1","nodeUID":"u","policy":"workers","bootedAfter":"2026-11-23T09:00:00Z","requestedBy":"{name}"}}"#
        );
        let metadata = r#"{"name":"node-1-case"}"#;
        let object = format!(
            r#"{{"apiVersion":"junban.dev/v1alpha1","kind":"NodeReboot","metadata":{metadata},"spec":{spec}}}"#
        );
        server.by(
            account,
            &["create", "--validate=false", "--dry-run=server", "-f", "-"],
            Some(&object),
        )
    };
    let account = "system:serviceaccount:junban:junban";
    until(|| Ok(says(&ask(&OPERATOR, "alice")?, REQUESTED_BY)))?;
    for (who, by, name) in [
        ("an operator in another's name", &OPERATOR, "alice"),
        ("an operator in no name", &OPERATOR, ""),
        ("an operator in Junban's name", &OPERATOR, account),
        ("an administrator in no name", &ADMIN, ""),
        ("Junban in another's name", &JUNBAN, "alice"),
    ] {
        let answer = ask(by, name)?;
        findings.expect(
            says(&answer, REQUESTED_BY),
            &format!("no entry by {who}"),
            &answer.text,
        )?;
    }
    for (who, by, name) in [
        ("an operator in her own name", &OPERATOR, "olivia"),
        ("Junban for a policy", &JUNBAN, ""),
    ] {
        let answer = ask(by, name)?;
        findings.expect(answer.ok, &format!("an entry by {who}"), &answer.text)?;
    }
    for (who, by) in [("a stranger", &STRANGER), ("a kubelet", &KUBELET)] {
        let answer = ask(by, "mallory")?;
        let forbidden = !answer.ok && answer.text.contains("cannot create resource \"nodereboots\"");
        findings.expect(
            forbidden,
            &format!("{who} has no right to entries at all"),
            &answer.text,
        )?;
    }
    Ok(())
}

/// With the guard taken out the forgery works: so it is this policy that refuses, and nothing else.
fn without_the_policy(server: &Server, findings: &mut Findings) -> Result<()> {
    server
        .admin(&["delete", "validatingadmissionpolicybinding", "junban-node-keys"])?
        .require()?;
    let forged = until(|| Ok(annotate(server, &KUBELET, "junban.dev/mark", "forged")?.ok));
    findings.expect(
        forged.is_ok(),
        "without the policy a kubelet forges a mark",
        "it was refused still",
    )
}

fn annotate(server: &Server, account: &Account<'_>, key: &str, value: &str) -> Result<Answer> {
    patch(
        server,
        account,
        &format!(r#"{{"metadata":{{"annotations":{{"{key}":"{value}"}}}}}}"#),
    )
}

/// Through the status, as a kubelet that heartbeats could. A whole write: kubectl's patch reads the subresource
/// first, which no kubelet may.
fn annotate_status(server: &Server, account: &Account<'_>, key: &str, value: &str) -> Result<Answer> {
    const TRIES: usize = 10;
    let mut tries = 0;
    loop {
        tries += 1;
        let node = server
            .by(account, &["get", "node", NODE, "-o", "json"], None)?
            .require()?;
        let mut node: serde_json::Value = serde_json::from_str(&node)?;
        node["metadata"]["annotations"][key] = value.into();
        let path = format!("/api/v1/nodes/{NODE}/status");
        let answer = server.by(
            account,
            &["replace", "--raw", &path, "-f", "-"],
            Some(&node.to_string()),
        )?;
        // Its own kubelet writes it all the time.
        if answer.ok || !answer.text.contains("the object has been modified") || tries == TRIES {
            return Ok(answer);
        }
    }
}

fn label(server: &Server, account: &Account<'_>, key: &str, value: Option<&str>) -> Result<Answer> {
    let value = value.map_or("null".to_owned(), |value| format!("\"{value}\""));
    patch(
        server,
        account,
        &format!(r#"{{"metadata":{{"labels":{{"{key}":{value}}}}}}}"#),
    )
}

/// One taint; a strategic merge adds it to what is there.
fn taint(server: &Server, account: &Account<'_>, key: &str) -> Result<Answer> {
    let taint = format!(r#"{{"spec":{{"taints":[{{"key":"{key}","effect":"PreferNoSchedule"}}]}}}}"#);
    server.by(
        account,
        &["patch", "node", NODE, "--type=strategic", "-p", &taint],
        None,
    )
}

fn patch(server: &Server, account: &Account<'_>, patch: &str) -> Result<Answer> {
    server.by(
        account,
        &["patch", "node", NODE, "--type=merge", "-p", patch],
        None,
    )
}

fn says(answer: &Answer, words: &str) -> bool {
    !answer.ok && answer.text.contains(words)
}

/// Admission policies and bindings reach the API server's own cache a moment later.
fn until(mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(30);
    let begin = Instant::now();
    while !holds()? {
        if begin.elapsed() > LIMIT {
            bail!("an admission policy took no effect within {} s", LIMIT.as_secs());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
