//! Reads the acts of people: `reboot --all`, `kill controller 2`.

use jiff::SignedDuration;
use serde_json::Value;

use super::condition::is_node_name;
use super::model::{Act, Demand, Fault, MachineFault, Right, Target};
use super::selector;
use super::settings;
use super::words::{Mistake, Words};

/// How an act begins, and what reads the words after that.
type Phrase = (&'static str, fn(&mut Words<'_>) -> Result<Act, Mistake>);

/// If two acts begin with the same words, the longer one is first.
const ACTS: &[Phrase] = &[
    ("reboot machine", reboot_machine),
    ("reboot", reboot),
    ("pause", |words| Ok(Act::Pause(words.rest().join(" ")))),
    ("resume", |_| Ok(Act::Resume)),
    ("cancel", |words| Ok(Act::Cancel(target(words)?))),
    ("retry", |words| Ok(Act::Retry(machine(words)?))),
    ("cordon", |words| Ok(Act::Cordon(machine(words)?))),
    ("uncordon", |words| Ok(Act::Uncordon(machine(words)?))),
    ("label", label),
    ("delete node", |words| Ok(Act::DeleteNode(machine(words)?))),
    ("delete queue", |_| Ok(Act::DeleteQueue)),
    ("delete policy", |words| Ok(Act::DeletePolicy(policy(words)?))),
    ("delete entry", delete_entry),
    ("delete entries", |_| Ok(Act::DeleteEntries(Target::All))),
    ("delete pod", |words| Ok(Act::DeletePod(words.key("a pod")?))),
    ("deny delete pods in", deny_in_a_namespace),
    ("deny", deny),
    ("allow everything", |_| Ok(Act::AllowEverything)),
    ("register node", |words| Ok(Act::RegisterNode(machine(words)?))),
    ("apply queue", |_| Ok(Act::ApplyQueue)),
    ("apply policy", |words| Ok(Act::ApplyPolicy(policy(words)?))),
    ("scale", scale),
    ("power off", |words| Ok(Act::PowerOff(machine(words)?))),
    ("repair", |words| Ok(Act::Repair(machine(words)?))),
    ("kill controller", |words| Ok(Act::KillController(number(words)?))),
    ("start controller", |words| {
        Ok(Act::StartController(number(words)?, clock(words)?))
    }),
    ("stop controller", |words| Ok(Act::StopController(number(words)?))),
    ("restart controller", |words| {
        Ok(Act::RestartController(number(words)?, clock(words)?))
    }),
    ("freeze controller", |words| {
        Ok(Act::FreezeController(number(words)?))
    }),
    ("thaw controller", |words| Ok(Act::ThawController(number(words)?))),
    ("cut off the controllers", |_| Ok(Act::CutOff)),
    ("reconnect the controllers", |_| Ok(Act::Reconnect)),
];

/// How an act begins that has a colon of its own, and what reads the words before the colon and the text after it.
type PhraseWithColon = (&'static str, fn(&mut Words<'_>, &str) -> Result<Act, Mistake>);

const ACTS_WITH_COLON: &[PhraseWithColon] = &[
    ("edit queue", |_, text| Ok(Act::EditQueue(settings::queue(text)?))),
    ("edit policy", |words, text| {
        Ok(Act::EditPolicy(policy(words)?, settings::policy(text)?))
    }),
    ("edit budget", |words, text| {
        let budget = words.key("a budget")?;
        Ok(Act::EditBudget(budget, Words::all(text, demand)?))
    }),
    ("fault", |words, text| {
        let (node, fault) = (node(words)?, fault(text)?);
        Ok(Act::Fault(MachineFault { node, fault }))
    }),
    ("annotate", annotate),
    ("taint", |words, text| {
        Ok(Act::Taint(node(words)?, Words::all(text, taint)?))
    }),
    ("untaint", |words, text| {
        Ok(Act::Untaint(node(words)?, Words::all(text, taint)?))
    }),
    ("next boot of", |words, text| {
        let node = node(words)?;
        Words::all(text, |words| {
            if words.eat("taint") {
                return Ok(Act::NextBootTaint(node, taint(words)?));
            }
            let resource = words
                .one_of(&["cpu", "memory"], "a resource, or `taint`")?
                .to_owned();
            let amount = match resource.as_str() {
                "cpu" => words.cpu()?,
                _ => words.memory()?,
            };
            Ok(Act::NextBootHas {
                node,
                resource,
                amount,
            })
        })
    }),
    ("pause", |_, reason| Ok(Act::Pause(reason.to_owned()))),
];

