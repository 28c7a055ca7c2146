//! Schema parts that the three kinds share.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A number or a percentage, exactly as written; what it may be is in the schema and in `convert`.
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

/// Far above any number of nodes or pods in a cluster, and far below what the count is read into: a greater one is a
/// slip, and is refused where it is written.
pub const COUNT_MAX: u32 = 1_000_000;

/// kube's own IntOrString is nullable and knows no bounds, and CEL offline refuses `type(x)`: so neither is used.
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

/// A count or percentage of which 0 would mean "never".
pub(super) fn at_least_one(_: &mut SchemaGenerator) -> Schema {
    count_or_percent(1)
}

/// A duration: hours, minutes, seconds, in this order, at least one of them (design.md 3).
pub(super) fn span(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 2,
        "maxLength": 21,
        "pattern": "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$",
    })
}

pub(super) fn optional_span(generator: &mut SchemaGenerator) -> Schema {
    span(generator)
}

/// A time in UTC with Z and whole seconds: the same instant spelt otherwise would be an apply conflict, and
/// entries are named by whole seconds.
pub(super) fn utc_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "maxLength": 20,
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    })
}

/// A time that a status shows; fractions of a second may stand in it.
pub(super) fn shown_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// Characters that free words of a person may have.
pub const WORDS_MAX: usize = 1024;

/// Free words of a person.
pub(super) fn words(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": WORDS_MAX})
}

/// `metadata.name` of a Node or of an object of ours.
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// Name of a Secret, or empty: none.
pub(super) fn secret(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 253,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$",
    })
}

/// Names of namespaces, each once.
pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
    })
}

/// URLs of API servers or etcd members, each once.
pub(super) fn urls(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 15,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "maxLength": 512, "pattern": "^https?://[^/?#@ ]+/?$"},
    })
}

/// Key of a label: a name, after the prefix of whoever defined it.
pub(super) fn label_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 317,
        "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$",
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

/// A label selector that selects something: `{}` never means everything, so it is refused (design.md 3).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("size(self.matchLabels) + size(self.matchExpressions) > 0")
        .message("an empty selector selects nothing: name at least one label")
)]
pub struct LabelSelector {
    /// Labels that must have these values.
    #[serde(default)]
    #[schemars(schema_with = "match_labels")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements that must hold as well.
    #[serde(default)]
    #[schemars(schema_with = "expressions")]
    pub match_expressions: Vec<LabelExpression>,
}

/// One requirement on one label.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.operator in ['In', 'NotIn'] ? size(self.values) > 0 : size(self.values) == 0")
        .message("In and NotIn need values, Exists and DoesNotExist have none")
)]
pub struct LabelExpression {
    /// Key of the label.
    #[schemars(schema_with = "label_key")]
    pub key: String,
    /// In, NotIn, Exists or DoesNotExist.
    #[schemars(schema_with = "operator")]
    pub operator: String,
    /// For In and NotIn.
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

/// A whole number from 0.
pub(super) fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": 0})
}

/// Numbers by name.
pub(super) fn numbers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "integer", "format": "int64", "minimum": 0},
    })
}
