//! The token book: this process's own evictions, counted until the API shows them. So Junban causes no denials
//! (docs/design/drain.md#tokens).

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
    /// The budget's version when the request was sent. `None` without a PodDisruptionBudget.
    pub version_then: Option<Version>,
    /// A pod that is not Ready costs no token.
    pub was_ready: bool,
}

/// The last denial for a pod.
#[derive(Clone, PartialEq, Debug)]
pub struct Denial {
    pub uid: PodUid,
    pub at: Mono,
    pub blocker: Blocker,
    /// The budget's version at the denial. A change of it ends the wait.
    pub version_then: Option<Version>,
    /// The latest moment of the next try.
    pub again_at: Mono,
    /// Whether `deleteAfterDenial` may delete the pod: a budget or a webhook denied the eviction.
    pub may_delete: bool,
}

/// An eviction whose answer was lost.
#[derive(Clone, PartialEq, Debug)]
struct LostAnswer {
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
    /// Pods whose eviction was accepted, or that were gone already, until the cache shows it. An eviction with a UID
    /// that is gone would cost the budget a token for two minutes.
    evicted: BTreeMap<PodKey, PodUid>,
    /// Evicted pods that cost a token, until their budget does not name them any more.
    charged: BTreeMap<PodKey, Charge>,
    /// Evictions whose answer was lost. They count as accepted until a live list shows the pod.
    lost_answers: BTreeMap<PodKey, LostAnswer>,
    /// When the next eviction may be sent while the API server throttles.
    pub throttled_until: Option<Mono>,
    /// When evictions were sent within the last second.
    recent: Vec<Mono>,
    /// For each request under way the budget's version, and whether the pod was Ready.
    sent_versions: BTreeMap<BudgetKey, (Option<Version>, bool)>,
    /// When this process began to lead.
    began: Option<Mono>,
}

/// A request of the leader before may arrive until this time. A PodDisruptionBudget guards against it, but nothing guards
/// an implied budget, which is counted here only.
const REQUESTS_OF_OTHERS: Duration = Duration::from_secs(5);

/// An accepted eviction counts at least this long, even if the budget has changed: the first change that is seen may
/// belong to the eviction before.
const CONFIRMED_AFTER: Duration = Duration::from_secs(1);
/// A blocked budget is asked again after this time even if nothing changes
/// (docs/design/drain.md#what-an-eviction-answers).
const SAFETY_NET: Duration = Duration::from_secs(15);

/// After this time the watches show the eviction, even if their connection was dead.
const LOST_COUNTS_FOR: Duration = Duration::from_secs(60);

/// Evictions a second over all budgets: for each the API server lists the budgets of the namespace.
const RATE: usize = 50;
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// How many evictions may be unconfirmed by the disruption controller (docs/design/drain.md#tokens). It writes one
/// status after the other. If it is behind, a StatefulSet makes a pod again under its name before the eviction was
/// seen, and that costs a token for two minutes. Measured on a slow control plane: 40 evictions in 2 s made two drains
/// take 121 s. With a limit of 4, still 9 of 70 pods cost a token.
const UNCONFIRMED_MAX: usize = 2;
/// An eviction that the budget does not show yet counts as unconfirmed for this long.
const UNSEEN_COUNTS_FOR: Duration = Duration::from_secs(5);

impl TokenBook {
    /// Whether the disruption controller is behind with the evictions of this process. `under_way`: requests that have
    /// no answer yet or are about to be sent.
    pub fn is_controller_behind(&self, cluster: &Cluster, under_way: usize, now: Mono) -> bool {
        // Accepted, and the watch does not show yet that the budget was charged. Bounded, because the watch may be
        // dead.
        let unseen = self.accepted.iter().flat_map(|(budget, list)| {
            let version = version_of(cluster, budget);
            list.iter()
                .filter(move |one| one.was_ready && version.is_some() && one.version_then == version)
                .filter(move |one| now.since(one.at) < UNSEEN_COUNTS_FOR)
        });
        under_way + unseen.count() + self.unconfirmed(cluster).count() >= UNCONFIRMED_MAX
    }

