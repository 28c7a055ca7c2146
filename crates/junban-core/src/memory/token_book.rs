//! The token book: how many evictions of each budget this process may still ask for, kept ahead of the API so that
//! Junban causes no denial of its own (drain.md, "Tokens are counted once").

use std::collections::BTreeMap;
use std::time::Duration;

use crate::blocker::Blocker;
use crate::budget::Budget;
use crate::cluster::Cluster;
use crate::detail::Detail;
use crate::effect::{BudgetKey, EvictOutcome, PodLeave};
use crate::guard::{self, Guard};
use crate::ids::{NodeName, PdbKey, PodKey, PodUid, Version};
use crate::object::ObjectRef;
use crate::pod::Pod;
use crate::reason::Reason;
use crate::time::Mono;

/// An eviction that the API server accepted.
#[derive(Clone, PartialEq, Debug)]
pub struct Accepted {
    pub pod: PodKey,
    pub uid: PodUid,
    pub at: Mono,
    /// The budget's version when the request was sent; `None` without a PodDisruptionBudget.
    pub version_then: Option<Version>,
    /// A pod that was not Ready costs nothing.
    pub was_ready: bool,
}

/// The last refusal for a pod.
#[derive(Clone, PartialEq, Debug)]
pub struct Denial {
    pub uid: PodUid,
    pub at: Mono,
    pub blocker: Blocker,
    /// The budget's version then: a change of it ends the wait.
    pub version_then: Option<Version>,
    /// Try again then at the latest.
    pub again_at: Mono,
    /// A denial by a budget or a webhook, after which `deleteAfterDenial` may delete.
    pub may_delete: bool,
}

/// An eviction of which it is not known whether it was accepted.
#[derive(Clone, PartialEq, Debug)]
struct Unsure {
    node: NodeName,
    uid: PodUid,
    since: Mono,
}

/// What an eviction was charged to, and when.
#[derive(Clone, PartialEq, Debug)]
struct Charge {
    budget: PdbKey,
    at: Mono,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct TokenBook {
    pub accepted: BTreeMap<BudgetKey, Vec<Accepted>>,
    pub denials: BTreeMap<PodKey, Denial>,
    /// Pods whose eviction was accepted, or that were gone already, until the cache shows it. Asking again for a UID
    /// that is gone would take a token of its successor's budget for two minutes (drain.md, the precondition).
    asked: BTreeMap<PodKey, PodUid>,
    /// Evicted pods that cost their budget a token, until it does not name them any more.
    charged: BTreeMap<PodKey, Charge>,
    /// Evictions whose answer was lost: they count as accepted until a live list shows otherwise.
    unsure: BTreeMap<PodKey, Unsure>,
    /// The API server throttles: nothing is evicted before.
    pub throttled_until: Option<Mono>,
    /// When evictions were sent, for the rate over all budgets.
    recent: Vec<Mono>,
    sent_versions: BTreeMap<BudgetKey, (Option<Version>, bool)>,
}

/// Even when the budget has changed since: the first change seen may belong to the eviction before.
const CONFIRMED_AFTER: Duration = Duration::from_secs(1);
/// A blocked budget is looked at again without any event (crates.md 2, trap 3).
const SAFETY_NET: Duration = Duration::from_secs(15);

/// By then the watches show it, also over a connection that had gone silent.
const UNSURE_COUNTS_FOR: Duration = Duration::from_secs(60);

/// Evictions a second over all budgets: each makes the server list the namespace's budgets.
const RATE: usize = 50;
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// Evictions that the budgets' controller has not seen yet. It is one worker that writes a status for each: when it is
/// behind, a StatefulSet makes a pod again under its name before its end was seen, and that costs its budget a token
/// for two minutes (seen: two drains of 121 s, with 40 evictions in 2 s on a slow control plane; with 4, where it
/// wrote 4 a second and the pods were gone after 1.2 s, still 9 pods of 70).
const UNCONFIRMED_MAX: usize = 2;
/// An eviction whose charge the watch does not show counts as unconfirmed for so long.
const UNSEEN_COUNTS_FOR: Duration = Duration::from_secs(5);

impl TokenBook {
    /// Whether the budgets' controller is behind with what this process evicted. `under_way`: requests without an
    /// answer, and those that are about to be sent.
    pub fn is_ahead(&self, cluster: &Cluster, under_way: usize, now: Mono) -> bool {
        // Accepted, and the watch does not show yet that the budget was charged; it may be a slow one, but not for ever.
        let unseen = self.accepted.iter().flat_map(|(budget, list)| {
            let version = version_of(cluster, budget);
            list.iter()
                .filter(move |one| one.was_ready && version.is_some() && one.version_then == version)
                .filter(move |one| now.since(one.at) < UNSEEN_COUNTS_FOR)
        });
        under_way + unseen.count() + self.unconfirmed(cluster).count() >= UNCONFIRMED_MAX
    }

