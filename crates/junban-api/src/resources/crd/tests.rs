use super::*;
use serde_json::json;

#[test]
fn no_schema_is_nullable_or_has_an_unsigned_format_or_keeps_unknown_fields() {
    for crd in crds() {
        let text = crd.to_string();
        for wrong in [
            "\"nullable\"",
            "\"uint",
            "x-kubernetes-preserve-unknown-fields",
            "$ref",
            "\"default\":null",
        ] {
            assert!(!text.contains(wrong), "{wrong} in {}", crd["metadata"]["name"]);
        }
    }
}

#[test]
fn nested_defaults_are_complete() {
    let policy = schema("RebootPolicy").unwrap();
    assert_eq!(
        policy.pointer("/properties/spec/properties/drain/default/jobs/deadline"),
        Some(&json!("6h"))
    );
    assert_eq!(
        policy.pointer("/properties/spec/required"),
        Some(&json!(["nodeSelector", "priority"]))
    );
    assert_eq!(
        policy.pointer("/properties/spec/properties/verify/required"),
        None
    );
    let queue = schema("RebootQueue").unwrap();
    assert_eq!(
        queue.pointer("/properties/spec/properties/maxConcurrent/default"),
        Some(&json!("100%"))
    );
}
