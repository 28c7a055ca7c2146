//! Label selectors of our own objects and of Kubernetes' objects.

use std::collections::BTreeSet;

use junban_core::selector::{Requirement, Selector};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use crate::resources;

/// Reads a selector of our own. The error says which key, value or operator is wrong (condition InvalidSelector).
pub(crate) fn own(selector: &resources::LabelSelector) -> Result<Selector, String> {
    let mut requirements = Vec::new();
    for (key, value) in &selector.match_labels {
        check_key(key)?;
        check_value(value)?;
        requirements.push(Requirement::In(key.clone(), [value.clone()].into()));
    }
    for expression in &selector.match_expressions {
        check_key(&expression.key)?;
        expression
            .values
            .iter()
            .try_for_each(|value| check_value(value))?;
        requirements.push(requirement(
            &expression.key,
            &expression.operator,
            expression.values.iter().cloned(),
        )?);
    }
    Ok(Selector { requirements })
}

/// Reads a selector that the API server has checked. A requirement that the server would refuse matches nothing.
pub(super) fn kubernetes(selector: &meta::LabelSelector) -> Selector {
    let labels = selector
        .match_labels
        .iter()
        .flatten()
        .map(|(key, value)| Requirement::In(key.clone(), [value.clone()].into()));
    let expressions = selector.match_expressions.iter().flatten().map(|expression| {
        let values = expression.values.iter().flatten().cloned();
        requirement(&expression.key, &expression.operator, values).unwrap_or_else(|_| never(&expression.key))
    });
    Selector {
        requirements: labels.chain(expressions).collect(),
    }
}

/// A requirement that matches nothing.
pub(super) fn never(key: &str) -> Requirement {
    Requirement::In(key.to_owned(), BTreeSet::new())
}

pub(super) fn requirement(
    key: &str,
    operator: &str,
    values: impl Iterator<Item = String>,
) -> Result<Requirement, String> {
    let key = key.to_owned();
    let values: BTreeSet<String> = values.collect();
    match (operator, values.is_empty()) {
        ("In", false) => Ok(Requirement::In(key, values)),
        ("NotIn", false) => Ok(Requirement::NotIn(key, values)),
        ("Exists", true) => Ok(Requirement::Exists(key)),
        ("DoesNotExist", true) => Ok(Requirement::DoesNotExist(key)),
        ("In" | "NotIn", true) => Err(format!("operator {operator} on label {key} needs values")),
        ("Exists" | "DoesNotExist", false) => {
            Err(format!("operator {operator} on label {key} must have no values"))
        }
        _ => Err(format!("{operator:?} is none of In, NotIn, Exists, DoesNotExist")),
    }
}

/// Whether a text can be the key of a label, by Kubernetes' rules.
pub(crate) fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let prefix_fits = !key.contains('/') || is_subdomain(prefix);
    if prefix_fits && !name.is_empty() && is_label_text(name) {
        Ok(())
    } else {
        Err(format!("{key:?} cannot be the key of a label"))
    }
}

/// Whether a text can be the value of a label.
pub(crate) fn check_value(value: &str) -> Result<(), String> {
    if value.is_empty() || is_label_text(value) {
        Ok(())
    } else {
        Err(format!("{value:?} cannot be the value of a label"))
    }
}

/// At most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let at_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && at_end(bytes.first())
        && at_end(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Whether a text can be the name of a namespace.
pub(super) fn is_namespace(text: &str) -> bool {
    text.len() <= 63 && !text.contains('.') && is_subdomain(text)
}

/// Whether a text can be the name of a resource of a node.
pub(super) fn is_resource(text: &str) -> bool {
    check_key(text).is_ok()
}

/// Whether a text can be the name of an object.
pub(crate) fn is_subdomain(text: &str) -> bool {
    let is_end =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_part = |part: &str| {
        is_end(part.bytes().next())
            && is_end(part.bytes().last())
            && part.bytes().all(|byte| byte == b'-' || is_end(Some(byte)))
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_follow_the_rules_of_kubernetes() {
        for key in ["role", "node-role.kubernetes.io/control-plane", "a", "A_b.c"] {
            assert!(check_key(key).is_ok(), "{key}");
        }
        for key in [
            "",
            "/a",
            "a/",
            "-a",
            "a b",
            "Upper.io/a",
            "a/b/c",
            "field:metadata.name",
        ] {
            assert!(check_key(key).is_err(), "{key}");
        }
        assert!(check_value("").is_ok() && check_value("v1.2").is_ok());
        assert!(check_value("a b").is_err() && check_value(&"x".repeat(64)).is_err());
    }

    #[test]
    fn the_error_of_a_selector_says_what_is_wrong() {
        let wrong = resources::LabelSelector {
            match_labels: [("role".to_owned(), "work er".to_owned())].into(),
            match_expressions: Vec::new(),
        };
        assert_eq!(
            own(&wrong).unwrap_err(),
            "\"work er\" cannot be the value of a label"
        );
        let operator = requirement("role", "Gt", std::iter::empty()).unwrap_err();
        assert!(operator.contains("\"Gt\" is none of"), "{operator}");
    }
}