pub(super) fn parse(text: &str) -> Result<Act, Mistake> {
    if let Some(act) = text.strip_suffix(" is refused") {
        return Ok(Act::Refused(Box::new(parse(act)?)));
    }
    match text.split_once(':') {
        Some((head, tail)) => Words::all(head, |words| {
            words.eat_one(ACTS_WITH_COLON, "an act that has a colon")?(words, tail.trim())
        }),
        None => Words::all(text, |words| words.eat_one(ACTS, "an act")?(words)),
    }
}

/// `KEY=VALUE:EFFECT` or `KEY:EFFECT`.
fn taint(words: &mut Words<'_>) -> Result<String, Mistake> {
    let word = words.next("KEY=VALUE:EFFECT")?;
    let effects = ["NoSchedule", "NoExecute", "PreferNoSchedule"];
    let effect = word.rsplit_once(':').map(|(_, effect)| effect);
    match effect.filter(|effect| effects.contains(effect)) {
        Some(_) => Ok(word.to_owned()),
        None => Err(format!(
            "`{word}` is not a taint: write KEY=VALUE:EFFECT with an effect of {effects:?}"
        )),
    }
}

fn annotate(words: &mut Words<'_>, text: &str) -> Result<Act, Mistake> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not ANNOTATION=VALUE"))?;
    Ok(Act::Annotate {
        node: node(words)?,
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

fn reboot_machine(words: &mut Words<'_>) -> Result<Act, Mistake> {
    let node = node(words)?;
    words.eat("by hand");
    Ok(Act::RebootMachine(node))
}

fn delete_entry(words: &mut Words<'_>) -> Result<Act, Mistake> {
    words.eat("of");
    Ok(Act::DeleteEntries(Target::Nodes(vec![node(words)?])))
}

fn scale(words: &mut Words<'_>) -> Result<Act, Mistake> {
    let workload = words.key("a workload")?;
    words.eat("to");
    Ok(Act::Scale(workload, words.number("a number of replicas")?))
}

fn deny_in_a_namespace(words: &mut Words<'_>) -> Result<Act, Mistake> {
    let namespace = words.next("a namespace")?.to_owned();
    Ok(Act::Deny(Right::DeletePodsIn(namespace)))
}

fn deny(words: &mut Words<'_>) -> Result<Act, Mistake> {
    let verb = words.one_of(&VERBS, "a verb")?;
    let of_verb = RIGHTS.iter().filter(|(verbs, _)| verbs.contains(&verb));
    let resources: Vec<&str> = of_verb.flat_map(|(_, resources)| *resources).copied().collect();
    let resource = words.one_of(&resources, &format!("what the controller's account may {verb}"))?;
    Ok(Act::Deny(Right::Cluster {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
    }))
}

/// The verbs of RBAC.
const VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

/// The rights that the account's ClusterRole grants (`manifests/junban`). Only these can be taken away.
const RIGHTS: [(&[&str], &[&str]); 5] = [
    (
        &["get", "list", "watch"],
        &[
            "nodes",
            "pods",
            "persistentvolumes",
            "persistentvolumeclaims",
            "replicationcontrollers",
            "daemonsets",
            "deployments",
            "replicasets",
            "statefulsets",
            "jobs",
            "poddisruptionbudgets",
            "volumeattachments",
            "rebootqueues",
            "rebootpolicies",
            "nodereboots",
        ],
    ),
    (&["patch"], &["nodes"]),
    (&["create"], &["pods/eviction", "nodereboots"]),
    (&["delete"], &["nodereboots"]),
    (
        &["update"],
        &[
            "rebootqueues/status",
            "rebootpolicies/status",
            "nodereboots/status",
        ],
    ),
];

/// The number of a controller; 1 if none is written.
fn number(words: &mut Words<'_>) -> Result<u32, Mistake> {
    match words.peek() {
        None | Some("with") => Ok(1),
        Some(_) => words.number("a controller's number"),
    }
}

fn policy(words: &mut Words<'_>) -> Result<String, Mistake> {
    words.next("a policy").map(str::to_owned)
}

/// `node-1` or `machine node-1`.
fn machine(words: &mut Words<'_>) -> Result<String, Mistake> {
    words.eat("machine");
    node(words)
}

/// A clock that is off by more is a mistake in the file.
const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// `with its clock 24h ahead`. Without these words the clock is right.
fn clock(words: &mut Words<'_>) -> Result<SignedDuration, Mistake> {
    if words.peek().is_none() {
        return Ok(SignedDuration::ZERO);
    }
    words.eat_one(&[("with its clock", ())], "a controller's number or its clock")?;
    let off = words.duration()?;
    let ahead = words.eat_one(&[("ahead", true), ("behind", false)], "`ahead` or `behind`")?;
    let off = SignedDuration::try_from(off)
        .ok()
        .filter(|off| !off.is_zero() && *off <= CLOCK_OFF_MAX)
        .ok_or("a clock is off by more than 0 s and by ten years at most")?;
    Ok(if ahead { off } else { -off })
}

pub(super) fn node(words: &mut Words<'_>) -> Result<String, Mistake> {
    let word = words.next("a node")?;
    is_node_name(word).then(|| word.to_owned()).ok_or_else(|| {
        format!("`{word}` is not a node: nodes have the names node-1, node-2 and so on, and cp-1 to cp-3")
    })
}

/// One node or more.
pub(super) fn nodes(words: &mut Words<'_>) -> Result<Vec<String>, Mistake> {
    let mut nodes = vec![node(words)?];
    while words.peek().is_some_and(is_node_name) {
        nodes.push(node(words)?);
    }
    Ok(nodes)
}

fn target(words: &mut Words<'_>) -> Result<Target, Mistake> {
    if words.eat("--all") {
        Ok(Target::All)
    } else {
        nodes(words).map(Target::Nodes)
    }
}

/// A label selector, which may have spaces inside its brackets.
fn selected(words: &mut Words<'_>) -> Result<Target, Mistake> {
    let mut parts = vec![words.next("a label selector")?];
    while let Some(word) = words.peek().filter(|word| !word.starts_with("--")) {
        parts.push(word);
        words.next("a label selector")?;
    }
    let text = parts.join(" ");
    selector::parse(&text)?;
    Ok(Target::Selector(text))
}

fn reboot(words: &mut Words<'_>) -> Result<Act, Mistake> {
    let target = if words.eat("-l") {
        selected(words)?
    } else {
        target(words)?
    };
    let again = words.eat("--again");
    if again && target != Target::All {
        return Err("`--again` needs `--all`".into());
    }
    let reason = words.eat("--reason").then(|| words.rest().join(" "));
    Ok(Act::Reboot {
        target,
        again,
        reason: reason.unwrap_or_default(),
    })
}

fn label(words: &mut Words<'_>) -> Result<Act, Mistake> {
    let node = node(words)?;
    let word = words.next("LABEL=VALUE, or LABEL- to remove it")?;
    let (key, value) = match (word.split_once('='), word.strip_suffix('-')) {
        (Some((key, value)), _) => (key, Some(value.to_owned())),
        (None, Some(key)) => (key, None),
        (None, None) => return Err(format!("`{word}` is neither LABEL=VALUE nor LABEL-")),
    };
    Ok(Act::Label {
        node,
        key: key.to_owned(),
        value,
    })
}

/// `maxUnavailable 1`, `minAvailable 50%`.
pub(super) fn demand(words: &mut Words<'_>) -> Result<Demand, Mistake> {
    type Make = fn(Value) -> Demand;
    const DEMANDS: [(&str, Make); 2] = [
        ("maxUnavailable", Demand::MaxUnavailable),
        ("minAvailable", Demand::MinAvailable),
    ];
    let make = words.eat_one(&DEMANDS, "what a budget demands")?;
    let word = words.next("a number or a percentage")?;
    Ok(make(settings::int_or_percent(word)?))
}

/// `never returns`, `slow x3`.
pub(super) fn fault(text: &str) -> Result<Fault, Mistake> {
    const FAULTS: [(&str, Fault); 7] = [
        ("never returns", Fault::NeverReturns),
        ("same bootID", Fault::SameBootId),
        ("NotReady", Fault::NotReady),
        ("power lost", Fault::PowerLost),
        ("refused", Fault::Refused),
        ("unknown", Fault::Unknown),
        ("dead", Fault::Dead),
    ];
    Words::all(text, |words| {
        if !words.eat("slow") {
            return words.eat_one(&FAULTS, "a fault (or `slow x3`)");
        }
        let factor = words.next("a factor such as x3")?;
        let number = factor.strip_prefix('x').and_then(|digits| digits.parse().ok());
        number
            .map(Fault::Slow)
            .ok_or_else(|| format!("`{factor}` is not a factor: write x3"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_act_is_read() {
        for (text, act) in [
            (
                "reboot --all --again --reason BIOS 2.19",
                Act::Reboot {
                    target: Target::All,
                    again: true,
                    reason: "BIOS 2.19".into(),
                },
            ),
            (
                "reboot machine node-2 by hand",
                Act::RebootMachine("node-2".into()),
            ),
            ("kill controller", Act::KillController(1)),
            (
                "deny create pods/eviction",
                Act::Deny(Right::Cluster {
                    verb: "create".into(),
                    resource: "pods/eviction".into(),
                }),
            ),
            (
                "deny delete pods in shop",
                Act::Deny(Right::DeletePodsIn("shop".into())),
            ),
            ("freeze controller 2", Act::FreezeController(2)),
            ("start controller", Act::StartController(1, SignedDuration::ZERO)),
            (
                "start controller with its clock 24h ahead",
                Act::StartController(1, SignedDuration::from_hours(24)),
            ),
            (
                "restart controller 2 with its clock 1h30m behind",
                Act::RestartController(2, SignedDuration::from_mins(-90)),
            ),
            ("cut off the controllers", Act::CutOff),
            ("pause", Act::Pause(String::new())),
            ("resume is refused", Act::Refused(Box::new(Act::Resume))),
            (
                "reboot -l zone in (a, b),!gpu --reason new kernel",
                Act::Reboot {
                    target: Target::Selector("zone in (a, b),!gpu".into()),
                    again: false,
                    reason: "new kernel".into(),
                },
            ),
            (
                "delete entry of node-2",
                Act::DeleteEntries(Target::Nodes(vec!["node-2".into()])),
            ),
            (
                "label node-1 junban.dev/hold-",
                Act::Label {
                    node: "node-1".into(),
                    key: "junban.dev/hold".into(),
                    value: None,
                },
            ),
            (
                "annotate node-1: junban.dev/waived=2100-01-01T00:00:00Z",
                Act::Annotate {
                    node: "node-1".into(),
                    key: "junban.dev/waived".into(),
                    value: "2100-01-01T00:00:00Z".into(),
                },
            ),
        ] {
            assert_eq!(parse(text), Ok(act), "{text}");
        }
        assert!(matches!(
            parse("edit queue: maxUnavailable 1"),
            Ok(Act::EditQueue(_))
        ));
        assert!(matches!(parse("fault node-1: slow x3"), Ok(Act::Fault(_))));
    }

    #[test]
    fn the_error_for_a_misspelt_act_names_the_nearest_word() {
        for (text, near) in [
            ("resum", "`resume`"),
            ("delete nod node-1", "`delete node`"),
            ("kil controller", "`kill controller`"),
            ("deny creat pods/eviction", "`create`"),
            ("deny create pod/eviction", "`pods/eviction`"),
            ("deny patch node", "`nodes`"),
            ("fault node-1: never return", "`never returns`"),
            ("edit polcy workers: priority 1", "`edit policy`"),
            ("start controller with is clock 24h ahead", "`with its clock`"),
            ("restart controller 2 with its clok 24h ahead", "`with its clock`"),
            ("start controller with its clock 24h ahed", "`ahead`"),
            ("start controller with its clock 24h behnd", "`behind`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("did you mean {near}")), "{text}: {error}");
        }
    }

    #[test]
    fn an_incomplete_clock_is_an_error() {
        for (text, message) in [
            (
                "start controller with its clock",
                "a time such as 20s is expected",
            ),
            ("start controller with its clock a day ahead", "`a` is not a time"),
            (
                "start controller with its clock 24h",
                "`ahead` or `behind` is expected",
            ),
            (
                "start controller with its clock 24h ahead of us",
                "after this: `of us`",
            ),
            ("start controller with its clock 0s ahead", "by more than 0 s"),
            (
                "start controller with its clock 100000h behind",
                "ten years at most",
            ),
            (
                "kill controller with its clock 24h ahead",
                "after this: `with its clock 24h ahead`",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
