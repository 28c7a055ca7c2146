//! The two admission policies: whom they refuse and whom they let through, under the credentials of each. Beside each
//! refusal the same account does a write that it may do: so the policy refused, and not a missing right.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::findings::Findings;
use super::server::{Account, Answer, Server};

const NODE: &str = "node-1";
const ADMIN: Account<'static> = Account::Admin;
const KUBELET: Account<'static> = Account::Node(NODE);
const JUNBAN: Account<'static> = Account::Token("junban/junban");
/// Has the right to patch every Node, and none of Junban's ClusterRoles.
const STRANGER: Account<'static> = Account::User("mallory");
/// Has the right to patch every Node, and the ClusterRole junban-operator.
const OPERATOR: Account<'static> = Account::User("olivia");

const NODE_KEYS: &str = "may not write junban.dev/";
const REQUESTED_BY: &str = "spec.requestedBy must be";

pub(super) fn check(server: &Server, findings: &mut Findings) -> Result<()> {
    grant(server)?;
    until(|| {
        Ok(is_refused(
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
                is_refused(answer, NODE_KEYS),
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
    findings.expect(
        is_refused(&taint, NODE_KEYS),
        "a stranger may not write the steering taint",
        &taint.text,
    )?;
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
        findings.expect(
            steer.ok,
            &format!("{who} may write the steering taint"),
            &steer.text,
        )?;
    }

    // The keys are on the node now. Nobody else may change or remove them, and other changes still pass.
    for (who, account) in [("a kubelet", &KUBELET), ("a stranger", &STRANGER)] {
        let changed = annotate(server, account, "junban.dev/mark", "forged")?;
        findings.expect(
            is_refused(&changed, NODE_KEYS),
            &format!("{who} may not change a mark"),
            &changed.text,
        )?;
        let removed = label(server, account, "junban.dev/hold", None)?;
        findings.expect(
            is_refused(&removed, NODE_KEYS),
            &format!("{who} may not remove a hold"),
            &removed.text,
        )?;
        let fine = annotate(server, account, "example.com/note", "again")?;
        findings.expect(fine.ok, &format!("{who} may write beside a mark"), &fine.text)?;
    }
    let untaint = patch(server, &STRANGER, r#"{"spec":{"taints":null}}"#)?;
    findings.expect(
        is_refused(&untaint, NODE_KEYS),
        "a stranger may not remove the steering taint",
        &untaint.text,
    )?;
    patch(server, &ADMIN, r#"{"spec":{"taints":null},"metadata":{"annotations":{"junban.dev/mark":null},"labels":{"junban.dev/hold":null}}}"#)?
        .require()?;
    Ok(())
}

/// A kubelet registers its Node.
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
        is_refused(&held, NODE_KEYS),
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
    until(|| Ok(is_refused(&ask(&OPERATOR, "alice")?, REQUESTED_BY)))?;
    for (who, by, name) in [
        ("an operator for another person", &OPERATOR, "alice"),
        ("an operator for nobody", &OPERATOR, ""),
        ("an operator for Junban", &OPERATOR, account),
        ("an administrator for nobody", &ADMIN, ""),
        ("Junban for a person", &JUNBAN, "alice"),
    ] {
        let answer = ask(by, name)?;
        findings.expect(
            is_refused(&answer, REQUESTED_BY),
            &format!("an entry by {who} is refused"),
            &answer.text,
        )?;
    }
    for (who, by, name) in [
        ("an operator for herself", &OPERATOR, "olivia"),
        ("Junban for a policy", &JUNBAN, ""),
    ] {
        let answer = ask(by, name)?;
        findings.expect(answer.ok, &format!("an entry by {who} is accepted"), &answer.text)?;
    }
    for (who, by) in [("a stranger", &STRANGER), ("a kubelet", &KUBELET)] {
        let answer = ask(by, "mallory")?;
        let forbidden = !answer.ok && answer.text.contains("cannot create resource \"nodereboots\"");
        findings.expect(
            forbidden,
            &format!("{who} may not create entries at all"),
            &answer.text,
        )?;
    }
    Ok(())
}

/// Without the policy a forged mark is accepted: so this policy refuses it, and nothing else does.
fn without_the_policy(server: &Server, findings: &mut Findings) -> Result<()> {
    server
        .admin(&["delete", "validatingadmissionpolicybinding", "junban-node-keys"])?
        .require()?;
    let forged = until(|| Ok(annotate(server, &KUBELET, "junban.dev/mark", "forged")?.ok));
    findings.expect(
        forged.is_ok(),
        "without the policy a kubelet forges a mark",
        "it was still refused",
    )
}

fn annotate(server: &Server, account: &Account<'_>, key: &str, value: &str) -> Result<Answer> {
    patch(
        server,
        account,
        &format!(r#"{{"metadata":{{"annotations":{{"{key}":"{value}"}}}}}}"#),
    )
}

/// Writes an annotation through the status, as a kubelet could with its heartbeat. Replaces the whole object: for a
/// patch kubectl would read the subresource first, and a kubelet may not read it.
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
        // The node's kubelet writes it all the time, so the version may be old.
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

/// Adds a taint: a strategic merge keeps the others.
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

/// Whether the request was refused with these words.
fn is_refused(answer: &Answer, words: &str) -> bool {
    !answer.ok && answer.text.contains(words)
}

/// Waits: an admission policy takes effect only when the API server has read it into its cache.
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
