//! PodDisruptionBudget to core.

use junban_core::cluster::Budget;
use junban_core::ids::PdbKey;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Incomplete, meta, selector};

pub fn read(budget: &PodDisruptionBudget) -> Result<Budget, Incomplete> {
    let meta = meta::read("PodDisruptionBudget", &budget.metadata)?;
    let spec = budget.spec.as_ref();
    let status = budget.status.as_ref();
    let count = |pick: fn(&PodDisruptionBudgetStatus) -> Option<i32>| {
        status
            .and_then(pick)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or_default()
    };
    Ok(Budget {
        key: PdbKey::new(meta.namespace, meta.name),
        uid: meta.uid,
        version: meta.version,
        generation: meta.generation,
        observed_generation: status
            .and_then(|status| status.observed_generation)
            .unwrap_or_default(),
        selector: spec
            .and_then(|spec| spec.selector.as_ref())
            .map(selector::kubernetes),
        always_allow_unhealthy: spec.and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref())
            == Some("AlwaysAllow"),
        disruptions_allowed: count(|status| status.disruptions_allowed),
        current_healthy: count(|status| status.current_healthy),
        desired_healthy: count(|status| status.desired_healthy),
        expected_pods: count(|status| status.expected_pods),
        disrupted_pods: status
            .and_then(|status| status.disrupted_pods.as_ref())
            .map(|pods| pods.keys().cloned().collect())
            .unwrap_or_default(),
        sync_failed: sync_failed(budget),
        labels: budget.metadata.labels.clone().unwrap_or_default(),
        expects_what_it_selects: matches!(
            spec.and_then(|spec| spec.min_available.as_ref()),
            Some(IntOrString::Int(_))
        ),
    })
}

fn sync_failed(budget: &PodDisruptionBudget) -> Option<String> {
    let conditions = budget.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions.iter().find(|condition| {
        condition.type_ == "DisruptionAllowed"
            && condition.status == "False"
            && condition.reason == "SyncFailed"
    })?;
    Some(failed.message.clone())
}

#[cfg(test)]
#[path = "tests/budget.rs"]
mod tests;
