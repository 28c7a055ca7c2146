//! The CustomResourceDefinitions as they are applied: what kube derives, mended.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::names;

use super::entry::NodeReboot;
use super::policy::RebootPolicy;
use super::queue::RebootQueue;

/// The three CRDs as JSON, in the order in which they are applied.
pub fn crds() -> Vec<Value> {
    [RebootQueue::crd(), RebootPolicy::crd(), NodeReboot::crd()]
        .iter()
        .map(mended)
        .collect()
}

/// The CRD of a kind.
pub fn crd(kind: &str) -> Option<Value> {
    crds()
        .into_iter()
        .find(|crd| crd["spec"]["names"]["kind"] == kind)
}

/// The schema of a kind: what the API server checks, and `lint` with it.
pub fn schema(kind: &str) -> Option<Value> {
    let mut crd = crd(kind)?;
    crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .map(Value::take)
}

fn mended(crd: &CustomResourceDefinition) -> Value {
    // A CustomResourceDefinition is maps, strings and numbers: it always serialises.
    let mut crd = serde_json::to_value(crd).unwrap_or_default();
    crd["metadata"]["labels"] = serde_json::json!({names::APP_NAME: names::APP});
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        mend(schema, true);
        // A status has no defaults: a ledger that is absent is not an empty one (lifecycle.md 6).
        if let Some(status) = schema.pointer_mut("/properties/status") {
            drop_defaults(status);
        }
    }
    crd
}

/// Takes out what a real API server trips over. `nullable` lets a null be stored where a default belongs, and then
/// every typed read of every object fails; without it the server drops nulls and fills defaults. It knows no
/// `uint` formats.
fn mend(schema: &mut Value, is_schema: bool) {
    match schema {
        Value::Object(fields) => {
            if is_schema {
                fields.remove("nullable");
                if fields.contains_key("x-kubernetes-int-or-string") {
                    // Its types were taken out on the way: [{}, {}] says nothing that the extension does not.
                    fields.remove("anyOf");
                }
                for bound in ["minimum", "maximum"] {
                    if let Some(number) = fields.get_mut(bound) {
                        *number = whole(number);
                    }
                }
                if fields
                    .get("format")
                    .and_then(Value::as_str)
                    .is_some_and(|format| format.starts_with("uint"))
                {
                    fields.remove("format");
                }
            }
            for (key, value) in fields.iter_mut() {
                // Below `properties` the keys are names of fields, one of which may be called `nullable`.
                let names = is_schema && key == "properties";
                if key != "default" && key != "enum" {
                    mend(value, !names);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mend(item, true)),
        _ => {}
    }
}

/// `0` instead of `0.0`.
fn whole(number: &Value) -> Value {
    match number.as_f64() {
        // Bounds of ours are small.
        Some(float) if float.fract() == 0.0 && float.abs() < 1e9 => Value::from(float as i64),
        _ => number.clone(),
    }
}

fn drop_defaults(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    fields.remove("default");
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(drop_defaults);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(inner) {
            drop_defaults(inner);
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn nested_defaults_are_all_there() {
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
}