    /// Pods that this process evicted, which their budget still charges for and its controller has not seen leave.
    fn unconfirmed<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = (&'a PodKey, &'a Charge)> {
        self.charged.iter().filter(|(key, charge)| {
            // One that is back under its name is charged for two minutes, and nobody waits for that.
            let is_back = cluster
                .pods
                .get(*key)
                .is_some_and(|pod| !pod.terminating && !self.was_accepted(key, &pod.uid));
            !is_back && is_charged(cluster, key, &charge.budget)
        })
    }

    /// The pod and budget of an eviction that the budgets' controller has not seen for long.
    pub fn unconfirmed_for_long(&self, cluster: &Cluster, now: Mono) -> Option<(PodKey, PdbKey)> {
        let (pod, charge) = self
            .unconfirmed(cluster)
            .find(|(_, charge)| now.since(charge.at) >= UNSEEN_COUNTS_FOR)?;
        Some((pod.clone(), charge.budget.clone()))
    }

    /// Evictions of this budget that the cache does not show yet.
    pub fn unseen(&self, budget: &BudgetKey) -> u32 {
        let count = self
            .accepted
            .get(budget)
            .filter(|_| guard::stands(Guard::UnseenTokens))
            .map_or(0, |list| list.iter().filter(|one| one.was_ready).count());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether this very pod's eviction was accepted already, or it is known to be gone.
    pub fn was_accepted(&self, pod: &PodKey, uid: &PodUid) -> bool {
        self.asked.get(pod) == Some(uid)
    }

    /// The denial that still stands for a pod at `now`.
    pub fn denial(
        &self,
        pod: &PodKey,
        uid: &PodUid,
        cluster: &Cluster,
        budget: &BudgetKey,
    ) -> Option<&Denial> {
        let denial = self.denials.get(pod).filter(|denial| denial.uid == *uid)?;
        let changed = denial.version_then.is_some() && version_of(cluster, budget) != denial.version_then;
        (!changed).then_some(denial)
    }

    /// When the next eviction of any budget may be sent, if not now.
    pub fn held_back_until(&self, now: Mono) -> Option<Mono> {
        let in_window: Vec<_> = self
            .recent
            .iter()
            .filter(|at| now.since(**at) < RATE_WINDOW)
            .collect();
        let full = (in_window.len() >= RATE)
            .then(|| in_window.first().map(|at| **at + RATE_WINDOW))
            .flatten();
        self.throttled_until.filter(|at| *at > now).max(full)
    }

    /// When the next accepted eviction may stop counting or a denial is tried again.
    pub fn next_change(&self, now: Mono) -> Option<Mono> {
        let confirmed = self
            .accepted
            .values()
            .flatten()
            .map(|one| one.at + CONFIRMED_AFTER);
        let again = self.denials.values().map(|denial| denial.again_at);
        confirmed.chain(again).filter(|at| *at > now).min()
    }

    pub(super) fn sent(&mut self, leave: &PodLeave, cluster: &Cluster, now: Mono) {
        self.recent.retain(|at| now.since(*at) < RATE_WINDOW);
        self.recent.push(now);
        let ready = cluster
            .pods
            .get(&leave.pod)
            .is_some_and(|pod| pod.ready && !pod.terminating);
        self.sent_versions
            .insert(leave.budget.clone(), (version_of(cluster, &leave.budget), ready));
    }

    pub(super) fn fold(
        &mut self,
        leave: &PodLeave,
        deleted: bool,
        outcome: EvictOutcome,
        cluster: &Cluster,
        now: Mono,
    ) {
        let (version_then, was_ready) = self.sent_versions.remove(&leave.budget).unwrap_or((None, true));
        self.denials.remove(&leave.pod);
        let object = match &leave.budget {
            BudgetKey::Pdb(pdb) => ObjectRef::Pdb(pdb.clone()),
            BudgetKey::Implied(owner) => ObjectRef::Workload(owner.clone()),
            BudgetKey::Pod(pod) => ObjectRef::Pod(pod.clone()),
        };
        let mut deny = |reason, text: String, after: Duration, woken: bool, may_delete| {
            let denial = Denial {
                uid: leave.uid.clone(),
                at: now,
                blocker: Blocker::new(
                    reason,
                    object.clone(),
                    Detail::EvictionAnswer {
                        pod: leave.pod.clone(),
                        text,
                    },
                ),
                version_then: if woken {
                    version_of(cluster, &leave.budget)
                } else {
                    None
                },
                again_at: now + after,
                may_delete,
            };
            self.denials.insert(leave.pod.clone(), denial);
        };
        if matches!(outcome, EvictOutcome::Accepted | EvictOutcome::Gone) {
            self.asked.insert(leave.pod.clone(), leave.uid.clone());
        }
        match outcome {
            EvictOutcome::Accepted => {
                self.count(leave, version_then, was_ready, now);
            }
            EvictOutcome::Gone | EvictOutcome::TooLate => {}
            EvictOutcome::BudgetExhausted(text) => {
                deny(Reason::BudgetExhausted, text, SAFETY_NET, true, true)
            }
            EvictOutcome::BudgetBehind(after) => {
                let text = "the budget's controller is behind".to_owned();
                deny(Reason::BudgetExhausted, text, after, true, false);
            }
            EvictOutcome::BudgetUnknown(text) => deny(Reason::BudgetUnknown, text, SAFETY_NET, true, false),
            EvictOutcome::Throttled(after) => {
                let text = "the API server throttles".to_owned();
                let after = after.max(Duration::from_secs(1));
                deny(Reason::Throttled, text, after, false, false);
                // It throttles whoever asks, not this pod.
                self.throttled_until = self.throttled_until.max(Some(now + after));
            }
            EvictOutcome::WebhookDenied(text) => {
                deny(Reason::WebhookDenied, text, Duration::from_secs(5), false, true);
            }
            EvictOutcome::WebhookWaits(text) => {
                deny(Reason::WebhookDenied, text, Duration::from_secs(5), false, false);
            }
            EvictOutcome::TwoBudgets(text) => deny(Reason::TwoBudgets, text, SAFETY_NET, false, false),
            EvictOutcome::NamespaceTerminating => {
                let text = "its namespace is being deleted".to_owned();
                deny(Reason::Throttled, text, Duration::from_secs(5), false, false);
            }
            EvictOutcome::Forbidden(text) => {
                let reason = if deleted {
                    Reason::DeleteForbidden
                } else {
                    Reason::Forbidden
                };
                deny(reason, text, SAFETY_NET, false, false);
            }
            EvictOutcome::Unknown(text) => {
                deny(Reason::Throttled, text, Duration::from_secs(2), false, false);
                self.asked.insert(leave.pod.clone(), leave.uid.clone());
                let unsure = Unsure {
                    node: leave.node.clone(),
                    uid: leave.uid.clone(),
                    since: now,
                };
                self.unsure.insert(leave.pod.clone(), unsure);
                self.count(leave, version_then, was_ready, now);
            }
        }
    }

    fn count(&mut self, leave: &PodLeave, version_then: Option<Version>, was_ready: bool, now: Mono) {
        let one = Accepted {
            pod: leave.pod.clone(),
            uid: leave.uid.clone(),
            at: now,
            version_then,
            was_ready,
        };
        self.accepted.entry(leave.budget.clone()).or_default().push(one);
        if let BudgetKey::Pdb(pdb) = &leave.budget
            && was_ready
        {
            let budget = pdb.clone();
            self.charged.insert(leave.pod.clone(), Charge { budget, at: now });
        }
    }

    /// Whether it is not known of some pod of the node whether its eviction was accepted: a live list tells.
    pub fn is_unsure_of(&self, node: &NodeName) -> bool {
        self.unsure.values().any(|unsure| unsure.node == *node)
    }

    /// A live list of a node's pods, begun at `begun`: one that is there and not terminating was not evicted.
    pub(super) fn see_list(&mut self, node: &NodeName, begun: Mono, pods: &[Pod]) {
        let is_settled = |unsure: &Unsure| unsure.node == *node && unsure.since < begun;
        let settled: Vec<_> = self
            .unsure
            .extract_if(.., |_, unsure| is_settled(unsure))
            .collect();
        for (key, unsure) in settled {
            let stays = pods
                .iter()
                .any(|pod| pod.key == key && pod.uid == unsure.uid && !pod.terminating);
            if stays {
                self.forget(&key, &unsure.uid);
            }
        }
    }

    fn forget(&mut self, pod: &PodKey, uid: &PodUid) {
        self.asked.remove(pod);
        self.charged.remove(pod);
        for list in self.accepted.values_mut() {
            list.retain(|one| one.uid != *uid);
        }
    }

    /// Drops what the caches show by now.
    pub(super) fn observe(&mut self, cluster: &Cluster, now: Mono) {
        let is_old = |unsure: &Unsure| now.since(unsure.since) >= UNSURE_COUNTS_FOR;
        let old: Vec<_> = self.unsure.extract_if(.., |_, unsure| is_old(unsure)).collect();
        for (key, unsure) in old {
            self.forget(&key, &unsure.uid);
        }
        for (budget, list) in &mut self.accepted {
            list.retain(|one| {
                let settled = now.since(one.at) >= CONFIRMED_AFTER;
                let seen = match (&one.version_then, budget) {
                    (Some(then), _) => version_of(cluster, budget).is_none_or(|version| version != *then),
                    // Without a budget object the pods themselves show it.
                    (None, _) => cluster
                        .pods
                        .get(&one.pod)
                        .is_none_or(|pod| pod.uid != one.uid || pod.terminating),
                };
                !(settled && seen)
            });
        }
        self.accepted.retain(|_, list| !list.is_empty());
        self.charged.retain(|pod, charge| {
            let is_new = now.since(charge.at) < UNSEEN_COUNTS_FOR;
            is_new || is_charged(cluster, pod, &charge.budget)
        });
        let is_known =
            |pod: &PodKey, uid: &PodUid| cluster.pods.get(pod).is_some_and(|known| known.uid == *uid);
        self.asked.retain(|pod, uid| is_known(pod, uid));
        self.denials.retain(|pod, denial| is_known(pod, &denial.uid));
    }
}

/// Whether a budget still names a pod as evicted and not yet seen to leave. One that cannot be computed does for ever.
fn is_charged(cluster: &Cluster, pod: &PodKey, budget: &PdbKey) -> bool {
    let names = |budget: &Budget| budget.disrupted_pods.iter().any(|name| *name == pod.name);
    let budget = cluster.budgets.get(budget);
    budget.is_some_and(|budget| budget.sync_failed.is_none() && names(budget))
}

fn version_of(cluster: &Cluster, budget: &BudgetKey) -> Option<Version> {
    match budget {
        BudgetKey::Pdb(key) => cluster.budgets.get(key).map(|budget| budget.version),
        _ => None,
    }
}
