//! Reads the acts of people: `reboot --all`, `kill controller 2`.

use jiff::SignedDuration;

use super::condition::is_node_name;
use super::model::{Act, Demand, Fault, MachineFault, Right, Target};
use super::selector;
use super::settings;
use super::words::{Mistake, Words, unknown};

/// How each act begins, for error messages.
const ACTS: &[&str] = &[
    "reboot --all",
    "reboot node-N",
    "reboot machine",
    "pause",
    "resume",
    "cancel",
    "retry",
    "cordon",
    "uncordon",
    "label",
    "annotate",
    "delete node",
    "delete queue",
    "delete policy",
    "delete entry",
    "delete entries",
    "delete pod",
    "deny",
    "allow everything",
    "register node",
    "apply queue",
    "apply policy",
    "edit queue",
    "edit policy",
    "edit budget",
    "scale",
    "power off",
    "fault",
    "repair",
    "kill controller",
    "start controller",
    "stop controller",
    "restart controller",
    "freeze controller",
    "thaw controller",
    "cut off the controllers",
    "reconnect the controllers",
];

pub(super) fn parse(text: &str) -> Result<Act, Mistake> {
    if let Some(act) = text.strip_suffix(" is refused") {
        return Ok(Act::Refused(Box::new(parse(act)?)));
    }
    // Edits, faults, annotations and pauses have a colon of their own: `edit queue: maxUnavailable 1`.
    if let Some((head, tail)) = text.split_once(':') {
        return with_colon(head.trim(), tail.trim());
    }
    let mut words = Words::of(text);
    let act = read(&mut words)?;
    words.end()?;
    Ok(act)
}

fn with_colon(head: &str, tail: &str) -> Result<Act, Mistake> {
    let mut words = Words::of(head);
    let act = if words.eat("edit queue") {
        Act::EditQueue(settings::queue(tail)?)
    } else if words.eat("edit policy") {
        Act::EditPolicy(words.next("a policy")?.to_owned(), settings::policy(tail)?)
    } else if words.eat("edit budget") {
        let (namespace, name) = words.namespaced("a budget")?;
        Act::EditBudget {
            namespace,
            name,
            demand: demand(&mut Words::of(tail))?,
        }
    } else if words.eat("fault") {
        Act::Fault(MachineFault {
            node: node(&mut words)?,
            fault: fault(tail)?,
        })
    } else if words.eat("annotate") {
        let (key, value) = tail
            .split_once('=')
            .ok_or_else(|| format!("`{tail}` is not ANNOTATION=VALUE"))?;
        Act::Annotate {
            node: node(&mut words)?,
            key: key.to_owned(),
            value: value.to_owned(),
        }
    } else if words.eat("pause") {
        Act::Pause(tail.to_owned())
    } else {
        let names = [
            "edit queue",
            "edit policy",
            "edit budget",
            "fault",
            "annotate",
            "pause",
        ];
        return Err(unknown(head, "an act that has a colon", &names));
    };
    words.end()?;
    Ok(act)
}

