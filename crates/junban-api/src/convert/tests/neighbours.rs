use serde_json::{Value, json};

use super::*;

fn neighbours(spec: Value) -> Neighbours {
    let labels = Labels::from([
        ("app".into(), "cart".into()),
        ("pod-template-hash".into(), "7f".into()),
    ]);
    let mut spec = spec;
    spec["containers"] = json!([{"name": "main"}]);
    read(&serde_json::from_value(spec).unwrap(), "shop", &labels)
}

#[test]
fn only_what_a_scheduler_must_meet_is_read() {
    let soft = json!([{"weight": 1, "podAffinityTerm": {"topologyKey": "zone"}}]);
    let read = neighbours(json!({
        "affinity": {
            "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": soft},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": soft},
        },
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}},
        ],
    }));
    assert!(read.is_empty());
}

#[test]
fn a_spread_has_the_defaults_of_the_api() {
    let read = neighbours(json!({"topologySpreadConstraints": [{
        "maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "cart"}}, "matchLabelKeys": ["pod-template-hash"],
    }]}));
    let [spread] = read.spread.as_slice() else {
        panic!()
    };
    assert!(spread.honors_affinity && !spread.honors_taints);
    assert_eq!((spread.max_skew, spread.min_domains), (2, 1));
    let selects = |hash: &str| {
        let labels = Labels::from([
            ("app".into(), "cart".into()),
            ("pod-template-hash".into(), hash.into()),
        ]);
        spread.pods.selector.matches(&labels)
    };
    assert!(selects("7f") && !selects("other revision"));
}

#[test]
fn a_selector_of_namespaces_forbids_at_most_more_than_the_scheduler() {
    let term = |by: Value| {
        json!({"requiredDuringSchedulingIgnoredDuringExecution": [{
            "topologyKey": "zone", "labelSelector": {}, "namespaceSelector": by,
        }]})
    };
    let by_label = json!({"matchLabels": {"team": "a"}});
    let read = neighbours(
        json!({"affinity": {"podAffinity": term(by_label.clone()), "podAntiAffinity": term(by_label)}}),
    );
    assert_eq!(read.affinity[0].pods.namespaces, Some(BTreeSet::new()));
    assert_eq!(read.anti_affinity[0].pods.namespaces, None);
    let all = neighbours(json!({"affinity": {"podAffinity": term(json!({}))}}));
    assert_eq!(all.affinity[0].pods.namespaces, None);
    let own = neighbours(json!({"affinity": {"podAffinity": term(Value::Null)}}));
    assert_eq!(own.affinity[0].pods.namespaces, Some(["shop".to_owned()].into()));
}
