//! The CustomResourceDefinitions as they are applied: what kube derives, corrected.

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
        .map(corrected)
        .collect()
}

pub fn crd(kind: &str) -> Option<Value> {
    crds()
        .into_iter()
        .find(|crd| crd["spec"]["names"]["kind"] == kind)
}

/// The schema of a kind, which the API server and `lint` check.
pub fn schema(kind: &str) -> Option<Value> {
    let mut crd = crd(kind)?;
    crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .map(Value::take)
}

fn corrected(crd: &CustomResourceDefinition) -> Value {
    // A CustomResourceDefinition consists of maps, strings and numbers, so this never fails.
    let mut crd = serde_json::to_value(crd).unwrap_or_default();
    crd["metadata"]["labels"] = serde_json::json!({names::APP_NAME: names::APP});
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        correct(schema, true);
        // A status has no defaults: an absent ledger is not an empty ledger
        // (docs/design/ledger.md#rebuilding-the-ledger).
        if let Some(status) = schema.pointer_mut("/properties/status") {
            drop_defaults(status);
        }
    }
    crd
}

/// Removes what a real API server handles badly. With `nullable` the server stores a null instead of the default, and
/// then every typed read of every object fails; without it the server drops nulls and fills in defaults. The server
/// does not know `uint` formats.
fn correct(schema: &mut Value, is_schema: bool) {
    match schema {
        Value::Object(fields) => {
            if is_schema {
                fields.remove("nullable");
                if fields.contains_key("x-kubernetes-int-or-string") {
                    // kube has already removed the types in it: [{}, {}] adds nothing to the extension.
                    fields.remove("anyOf");
                }
                for bound in ["minimum", "maximum"] {
                    if let Some(number) = fields.get_mut(bound) {
                        *number = as_integer(number);
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
                // The keys below `properties` are names of fields, and a field may be called `nullable`.
                let names = is_schema && key == "properties";
                if key != "default" && key != "enum" {
                    correct(value, !names);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| correct(item, true)),
        _ => {}
    }
}

/// `0` instead of `0.0`.
fn as_integer(number: &Value) -> Value {
    match number.as_f64() {
        // Our bounds are small.
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
mod tests;
