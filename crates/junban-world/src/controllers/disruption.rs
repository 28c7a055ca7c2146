//! The disruption controller: it computes PodDisruptionBudgets by the rules of policy/v1
//! (docs/design/drain.md#budgets), a little late, as the real one does.

use std::collections::BTreeSet;

use crate::api::{Budget, BudgetStatus, Demand, IntOrPercent, Ms, Name, ObjKey, OwnerKind, Pod};
use crate::events::Event;
use crate::observed;
use crate::world::World;

/// The controller keeps the charge of an eviction for this time, even if the pod is not deleted.
pub const CHARGE_MS: Ms = 120_000;

impl World {
    pub(crate) fn on_budget(&mut self, key: &ObjKey) {
        self.woken_budgets.remove(key);
        let Some(old) = self.store.budgets.get(key).cloned() else {
            return;
        };
        let (status, members) = self.compute(&old);
        if let Some(charged) = status.disrupted_pods.values().min() {
            self.queue.push(charged + CHARGE_MS, Event::Budget(key.clone()));
        }
        let new = Budget {
            status,
            ..(*old).clone()
        };
        self.emit(observed::budget(&new, members));
        if new != *old {
            self.store.put(self.now, new);
        }
    }

    fn compute(&self, budget: &Budget) -> (BudgetStatus, Vec<String>) {
        let pods: Vec<&Pod> = match &budget.selector {
            Some(s) => self
                .store
                .pods_selected(&budget.meta.namespace, s)
                .into_iter()
                .map(|p| &**p)
                .collect(),
            None => Vec::new(),
        };
        let members = pods.iter().map(|p| p.meta.key().to_string()).collect();
        let mut status = BudgetStatus {
            observed_generation: budget.meta.generation,
            disrupted_pods: budget.status.disrupted_pods.clone(),
            ..BudgetStatus::default()
        };
        status.disrupted_pods.retain(|name, charged| {
            let pod = pods.iter().find(|p| *p.meta.name == **name);
            pod.is_some_and(|p| !p.terminating()) && self.now < *charged + CHARGE_MS
        });
        match self.expected(budget, &pods) {
            Ok((expected, desired)) => {
                status.expected_pods = expected;
                status.desired_healthy = desired;
                status.current_healthy = pods
                    .iter()
                    .filter(|p| p.status.ready && !p.terminating())
                    .filter(|p| !status.disrupted_pods.contains_key(&*p.meta.name))
                    .count() as i64;
                let free = (status.current_healthy - status.desired_healthy).max(0);
                status.disruptions_allowed = if expected > 0 { free } else { 0 };
            }
            Err(text) => {
                // The real controller allows nothing then, and keeps the rest of the status, its generation included.
                status = BudgetStatus {
                    disruptions_allowed: 0,
                    sync_failed: Some(text),
                    ..budget.status.clone()
                };
            }
        }
        (status, members)
    }

    /// The expected and the desired number of pods.
    fn expected(&self, budget: &Budget, pods: &[&Pod]) -> Result<(i64, i64), String> {
        match budget.demand {
            Demand::MaxUnavailable(max) => {
                let expected = self.expected_scale(pods)?;
                Ok((expected, (expected - max.of(expected)).max(0)))
            }
            Demand::MinAvailable(IntOrPercent::Int(min)) => Ok((pods.len() as i64, min)),
            Demand::MinAvailable(min @ IntOrPercent::Percent(_)) => {
                let expected = self.expected_scale(pods)?;
                Ok((expected, min.of(expected)))
            }
        }
    }

    /// The replicas of all topmost owners of `pods`. Bare pods do not count; an owner without a scale is an error.
    fn expected_scale(&self, pods: &[&Pod]) -> Result<i64, String> {
        let mut seen: BTreeSet<Name> = BTreeSet::new();
        let mut total = 0;
        for pod in pods {
            let Some(direct) = &pod.meta.owner else { continue };
            let owner = self.store.topmost(pod).filter(|o| o.scalable());
            let Some(owner) = owner else {
                return Err(scale_error(direct.kind, &direct.name));
            };
            if seen.insert(owner.meta.uid.clone()) {
                total += owner.replicas;
            }
        }
        Ok(total)
    }
}

fn scale_error(kind: OwnerKind, name: &str) -> String {
    match kind {
        OwnerKind::DaemonSet => {
            format!("daemonsets.apps \"{name}\" does not implement the scale subresource")
        }
        OwnerKind::Job => format!("jobs.batch \"{name}\" does not implement the scale subresource"),
        _ => format!("found no controller with a scale for {} {name}", kind.as_str()),
    }
}
