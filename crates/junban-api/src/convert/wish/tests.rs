use super::*;
use serde_json::{Value, json};

fn wish(annotations: Value, labels: Value) -> Option<PodWish> {
    let meta =
        json!({"annotations": annotations, "labels": labels, "creationTimestamp": "2026-11-23T09:00:00Z"});
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
