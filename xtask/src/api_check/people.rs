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
    // A dry run: a mark that is stored before the policy takes effect would stay, and the policy lets an unchanged mark
    // pass for ever.
    let forge = r#"{"metadata":{"annotations":{"junban.dev/mark":"forged"}}}"#;
    let dry_run = [
        "patch",
        "node",
        NODE,
        "--type=merge",
        "--dry-run=server",
        "-p",
        forge,
    ];
    until(|| Ok(is_refused(&server.by(&KUBELET, &dry_run, "")?, NODE_KEYS)))?;
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
        let words = format!("create clusterrolebinding {user}-{role} --clusterrole={role} --user={user}");
        let words: Vec<&str> = words.split(' ').collect();
        server.admin(&words)?.require()?;
    }
    Ok(())
}

fn node_keys(server: &Server, findings: &mut Findings) -> Result<()> {
    let (mark, hold, steering) = ("junban.dev/mark", "junban.dev/hold", "junban.dev/pending");
    let others = [("a kubelet", &KUBELET), ("a stranger", &STRANGER)];
    for (who, account) in others {
        let annotate = |key: &str, value: &str| annotate(server, account, key, value);
        let annotate_status = |key: &str, value: &str| annotate_status(server, account, key, value);
        let label = |key: &str, value: &str| label(server, account, key, Some(value));
        for (what, answer) in [
            ("forge a mark", annotate(mark, "forged")?),
            (
                "forge a mark through the status",
                annotate_status(mark, "forged")?,
            ),
            ("forge a journal", annotate("junban.dev/boot", "b1 - x")?),
            (
                "waive a goal",
                annotate("junban.dev/waived", "2026-11-23T09:00:00Z")?,
            ),
            ("hold a node", label(hold, "yes")?),
            ("exclude a node", label("junban.dev/exclude", "")?),
        ] {
            may_not(findings, who, what, &answer)?;
        }
        let fine = annotate("example.com/note", who)?;
        may(findings, who, "write other annotations", &fine)?;
        let fine = annotate_status("example.com/status-note", who)?;
        may(findings, who, "write other annotations through the status", &fine)?;
    }
    let pending = taint(server, &STRANGER, steering)?;
    may_not(findings, "a stranger", "write the steering taint", &pending)?;
    let other = taint(server, &STRANGER, "example.com/other")?;
    may(findings, "a stranger", "write other taints", &other)?;

    for (who, account) in [
        ("Junban's account", &JUNBAN),
        ("an operator", &OPERATOR),
        ("an administrator", &ADMIN),
    ] {
        may(
            findings,
            who,
            "write a mark",
            &annotate(server, account, mark, who)?,
        )?;
        may(
            findings,
            who,
            "hold a node",
            &label(server, account, hold, Some("yes"))?,
        )?;
        may(
            findings,
            who,
            "write the steering taint",
            &taint(server, account, steering)?,
        )?;
    }

    // The keys are on the node now. Nobody else may change or remove them, and other changes still pass.
    for (who, account) in others {
        let changed = annotate(server, account, mark, "forged")?;
        may_not(findings, who, "change a mark", &changed)?;
        let removed = label(server, account, hold, None)?;
        may_not(findings, who, "remove a hold", &removed)?;
        let fine = annotate(server, account, "example.com/note", "again")?;
        may(findings, who, "write beside a mark", &fine)?;
    }
    let untaint = patch(server, &STRANGER, r#"{"spec":{"taints":null}}"#)?;
    may_not(findings, "a stranger", "remove the steering taint", &untaint)?;
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
        server.by(&kubelet, &["create", "--validate=false", "-f", "-"], &object)
    };
    let held = register(r#""junban.dev/exclude":"""#)?;
    may_not(findings, "a kubelet", "register an excluded node", &held)?;
    let plain = register(r#""example.com/rack":"1""#)?;
    may(findings, "a kubelet", "register a node", &plain)?;
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
        let arguments = ["create", "--validate=false", "--dry-run=server", "-f", "-"];
        server.by(account, &arguments, &object)
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
        let forbidden = is_refused(&answer, "cannot create resource \"nodereboots\"");
        let what = format!("{who} may not create entries at all");
        findings.expect(forbidden, &what, &answer.text)?;
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
            .by(account, &["get", "node", NODE, "-o", "json"], "")?
            .require()?;
        let mut node: serde_json::Value = serde_json::from_str(&node)?;
        node["metadata"]["annotations"][key] = value.into();
        let path = format!("/api/v1/nodes/{NODE}/status");
        let arguments = ["replace", "--raw", &path, "-f", "-"];
        let answer = server.by(account, &arguments, &node.to_string())?;
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
    let arguments = ["patch", "node", NODE, "--type=strategic", "-p", &taint];
    server.by(account, &arguments, "")
}

fn patch(server: &Server, account: &Account<'_>, patch: &str) -> Result<Answer> {
    let arguments = ["patch", "node", NODE, "--type=merge", "-p", patch];
    server.by(account, &arguments, "")
}

fn may(findings: &mut Findings, who: &str, what: &str, answer: &Answer) -> Result<()> {
    findings.expect(answer.ok, &format!("{who} may {what}"), &answer.text)
}

/// The policy for the keys of a Node must have refused the request.
fn may_not(findings: &mut Findings, who: &str, what: &str, answer: &Answer) -> Result<()> {
    let is_refused = is_refused(answer, NODE_KEYS);
    findings.expect(is_refused, &format!("{who} may not {what}"), &answer.text)
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
