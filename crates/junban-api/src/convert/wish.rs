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
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn wish(annotations: Value, labels: Value) -> Option<PodWish> {
        let meta = json!({"annotations": annotations, "labels": labels, "creationTimestamp": "2026-11-23T09:00:00Z"});
        read(&serde_json::from_value(meta).unwrap(), None)
    }

    #[test]
    fn wishes_are_read() {
        let by = |by: &str| by.to_owned();
        assert_eq!(wish(json!({}), json!({})), None);
        assert_eq!(wish(json!({names::SAFE_TO_EVICT: "true"}), json!({})), None);
        let expected = PodWish::DoNotDisrupt {
            by: by("cluster-autoscaler.kubernetes.io/safe-to-evict=false"),
        };
        assert_eq!(
            wish(json!({names::SAFE_TO_EVICT: "false"}), json!({})),
            Some(expected)
        );
        let expected = PodWish::DoNotDisrupt {
            by: by("karpenter.sh/do-not-disrupt=true"),
        };
        assert_eq!(
            wish(json!({names::DO_NOT_DISRUPT: "true"}), json!({})),
            Some(expected)
        );
        let until = "2026-11-23T10:30:00Z".parse().unwrap();
        let expected = PodWish::NotBefore {
            by: by("karpenter.sh/do-not-disrupt=1h30m"),
            until,
        };
        assert_eq!(
            wish(json!({names::DO_NOT_DISRUPT: "1h30m"}), json!({})),
            Some(expected)
        );
        assert_eq!(wish(json!({names::DO_NOT_DISRUPT: "soon"}), json!({})), None);
        let expected = PodWish::Skip {
            by: by("cluster.x-k8s.io/drain=skip"),
        };
        assert_eq!(
            wish(json!({}), json!({names::CAPI_DRAIN: "skip"})),
            Some(expected)
        );
        let expected = PodWish::WaitCompleted {
            by: by("cluster.x-k8s.io/drain=wait-completed"),
        };
        assert_eq!(
            wish(json!({names::CAPI_DRAIN: "wait-completed"}), json!({})),
            Some(expected)
        );
    }
}
