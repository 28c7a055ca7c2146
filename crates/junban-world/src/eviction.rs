//! The eviction subresource. It gives the answers of docs/design/drain.md#what-an-eviction-answers.

use crate::api::{ApiError, Budget, ObjKey, Phase, Pod, UnhealthyPolicy, Webhook};
use crate::truth::{EvictionAnswer, Removal, Truth};
use crate::world::World;

/// The cause in a 429 that comes from a budget.
pub const DISRUPTION_BUDGET: &str = "DisruptionBudget";
/// The API server keeps at most this many evictions whose pods have not been deleted yet.
const MAX_DISRUPTED: usize = 2000;

#[derive(Debug, Clone, Default)]
pub struct EvictOptions {
    /// `deleteOptions.preconditions.uid`.
    pub uid: Option<String>,
    pub dry_run: bool,
    pub grace_s: Option<u64>,
}

impl World {
    /// Adds a webhook; it denies the evictions that match it.
    pub fn add_webhook(&mut self, webhook: Webhook) {
        self.webhooks.push(webhook);
    }

    pub fn clear_webhooks(&mut self) {
        self.webhooks.clear();
    }

    pub(crate) fn evict(
        &mut self,
        by: &str,
        namespace: &str,
        name: &str,
        options: &EvictOptions,
    ) -> Result<(), ApiError> {
        let key = ObjKey::new(namespace, name);
        let Some(pod) = self.store.pods.get(&key).cloned() else {
            return Err(ApiError::not_found(format!("pods \"{name}\"")));
        };
        let ready = pod.status.ready && !pod.terminating() && !pod.ended();
        let answer = self.try_evict(&pod, options);
        self.emit(Truth::Eviction {
            by: by.to_owned(),
            pod: key.to_string(),
            uid: pod.meta.uid.to_string(),
            uid_given: options.uid.clone(),
            dry_run: options.dry_run,
            ready,
            answer: classify(&answer),
        });
        if answer.is_ok() && !options.dry_run {
            self.remove_pod(&key, options.grace_s, Removal::Evicted { by: by.to_owned() });
        }
        answer
    }

    /// Checks whether the pod may leave, and charges its budget.
    fn try_evict(&mut self, pod: &Pod, options: &EvictOptions) -> Result<(), ApiError> {
        if !options.dry_run {
            self.operator_sees_eviction(pod)?;
        }
        self.webhook(pod)?;
        if pod.terminating()
            || matches!(
                pod.status.phase,
                Phase::Pending | Phase::Succeeded | Phase::Failed
            )
        {
            return precondition(pod, options);
        }
        let budgets: Vec<Budget> = self
            .store
            .budgets_of(pod)
            .into_iter()
            .map(|b| (**b).clone())
            .collect();
        match budgets.as_slice() {
            [] => {}
            [budget] if skips_budget(pod, budget) => {}
            [budget] => self.charge(budget, pod, options.dry_run)?,
            _ => {
                return Err(ApiError::Internal {
                    text: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not \
                           support."
                        .into(),
                });
            }
        }
        // The API server checks the precondition last: if it fails, the budget stays charged.
        precondition(pod, options)
    }

    fn webhook(&self, pod: &Pod) -> Result<(), ApiError> {
        let hit = self
            .webhooks
            .iter()
            .find(|w| *w.namespace == *pod.meta.namespace && pod.meta.name.starts_with(&w.prefix));
        let Some(w) = hit else { return Ok(()) };
        let text = format!("admission webhook denied the request: {}", w.text);
        Err(match w.status {
            0 => ApiError::Timeout { text },
            403 => ApiError::Forbidden {
                cause: String::new(),
                text,
            },
            429 => ApiError::TooManyRequests {
                cause: String::new(),
                retry_after_s: None,
                text,
            },
            500 => ApiError::Internal { text },
            _ => ApiError::Invalid { text },
        })
    }

    /// Checks the budget, and takes one disruption from it unless this is a dry run.
    fn charge(&mut self, budget: &Budget, pod: &Pod, dry_run: bool) -> Result<(), ApiError> {
        let name = &budget.meta.name;
        let status = &budget.status;
        if status.observed_generation < budget.meta.generation {
            return Err(denied(
                Some(10),
                format!("The disruption budget {name} is still being processed by the server."),
            ));
        }
        if status.disrupted_pods.len() > MAX_DISRUPTED {
            let text =
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller".into();
            return Err(ApiError::Forbidden {
                cause: String::new(),
                text,
            });
        }
        if status.disruptions_allowed <= 0 {
            let text = match &status.sync_failed {
                Some(why) => {
                    format!(
                        "The disruption budget {name} does not allow evicting pods currently because it failed sync: {why}"
                    )
                }
                None => format!(
                    "The disruption budget {name} needs {} healthy pods and has {} currently",
                    status.desired_healthy, status.current_healthy
                ),
            };
            return Err(denied(None, text));
        }
        if dry_run {
            return Ok(());
        }
        let mut new = budget.clone();
        new.status.disruptions_allowed -= 1;
        new.status
            .disrupted_pods
            .insert(pod.meta.name.to_string(), self.now);
        let key = new.meta.key();
        self.store.put(self.now, new);
        // The disruption controller sees this write of the budget, as it sees any other one.
        self.wake_budget(key);
        Ok(())
    }
}

fn denied(retry_after_s: Option<u64>, text: String) -> ApiError {
    ApiError::TooManyRequests {
        cause: DISRUPTION_BUDGET.into(),
        retry_after_s,
        text,
    }
}

fn precondition(pod: &Pod, options: &EvictOptions) -> Result<(), ApiError> {
    match &options.uid {
        Some(uid) if **uid != *pod.meta.uid => Err(ApiError::Conflict {
            text: format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                pod.meta.uid
            ),
        }),
        _ => Ok(()),
    }
}

/// Whether a running pod that is not Ready may leave without a charge.
fn skips_budget(pod: &Pod, budget: &Budget) -> bool {
    let s = &budget.status;
    !pod.status.ready
        && (budget.unhealthy == UnhealthyPolicy::AlwaysAllow
            || (s.current_healthy >= s.desired_healthy && s.desired_healthy > 0))
}

fn classify(answer: &Result<(), ApiError>) -> EvictionAnswer {
    match answer {
        Ok(()) => EvictionAnswer::Accepted,
        Err(ApiError::TooManyRequests {
            cause, retry_after_s, ..
        }) if cause == DISRUPTION_BUDGET => {
            if retry_after_s.is_some() {
                EvictionAnswer::BudgetBehind
            } else {
                EvictionAnswer::BudgetDenied
            }
        }
        Err(e) => EvictionAnswer::Other { status: e.status() },
    }
}
