//! What a pod's annotations and labels ask from everybody who evicts pods (docs/design/drain.md#which-pods).

use std::time::Duration;

use jiff::Timestamp;
use junban_core::cluster::PodWish;
use k8s_openapi::api::core::v1::PodStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::names;

/// The pod's strongest wish. From strong to weak: never, not before a time, wait or skip.
pub(super) fn read(meta: &ObjectMeta, status: Option<&PodStatus>) -> Option<PodWish> {
    let annotation = |key: &str| meta.annotations.as_ref()?.get(key).map(String::as_str);
    // Cluster API reads a label, but people also write an annotation.
    let label = |key: &str| meta.labels.as_ref()?.get(key).map(String::as_str);
    let by = |key: &str, value: &str| format!("{key}={value}");
    if let Some(value @ "false") = annotation(names::SAFE_TO_EVICT) {
        let by = by(names::SAFE_TO_EVICT, value);
        return Some(PodWish::DoNotDisrupt { by });
    }
    if let Some(wish) =
        annotation(names::DO_NOT_DISRUPT).and_then(|value| do_not_disrupt(value, meta, status))
    {
        return Some(wish);
    }
    let drain = label(names::CAPI_DRAIN).or_else(|| annotation(names::CAPI_DRAIN))?;
    let by = by(names::CAPI_DRAIN, drain);
    match drain.to_ascii_lowercase().as_str() {
        "skip" => Some(PodWish::Skip { by }),
        "wait-completed" => Some(PodWish::WaitCompleted { by }),
        _ => None,
    }
}

/// `true`, or a duration since the pod's start. Another value is no wish, as in Karpenter.
fn do_not_disrupt(value: &str, meta: &ObjectMeta, status: Option<&PodStatus>) -> Option<PodWish> {
    let by = format!("{}={value}", names::DO_NOT_DISRUPT);
    if value == "true" {
        return Some(PodWish::DoNotDisrupt { by });
    }
    let span: Duration = value.parse::<jiff::SignedDuration>().ok()?.try_into().ok()?;
    let started = status
        .and_then(|status| status.start_time.as_ref())
        .or(meta.creation_timestamp.as_ref());
    let until = started
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0)
        .checked_add(span)
        .ok()?;
    Some(PodWish::NotBefore { by, until })
}

#[cfg(test)]
mod tests;