fn read(words: &mut Words<'_>) -> Result<Act, Mistake> {
    if words.eat("reboot machine") {
        let node = node(words)?;
        words.eat("by hand");
        return Ok(Act::RebootMachine(node));
    }
    if words.eat("reboot") {
        return reboot(words);
    }
    if words.eat("pause") {
        return Ok(Act::Pause(words.rest().join(" ")));
    }
    if words.eat("cancel") {
        return Ok(Act::Cancel(target(words)?));
    }
    if words.eat("label") {
        return label(words);
    }
    if words.eat("delete pod") {
        let (namespace, name) = words.namespaced("a pod")?;
        return Ok(Act::DeletePod(namespace, name));
    }
    if words.eat("deny delete pods in") {
        return Ok(Act::Deny(Right::DeletePodsIn(
            words.next("a namespace")?.to_owned(),
        )));
    }
    if words.eat("deny") {
        let verb = words.eat_one(&VERBS.map(|verb| (verb, verb)), "a verb")?;
        let of_verb = RIGHTS.iter().filter(|(verbs, _)| verbs.contains(&verb));
        let resources: Vec<(&str, &str)> = of_verb
            .flat_map(|(_, resources)| resources.iter().map(|name| (*name, *name)))
            .collect();
        let expected = format!("what the controller's account may {verb}");
        let resource = words.eat_one(&resources, &expected)?;
        return Ok(Act::Deny(Right::Cluster {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
        }));
    }
    if words.eat("delete entry") {
        words.eat("of");
        return Ok(Act::DeleteEntries(Target::Nodes(vec![node(words)?])));
    }
    if words.eat("scale") {
        let (namespace, name) = words.namespaced("a workload")?;
        words.eat("to");
        let replicas = words.number("a number of replicas")?;
        return Ok(Act::Scale {
            namespace,
            name,
            replicas,
        });
    }
    for (phrase, act) in ALONE {
        if words.eat(phrase) {
            return Ok(act);
        }
    }
    for (phrase, make) in ON_A_POLICY {
        if words.eat(phrase) {
            return Ok(make(words.next("a policy")?.to_owned()));
        }
    }
    for (phrase, make) in ON_A_NODE {
        if words.eat(phrase) {
            words.eat("machine");
            return Ok(make(node(words)?));
        }
    }
    for (phrase, make) in ON_A_CONTROLLER {
        if words.eat(phrase) {
            let number = if words.peek().is_some() {
                words.number("a controller's number")?
            } else {
                1
            };
            return Ok(make(number));
        }
    }
    if words.eat("start controller") {
        return Ok(Act::StartController(number(words)?, clock(words)?));
    }
    if words.eat("restart controller") {
        return Ok(Act::RestartController(number(words)?, clock(words)?));
    }
    Err(unknown(&words.rest_peek(), "an act", ACTS))
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

/// Acts without a further word.
const ALONE: [(&str, Act); 7] = [
    ("resume", Act::Resume),
    ("delete queue", Act::DeleteQueue),
    ("apply queue", Act::ApplyQueue),
    ("delete entries", Act::DeleteEntries(Target::All)),
    ("allow everything", Act::AllowEverything),
    ("cut off the controllers", Act::CutOff),
    ("reconnect the controllers", Act::Reconnect),
];

/// A phrase, and what makes the act from the word after it.
type Phrase<T> = (&'static str, fn(T) -> Act);

const ON_A_POLICY: [Phrase<String>; 2] = [
    ("delete policy", Act::DeletePolicy),
    ("apply policy", Act::ApplyPolicy),
];

const ON_A_NODE: [Phrase<String>; 7] = [
    ("retry", Act::Retry),
    ("cordon", Act::Cordon),
    ("uncordon", Act::Uncordon),
    ("delete node", Act::DeleteNode),
    ("register node", Act::RegisterNode),
    ("power off", Act::PowerOff),
    ("repair", Act::Repair),
];

const ON_A_CONTROLLER: [Phrase<u32>; 4] = [
    ("kill controller", Act::KillController),
    ("stop controller", Act::StopController),
    ("freeze controller", Act::FreezeController),
    ("thaw controller", Act::ThawController),
];

/// The number of a controller; 1 if none is written.
fn number(words: &mut Words<'_>) -> Result<u32, Mistake> {
    let is_written = words.peek().is_some_and(|word| word.parse::<u32>().is_ok());
    if is_written {
        words.number("a controller's number")
    } else {
        Ok(1)
    }
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

fn target(words: &mut Words<'_>) -> Result<Target, Mistake> {
    if words.eat("--all") {
        return Ok(Target::All);
    }
    let mut nodes = vec![node(words)?];
    while words.peek().is_some_and(is_node_name) {
        nodes.push(node(words)?);
    }
    Ok(Target::Nodes(nodes))
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
    let reason = if words.eat("--reason") {
        words.rest().join(" ")
    } else {
        String::new()
    };
    Ok(Act::Reboot {
        target,
        again,
        reason,
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
    let make: fn(String) -> Demand = words.eat_one(
        &[
            ("maxUnavailable", Demand::MaxUnavailable as fn(String) -> Demand),
            ("minAvailable", Demand::MinAvailable as fn(String) -> Demand),
        ],
        "what a budget demands",
    )?;
    let word = words.next("a number or a percentage")?;
    settings::int_or_percent(word)?;
    Ok(make(word.to_owned()))
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
    let mut words = Words::of(text);
    let fault = if words.eat("slow") {
        let factor = words.next("a factor such as x3")?;
        let number = factor.strip_prefix('x').and_then(|digits| digits.parse().ok());
        Fault::Slow(number.ok_or_else(|| format!("`{factor}` is not a factor: write x3"))?)
    } else {
        words.eat_one(&FAULTS, "a fault (or `slow x3`)")?
    };
    words.end()?;
    Ok(fault)
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
                "`with` is not a number",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
