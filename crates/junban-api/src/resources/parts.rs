//! Parts of schemas that the three kinds share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A number or a percentage, exactly as written. The schema and `convert` say which ones are allowed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CountOrPercent {
    Count(i64),
    Percent(String),
}

impl CountOrPercent {
    pub(super) fn percent(percent: u8) -> Self {
        Self::Percent(format!("{percent}%"))
    }
}

/// The largest count. No cluster has so many nodes or pods, so a larger number is a mistake. It is far below what the
/// types of core can hold.
pub const COUNT_MAX: u32 = 1_000_000;

/// Written by hand: kube's own IntOrString is nullable and has no bounds, and a CEL rule with `type(x)` does not work
/// offline.
fn count_or_percent(minimum: u32) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "minimum": minimum,
        "maximum": COUNT_MAX,
        "pattern": "^(100|[1-9][0-9]?)%$",
    })
}

impl JsonSchema for CountOrPercent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CountOrPercent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        count_or_percent(0)
    }
}

/// A count or percentage from 1: 0 would mean "never".
pub(super) fn at_least_one(_: &mut SchemaGenerator) -> Schema {
    count_or_percent(1)
}

pub(crate) const SPAN_PATTERN: &str = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$";
pub(crate) const TIME_PATTERN: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";

/// A duration: hours, minutes, seconds, in this order, at least one of them.
pub(super) fn span(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 2,
        "maxLength": 21,
        "pattern": SPAN_PATTERN,
    })
}

pub(super) fn optional_span(generator: &mut SchemaGenerator) -> Schema {
    span(generator)
}

/// A time in UTC with Z and whole seconds. If one instant had two spellings, an apply would conflict. The names of
/// entries use whole seconds.
pub(super) fn utc_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "maxLength": 20,
        "pattern": TIME_PATTERN,
    })
}

/// A time in a status. It may have fractions of a second.
pub(super) fn shown_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// The most characters of free text.
pub const WORDS_MAX: usize = 1024;

/// Free text of a person.
pub(super) fn words(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": WORDS_MAX})
}

/// The `metadata.name` of a Node or of one of our objects.
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// The name of a Secret, or empty for none.
pub(super) fn secret(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 253,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$",
    })
}

/// The name of a part of an object.
pub(super) fn short_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 63,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    })
}

/// The name of a namespace.
pub(super) fn namespace(generator: &mut SchemaGenerator) -> Schema {
    short_name(generator)
}

/// Names of namespaces without repetition.
pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
    })
}

/// Names of resources without repetition. They follow the rules for keys of labels.
pub(super) fn resource_names(generator: &mut SchemaGenerator) -> Schema {
    let name = label_key(generator);
    json_schema!({"type": "array", "maxItems": 64, "x-kubernetes-list-type": "set", "items": name})
}

/// URLs of API servers or etcd members without repetition.
pub(super) fn urls(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 15,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "maxLength": 512, "pattern": "^https?://[^/?#@ ]+/?$"},
    })
}

/// The key of a label: a name, optionally after a prefix and a slash.
pub(super) fn label_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 317,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$",
    })
}

/// Keys of taints or names of resources, without repetition. `*` stands for all.
pub(super) fn keys(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 317,
            "pattern": "^(\\*|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])$",
        },
    })
}

fn label_value() -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 63,
        "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
    })
}

fn match_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 32, "additionalProperties": label_value()})
}

fn label_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 256, "items": label_value()})
}

fn operator(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"]})
}

fn expressions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 32, "items": LabelExpression::json_schema(generator)})
}

/// Selects by labels. An empty selector is refused: it never means everything.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("size(self.matchLabels) + size(self.matchExpressions) > 0")
        .message("an empty selector selects nothing: name at least one label")
)]
pub struct LabelSelector {
    /// The labels must have these values.
    #[serde(default)]
    #[schemars(schema_with = "match_labels")]
    pub match_labels: BTreeMap<String, String>,
    /// These requirements must hold as well.
    #[serde(default)]
    #[schemars(schema_with = "expressions")]
    pub match_expressions: Vec<LabelExpression>,
}

/// One requirement on one label.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.operator in ['In', 'NotIn'] ? size(self.values) > 0 : size(self.values) == 0")
        .message("In and NotIn need values; Exists and DoesNotExist must have none")
)]
pub struct LabelExpression {
    /// The key of the label.
    #[schemars(schema_with = "label_key")]
    pub key: String,
    /// In, NotIn, Exists or DoesNotExist.
    #[schemars(schema_with = "operator")]
    pub operator: String,
    /// The values for In and NotIn.
    #[serde(default)]
    #[schemars(schema_with = "label_values")]
    pub values: Vec<String>,
}

/// Conditions, merged by type.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": Condition::json_schema(generator),
    })
}

/// An integer from 0.
pub(super) fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": 0})
}

/// A map of integers from 0.
pub(super) fn numbers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "integer", "format": "int64", "minimum": 0},
    })
}