    /// Evicted pods whose budget still names them: the disruption controller has not seen them leave.
    fn unconfirmed<'a>(&'a self, cluster: &'a Cluster) -> impl Iterator<Item = (&'a PodKey, &'a Charge)> {
        self.charged.iter().filter(|(key, charge)| {
            // A pod that is back under its name is named for two minutes. Nothing waits for that.
            let is_back = cluster
                .pods
                .get(*key)
                .is_some_and(|pod| !pod.terminating && !self.was_accepted(key, &pod.uid));
            !is_back && is_charged(cluster, key, &charge.budget)
        })
    }

    /// The pod and budget of an eviction that the disruption controller has not seen for 5 s.
    pub fn unconfirmed_for_long(&self, cluster: &Cluster, now: Mono) -> Option<(PodKey, PdbKey)> {
        let (pod, charge) = self
            .unconfirmed(cluster)
            .find(|(_, charge)| now.since(charge.at) >= UNSEEN_COUNTS_FOR)?;
        Some((pod.clone(), charge.budget.clone()))
    }

    /// The tokens of accepted evictions that the cached budget does not show yet.
    pub fn unseen(&self, budget: &BudgetKey) -> u32 {
        let count = self
            .accepted
            .get(budget)
            .filter(|_| guard::stands(Guard::UnseenTokens))
            .map_or(0, |list| list.iter().filter(|one| one.was_ready).count());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether the eviction of this pod was accepted, or the pod is known to be gone.
    pub fn was_accepted(&self, pod: &PodKey, uid: &PodUid) -> bool {
        self.evicted.get(pod) == Some(uid)
    }

    /// The last denial for a pod, if its budget has not changed since.
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

    /// When the next eviction may be sent, if no eviction may be sent now.
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

    /// When the next pod of an owner without a PodDisruptionBudget may be asked to leave, if not now.
    pub fn implied_from(&self, now: Mono) -> Option<Mono> {
        let from = self.began? + REQUESTS_OF_OTHERS;
        (from > now).then_some(from)
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
            self.evicted.insert(leave.pod.clone(), leave.uid.clone());
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
                // It throttles all evictions, not this pod alone.
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
                self.evicted.insert(leave.pod.clone(), leave.uid.clone());
                let lost = LostAnswer {
                    node: leave.node.clone(),
                    uid: leave.uid.clone(),
                    since: now,
                };
                self.lost_answers.insert(leave.pod.clone(), lost);
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

    /// Whether the answer to an eviction on this node was lost. A live list shows whether it was accepted.
    pub fn has_lost_answer(&self, node: &NodeName) -> bool {
        self.lost_answers.values().any(|lost| lost.node == *node)
    }

    /// Folds a live list of a node's pods. A pod that is on it and not terminating was not evicted.
    pub(super) fn fold_list(&mut self, node: &NodeName, begun: Mono, pods: &[Pod]) {
        let is_answered = |lost: &LostAnswer| lost.node == *node && lost.since < begun;
        let answered: Vec<_> = self
            .lost_answers
            .extract_if(.., |_, lost| is_answered(lost))
            .collect();
        for (key, lost) in answered {
            let is_there = pods
                .iter()
                .any(|pod| pod.key == key && pod.uid == lost.uid && !pod.terminating);
            if is_there {
                self.forget(&key, &lost.uid);
            }
        }
    }

    fn forget(&mut self, pod: &PodKey, uid: &PodUid) {
        self.evicted.remove(pod);
        self.charged.remove(pod);
        for list in self.accepted.values_mut() {
            list.retain(|one| one.uid != *uid);
        }
    }

    /// Forgets what the caches show now.
    pub(super) fn observe(&mut self, cluster: &Cluster, now: Mono) {
        self.began.get_or_insert(now);
        let is_old = |lost: &LostAnswer| now.since(lost.since) >= LOST_COUNTS_FOR;
        let old: Vec<_> = self.lost_answers.extract_if(.., |_, lost| is_old(lost)).collect();
        for (key, lost) in old {
            self.forget(&key, &lost.uid);
        }
        for (budget, list) in &mut self.accepted {
            list.retain(|one| {
                let is_old = now.since(one.at) >= CONFIRMED_AFTER;
                let seen = match (&one.version_then, budget) {
                    (Some(then), _) => version_of(cluster, budget).is_none_or(|version| version != *then),
                    // Without a budget object the pod shows it.
                    (None, _) => cluster
                        .pods
                        .get(&one.pod)
                        .is_none_or(|pod| pod.uid != one.uid || pod.terminating),
                };
                !(is_old && seen)
            });
        }
        self.accepted.retain(|_, list| !list.is_empty());
        self.charged.retain(|pod, charge| {
            let is_new = now.since(charge.at) < UNSEEN_COUNTS_FOR;
            is_new || is_charged(cluster, pod, &charge.budget)
        });
        let is_known =
            |pod: &PodKey, uid: &PodUid| cluster.pods.get(pod).is_some_and(|known| known.uid == *uid);
        self.evicted.retain(|pod, uid| is_known(pod, uid));
        self.denials.retain(|pod, denial| is_known(pod, &denial.uid));
    }
}

/// Whether a budget still names an evicted pod. A budget that cannot be computed is left out: it would name it for
/// ever.
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
