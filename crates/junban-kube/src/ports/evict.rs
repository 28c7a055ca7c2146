//! How pods leave: the Eviction API, and a plain deletion where the policy allows one.
//!
//! kube's own `evict` puts the options under a key that the API server does not know, which would drop the UID
//! precondition without a word: the subresource is created by hand.

use std::time::Duration;

use junban_core::effect::{EvictOutcome, PodLeave};
use junban_core::ids::PodKey;
use junban_engine::clock::boottime;
use junban_engine::ports::EvictPort;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::Api;
use kube::api::DeleteParams;
use kube::core::Status;

use super::{KubePorts, parameters};
use crate::answer::{DEADLINE, Failure, is_not_found, retry_after, within};
use crate::gone::Gone;

/// The API server itself retries conflicts on the budget for 20 × 0.5 s.
const EVICTION_DEADLINE: Duration = Duration::from_secs(12);

/// What is waited when the server asks for patience without saying how much.
const PATIENCE: Duration = Duration::from_secs(1);

impl EvictPort for KubePorts {
    async fn evict(&self, leave: PodLeave) -> EvictOutcome {
        let PodKey { namespace, name } = &leave.pod;
        let eviction = Eviction {
            metadata: ObjectMeta {
                name: Some(name.to_string()),
                namespace: Some(namespace.to_string()),
                ..ObjectMeta::default()
            },
            delete_options: Some(DeleteOptions {
                preconditions: Some(Preconditions {
                    uid: Some(leave.uid.as_str().to_owned()),
                    resource_version: None,
                }),
                ..DeleteOptions::default()
            }),
        };
        let api: Api<Pod> = Api::namespaced(self.connection.calls.clone(), namespace);
        if boottime() >= leave.not_after {
            return EvictOutcome::TooLate;
        }
        let parameters = parameters();
        let call = api.create_subresource::<_, Status>("eviction", name, &parameters, &eviction);
        self.left(&leave, within(EVICTION_DEADLINE, call).await.map(drop))
    }

    async fn delete_pod(&self, leave: PodLeave) -> EvictOutcome {
        let PodKey { namespace, name } = &leave.pod;
        let api: Api<Pod> = Api::namespaced(self.connection.calls.clone(), namespace);
        let parameters = DeleteParams {
            // The pod's own grace: none is named.
            preconditions: Some(kube::api::Preconditions {
                uid: Some(leave.uid.as_str().to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        // The whole call, for what is not connected yet may leave late. (An eviction is another matter: one that the
        // server retries is given its time.)
        let left = leave.not_after.since(boottime());
        if left.is_zero() {
            return EvictOutcome::TooLate;
        }
        let answer = within(left.min(DEADLINE), api.delete(name, &parameters)).await;
        self.left(&leave, answer.map(drop))
    }
}

impl KubePorts {
    fn left(&self, leave: &PodLeave, answer: Result<(), Failure>) -> EvictOutcome {
        let outcome = match answer {
            Ok(()) => EvictOutcome::Accepted,
            Err(Failure::Said(status)) => outcome(&status),
            Err(failure @ Failure::Unknown(_)) => EvictOutcome::Unknown(failure.words()),
        };
        match outcome {
            EvictOutcome::Accepted => self.store.pod_terminates(&leave.pod, &leave.uid),
            // Of that name there may be another; this one is gone.
            EvictOutcome::Gone => self.store.no_pod(&leave.pod, Gone::Uid(leave.uid.as_str())),
            _ => {}
        }
        outcome
    }
}

/// drain.md, "What an eviction answers", row by row.
fn outcome(status: &Status) -> EvictOutcome {
    let words = crate::answer::cut(&words(status));
    let has_cause = |wanted: &str| causes(status).any(|cause| cause.reason == wanted);
    let patience = retry_after(status);
    // "admission webhook ... denied the request" is the webhook's word; "failed calling webhook" is the server's.
    let by_webhook = status.message.contains("webhook");
    let denied =
        status.message.contains("admission webhook") && status.message.contains("denied the request");
    match status.code {
        404 if is_not_found(status) => EvictOutcome::Gone,
        409 if words.contains("UID") => EvictOutcome::Gone,
        429 | 500 if words.contains("failed sync") => EvictOutcome::BudgetUnknown(words),
        429 if has_cause("DisruptionBudget") => match patience {
            Some(wait) => EvictOutcome::BudgetBehind(wait),
            None => EvictOutcome::BudgetExhausted(words),
        },
        429 if by_webhook => EvictOutcome::WebhookWaits(words),
        429 => EvictOutcome::Throttled(patience.unwrap_or(PATIENCE)),
        500 if words.contains("more than one PodDisruptionBudget") => EvictOutcome::TwoBudgets(words),
        403 if has_cause("NamespaceTerminating") => EvictOutcome::NamespaceTerminating,
        400..=599 if denied => EvictOutcome::WebhookDenied(words),
        400..=599 if by_webhook => EvictOutcome::WebhookWaits(words),
        401 | 403 => EvictOutcome::Forbidden(words),
        _ => EvictOutcome::Unknown(words),
    }
}

/// The message, and what its causes add: there stand which budget it is and what it needs.
fn words(status: &Status) -> String {
    let added = causes(status)
        .map(|cause| cause.message.as_str())
        .filter(|text| !status.message.contains(text));
    let parts: Vec<&str> = std::iter::once(status.message.as_str()).chain(added).collect();
    parts.join(" ")
}

fn causes(status: &Status) -> impl Iterator<Item = &kube::core::response::StatusCause> {
    status.details.iter().flat_map(|details| &details.causes)
}

#[cfg(test)]
mod tests;
