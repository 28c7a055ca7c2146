//! The limits by which the checkers judge a run: those in the queue and the policies at that moment, because edits
//! take effect during the run. For a short time after an edit a controller may use the old text or the new one, so the
//! checkers use the more lenient of the two.

use junban_api::convert::parse_span;
use junban_world::{Groups, IntOrPercent, Ms, Params, PolicyLimits, QuorumGroup, Selector, Store};
use serde_json::Value;

use super::settings::share;
use crate::json::{items, text};
use crate::time::ms;
use junban_sim::objects::{POLICY, QUEUE};

/// After this time every watch shows an edit, and everything decided before the edit has been done.
const KNOWN_AFTER_MS: Ms = 10_000;

/// The limits of the moment.
#[derive(Debug)]
pub(crate) struct Limits {
    now: Params,
    /// The limits before the last edit, and until when they are allowed as well.
    before: Option<(Ms, Params)>,
    /// [`Self::take_new`] has not returned the last change yet.
    is_new: bool,
}

impl Limits {
    pub(crate) fn of(store: &Store) -> Self {
        Self {
            now: read(store, &Params::default()),
            before: None,
            is_new: true,
        }
    }

    /// Reads the limits again: somebody may have edited the queue or the policies.
    pub(crate) fn look(&mut self, store: &Store, at: Ms) {
        let now = read(store, &self.now);
        if now != self.now {
            let allowed = self.at(store, at);
            self.before = Some((at + KNOWN_AFTER_MS, allowed));
            self.now = now;
            self.is_new = true;
        }
    }

    /// The limits that hold from now on, if they have changed.
    pub(crate) fn take_new(&mut self, store: &Store, at: Ms) -> Option<Params> {
        let is_over = self.before.take_if(|(until, _)| *until <= at).is_some();
        let is_new = std::mem::take(&mut self.is_new);
        (is_over || is_new).then(|| self.at(store, at))
    }

    fn at(&self, store: &Store, at: Ms) -> Params {
        match &self.before {
            Some((until, before)) if at < *until => lenient(before, &self.now, nodes(store)),
            _ => self.now.clone(),
        }
    }
}

fn nodes(store: &Store) -> i64 {
    i64::try_from(store.nodes().count()).unwrap_or(i64::MAX)
}

/// Reads the limits. Without a queue its `last` limits stay.
fn read(store: &Store, last: &Params) -> Params {
    let defaults = Params::default();
    let mut params = last.clone();
    if let Some(queue) = store.custom(QUEUE, junban_api::names::QUEUE) {
        params.max_unavailable = share(&queue.spec["maxUnavailable"]).unwrap_or(defaults.max_unavailable);
        params.max_concurrent = share(&queue.spec["maxConcurrent"]).unwrap_or(defaults.max_concurrent);
        params.failures_max = share(&queue.spec["failures"]["max"]).unwrap_or(defaults.failures_max);
        let quorum = &queue.spec["controlPlane"]["allowQuorumLoss"];
        params.allow_quorum_loss = quorum.as_bool().unwrap_or_default();
        let groups = items(&queue.spec["quorumGroups"]).iter();
        params.quorum_groups = groups.map(quorum_group).collect();
    }
    params.reboot_beside_stuck = false;
    params.policies.clear();
    params.delete_allowed.clear();
    let mut unbudgeted: Option<IntOrPercent> = None;
    for policy in store.customs().filter(|custom| custom.kind == POLICY) {
        let (drain, reboot) = (&policy.spec["drain"], &policy.spec["reboot"]);
        params.reboot_beside_stuck |= drain["stuckTerminating"] == "Reboot";
        // A record keeps what its policy ignored, so this only becomes more lenient.
        for field in ["ignoreTaints", "ignoreResources"] {
            let names = items(&policy.spec["verify"][field]).iter();
            params.may_differ.extend(names.map(|name| text(name).to_owned()));
        }
        let limits = policy_limits(&policy.spec);
        params.policies.insert(policy.meta.name.to_string(), limits);
        let namespaces = items(&drain["deleteAfterDenial"]).iter();
        let names = namespaces.map(|name| text(name).to_owned());
        params.delete_allowed.extend(names);
        if let Some(written) = share(&drain["unbudgeted"]["maxUnavailable"]) {
            unbudgeted = Some(unbudgeted.map_or(written, |other| more(other, written, PODS)));
        }
        // An entry keeps the values that its policy had when its power action was recorded. So these only become more
        // lenient.
        if let Some(attempts) = reboot["attempts"].as_u64() {
            params.attempts = params.attempts.max(attempts);
        }
        if let Ok(settle) = parse_span(text(&policy.spec["verify"]["settle"])) {
            params.control_plane_settle_ms = params.control_plane_settle_ms.min(ms(settle));
        }
        if let Ok(timeout) = parse_span(text(&reboot["bootTimeout"])) {
            params.boot_timeout_ms = params.boot_timeout_ms.min(ms(timeout));
        }
    }
    params.unbudgeted = unbudgeted.unwrap_or(defaults.unbudgeted);
    params
}

