//! Reads the lines about workloads and budgets.

use std::time::Duration;

use super::act::{demand, node, nodes};
use super::model::{Budget, HardSpread, Key, Kind, Span, Taint, Workload};
use super::words::{Mistake, Words};

const KINDS: [(&str, Kind); 6] = [
    ("deployment", Kind::Deployment),
    ("statefulset", Kind::StatefulSet),
    ("daemonset", Kind::DaemonSet),
    ("job", Kind::Job),
    ("custom", Kind::Custom),
    ("pod", Kind::Pod),
];

/// The default of `starts in` and `stops in`.
const START: Span = Span {
    from: Duration::from_millis(300),
    to: Duration::from_millis(600),
};
/// The default of `ready after`.
const READY: Span = Span {
    from: Duration::from_millis(200),
    to: Duration::from_millis(500),
};

const TRAITS: &[&str] = &[
    "replicas",
    "budget",
    "on",
    "only on",
    "starts in",
    "ready after",
    "stops in",
    "grace",
    "ignores SIGTERM",
    "never stops",
    "never ready",
    "min ready",
    "runs for",
    "restarts never",
    "owned by pod",
    "local volume",
    "csi volume",
    "empty dir",
    "finalizer",
    "tolerates unschedulable",
    "tolerates",
    "spread by",
    "spread",
    "priority",
    "cpu",
    "memory",
    "label",
    "annotation",
];

/// The kind of workload with this word.
pub(super) fn kind(word: &str) -> Option<Kind> {
    let known = KINDS.iter().find(|(name, _)| *name == word);
    known.map(|(_, kind)| *kind)
}

/// `deployment shop/cart: replicas 2, on node-1 node-1`; `tail` is the text after the colon.
pub(super) fn parse(kind: Kind, key: Key, tail: &str) -> Result<Workload, Mistake> {
    let mut workload = Workload {
        kind,
        key,
        start: START,
        ready: READY,
        stop: START,
        ..Workload::default()
    };
    let mut replicas = None;
    for part in tail.split(',').filter(|part| !part.trim().is_empty()) {
        Words::all(part, |words| trait_of(&mut workload, &mut replicas, words))?;
    }
    let placed = u32::try_from(workload.on.len()).unwrap_or(u32::MAX);
    workload.replicas = replicas.unwrap_or(placed.max(1));
    check(&workload, replicas.is_some())?;
    Ok(workload)
}

fn check(workload: &Workload, counted: bool) -> Result<(), Mistake> {
    if workload.on.len() > workload.replicas as usize {
        return Err(format!(
            "`on` names {} nodes for {} replicas",
            workload.on.len(),
            workload.replicas
        ));
    }
    let mut places = workload.on.iter().chain(&workload.only_on);
    if let Some(node) = places.find(|node| node.starts_with("cp-")) {
        return Err(format!(
            "no pod can run on {node}: control-plane nodes have a NoSchedule taint"
        ));
    }
    let (kind, on) = (workload.kind, &workload.on);
    let has_volume = workload.local_volume || workload.csi_volume.is_some();
    let mistakes = [
        (
            workload.local_volume && workload.csi_volume.is_some(),
            "a pod has one volume: `local volume` or `csi volume`",
        ),
        (
            has_volume && kind != Kind::StatefulSet && on.iter().any(|node| *node != on[0]),
            "these pods share one volume, which can be on one node only: write a statefulset, where each pod has a volume",
        ),
        (
            kind == Kind::StatefulSet && workload.never_ready && workload.replicas > 1,
            "a statefulset makes no second pod before the first is Ready: `never ready` needs one replica",
        ),
        (
            kind == Kind::DaemonSet && has_volume,
            "a daemonset has no volume in a scenario",
        ),
        (
            kind == Kind::DaemonSet && (counted || !on.is_empty()),
            "a daemonset has a pod on every node: write neither `replicas` nor `on`",
        ),
        (
            kind == Kind::Pod && workload.replicas != 1,
            "a pod has one replica: write no `replicas`, and one node after `on`",
        ),
        (
            matches!(kind, Kind::Pod | Kind::DaemonSet | Kind::Job | Kind::Custom)
                && workload.budget.is_some(),
            "a budget needs a deployment or a statefulset",
        ),
        (
            !matches!(kind, Kind::Deployment | Kind::StatefulSet) && !workload.min_ready.is_zero(),
            "`min ready` needs a deployment or a statefulset",
        ),
        (
            !matches!(kind, Kind::Pod | Kind::Custom) && workload.restarts_never,
            "`restarts never` needs a pod or a custom owner",
        ),
        (
            kind != Kind::Pod && workload.owner_pod.is_some(),
            "`owned by pod` needs a pod",
        ),
        (
            kind == Kind::Custom && has_volume,
            "a custom owner has no volume in a scenario",
        ),
    ];
    let first = mistakes.into_iter().find(|(is_wrong, _)| *is_wrong);
    first.map_or(Ok(()), |(_, mistake)| Err(mistake.to_owned()))
}

