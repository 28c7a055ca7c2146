//! Makes pods leave: through the Eviction API, or by a plain deletion if the policy allows that.
//!
//! kube's own `evict` puts the options under a key that the API server does not know. The server would ignore the UID
//! precondition. So the subresource is created by hand.

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
use crate::answer::{DEADLINE, Failure, cut, is_not_found, retry_after, within};
use crate::gone::Gone;

/// The API server itself repeats an update of the budget for up to 10 s.
const EVICTION_DEADLINE: Duration = Duration::from_secs(12);

/// The wait if the server is too busy and sends no `Retry-After`.
const BUSY_WAIT: Duration = Duration::from_secs(1);

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
        self.answered(&leave, within(EVICTION_DEADLINE, call).await.map(drop))
    }

    async fn delete_pod(&self, leave: PodLeave) -> EvictOutcome {
        let PodKey { namespace, name } = &leave.pod;
        let api: Api<Pod> = Api::namespaced(self.connection.calls.clone(), namespace);
        let parameters = DeleteParams {
            // Without a grace period here, the pod's own counts.
            preconditions: Some(kube::api::Preconditions {
                uid: Some(leave.uid.as_str().to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        // The deadline covers the whole call: a call that still waits for a connection must not go out late. (An eviction
        // gets its full time, because the server may repeat its update of the budget.)
        let left = leave.not_after.since(boottime());
        if left.is_zero() {
            return EvictOutcome::TooLate;
        }
        let answer = within(left.min(DEADLINE), api.delete(name, &parameters)).await;
        self.answered(&leave, answer.map(drop))
    }
}

impl KubePorts {
    fn answered(&self, leave: &PodLeave, answer: Result<(), Failure>) -> EvictOutcome {
        let outcome = match answer {
            Ok(()) => EvictOutcome::Accepted,
            Err(Failure::Status(status)) => outcome(&status),
            Err(failure @ Failure::Unknown(_)) => EvictOutcome::Unknown(failure.text()),
        };
        match outcome {
            EvictOutcome::Accepted => self.store.pod_terminates(&leave.pod, &leave.uid),
            // There may be another pod of this name, but this one is gone.
            EvictOutcome::Gone => self.store.remove_pod(&leave.pod, Gone::Uid(leave.uid.as_str())),
            _ => {}
        }
        outcome
    }
}

/// The rows of docs/design/drain.md#what-an-eviction-answers.
fn outcome(status: &Status) -> EvictOutcome {
    let text = cut(&text(status));
    let has_cause = |wanted: &str| causes(status).any(|cause| cause.reason == wanted);
    let retry_after = retry_after(status);
    // The webhook itself says "admission webhook ... denied the request". The server says "failed calling webhook".
    let by_webhook = status.message.contains("webhook");
    let denied =
        status.message.contains("admission webhook") && status.message.contains("denied the request");
    match status.code {
        404 if is_not_found(status) => EvictOutcome::Gone,
        409 if text.contains("UID") => EvictOutcome::Gone,
        429 | 500 if text.contains("failed sync") => EvictOutcome::BudgetUnknown(text),
        429 if has_cause("DisruptionBudget") => match retry_after {
            Some(wait) => EvictOutcome::BudgetBehind(wait),
            None => EvictOutcome::BudgetExhausted(text),
        },
        429 if by_webhook => EvictOutcome::WebhookWaits(text),
        429 => EvictOutcome::Throttled(retry_after.unwrap_or(BUSY_WAIT)),
        500 if text.contains("more than one PodDisruptionBudget") => EvictOutcome::TwoBudgets(text),
        403 if has_cause("NamespaceTerminating") => EvictOutcome::NamespaceTerminating,
        400..=599 if denied => EvictOutcome::WebhookDenied(text),
        400..=599 if by_webhook => EvictOutcome::WebhookWaits(text),
        401 | 403 => EvictOutcome::Forbidden(text),
        _ => EvictOutcome::Unknown(text),
    }
}

/// The message, and what its causes add: they name the budget, and say what it needs.
fn text(status: &Status) -> String {
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