/// The language of scenarios writes `matchLabels` only.
fn quorum_group(spec: &Value) -> QuorumGroup {
    let of_pods = spec["podSelector"].is_object();
    let selector = &spec[if of_pods { "podSelector" } else { "nodeSelector" }]["matchLabels"];
    let labels = selector.as_object().into_iter().flatten();
    QuorumGroup {
        name: text(&spec["name"]).to_owned(),
        pods_in: of_pods.then(|| text(&spec["namespace"]).to_owned()),
        selector: Selector {
            match_labels: labels
                .map(|(key, value)| (key.clone(), text(value).to_owned()))
                .collect(),
            expressions: Vec::new(),
        },
    }
}

fn policy_limits(spec: &Value) -> PolicyLimits {
    let groups = &spec["groups"];
    let groups = groups["by"].as_str().map(|by| Groups {
        by: by.to_owned(),
        at_once: groups["atOnce"].as_i64().unwrap_or(1),
    });
    PolicyLimits {
        max_concurrent: spec["maxConcurrent"].as_i64(),
        groups,
    }
}

/// To compare a number with a percentage, a workload is taken to have this many pods.
const PODS: i64 = 10;

/// The limit that allows more of `total`.
fn more(one: IntOrPercent, other: IntOrPercent, total: i64) -> IntOrPercent {
    if other.of(total) > one.of(total) {
        other
    } else {
        one
    }
}

/// The limits that allow whatever one of the two allows.
fn lenient(one: &Params, other: &Params, nodes: i64) -> Params {
    let mut both = other.clone();
    both.max_unavailable = more(one.max_unavailable, other.max_unavailable, nodes);
    both.failures_max = more(one.failures_max, other.failures_max, nodes);
    both.max_concurrent = more(one.max_concurrent, other.max_concurrent, nodes);
    for (name, before) in &one.policies {
        let now = both.policies.get(name).unwrap_or(before);
        let either = lenient_policy(before, now);
        both.policies.insert(name.clone(), either);
    }
    both.unbudgeted = more(one.unbudgeted, other.unbudgeted, PODS);
    both.allow_quorum_loss |= one.allow_quorum_loss;
    both.reboot_beside_stuck |= one.reboot_beside_stuck;
    both.quorum_groups
        .retain(|group| one.quorum_groups.contains(group));
    both.delete_allowed.extend(one.delete_allowed.iter().cloned());
    both
}

fn lenient_policy(one: &PolicyLimits, other: &PolicyLimits) -> PolicyLimits {
    let most = one.max_concurrent.zip(other.max_concurrent);
    // If the two group by different labels, no limit is left.
    let groups = one.groups.as_ref().zip(other.groups.as_ref());
    let groups = groups.filter(|(one, other)| one.by == other.by);
    PolicyLimits {
        max_concurrent: most.map(|(one, other)| one.max(other)),
        groups: groups.map(|(one, other)| Groups {
            by: other.by.clone(),
            at_once: one.at_once.max(other.at_once),
        }),
    }
}