fn trait_of(
    workload: &mut Workload,
    replicas: &mut Option<u32>,
    words: &mut Words<'_>,
) -> Result<(), Mistake> {
    match words.one_of(TRAITS, "a part of the line of a workload")? {
        "replicas" => *replicas = Some(words.number("a number of replicas")?),
        "budget" => {
            workload.budget = Some(Budget {
                key: workload.key.clone(),
                selects: workload.key.name.clone(),
                demand: demand(words)?,
                always_allow_unhealthy: words.eat("always allow unhealthy"),
            });
        }
        "on" => workload.on.extend(nodes(words)?),
        "only on" => workload.only_on = Some(node(words)?),
        "starts in" => workload.start = words.span()?,
        "ready after" => workload.ready = words.span()?,
        "stops in" => workload.stop = words.span()?,
        "grace" => workload.grace = Some(words.duration()?),
        "ignores SIGTERM" => workload.ignores_sigterm = true,
        "never stops" => workload.never_stops = true,
        "min ready" => workload.min_ready = words.duration()?,
        "restarts never" => workload.restarts_never = true,
        "owned by pod" => {
            workload.owner_pod = Some(words.next("the name of a pod of this namespace")?.to_owned())
        }
        "never ready" => workload.never_ready = true,
        "runs for" => workload.runs_for = Some(words.duration()?),
        "local volume" => workload.local_volume = true,
        "csi volume" if words.eat("detached in") => workload.csi_volume = Some(words.duration()?),
        "csi volume" => workload.csi_volume = Some(Duration::from_secs(1)),
        "empty dir" => workload.empty_dir = true,
        "finalizer" => workload.finalizer = Some(words.next("a finalizer's name")?.to_owned()),
        "tolerates unschedulable" => workload.tolerates_unschedulable = true,
        "tolerates" => workload.tolerates.push(taint(words)?),
        "spread by" => workload.hard_spread = Some(hard_spread(words)?),
        "spread" => workload.spread = true,
        "priority" => workload.priority = Some(words.number("a priority")?),
        "cpu" => workload.cpu = Some(words.cpu()?),
        "memory" => workload.memory = Some(words.memory()?),
        "label" => workload.labels.extend([pair(words)?]),
        "annotation" => workload.annotations.extend([pair(words)?]),
        other => return Err(format!("`{other}` is in the list of parts, and nothing reads it")),
    }
    Ok(())
}

/// `pool=gpu`.
pub(super) fn taint(words: &mut Words<'_>) -> Result<Taint, Mistake> {
    let (key, value) = pair(words)?;
    Ok(Taint { key, value })
}

/// `kubernetes.io/hostname skew 1 honouring taints`, after `spread by`.
fn hard_spread(words: &mut Words<'_>) -> Result<HardSpread, Mistake> {
    let key = words.next("the key of a label of nodes")?.to_owned();
    words.one_of(&["skew"], "the next word of a spread")?;
    Ok(HardSpread {
        key,
        skew: words.number("the largest skew")?,
        honors_taints: words.eat("honouring taints"),
    })
}

fn pair(words: &mut Words<'_>) -> Result<(String, String), Mistake> {
    let word = words.next("KEY=VALUE")?;
    word.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{word}` is not written KEY=VALUE"))
}

/// `budget shop/second: selects cart, maxUnavailable 1`.
pub(super) fn budget(key: Key, tail: &str) -> Result<Budget, Mistake> {
    let (first, second) = tail
        .split_once(',')
        .ok_or("write it like this: budget shop/second: selects cart, maxUnavailable 1")?;
    let selects = Words::all(first, |words| {
        words.one_of(&["selects"], "the first part of the line of a budget")?;
        words.next("the name of a workload of this namespace")
    })?;
    Ok(Budget {
        key,
        selects: selects.to_owned(),
        demand: Words::all(second, demand)?,
        always_allow_unhealthy: false,
    })
}
