//! Applies the structural schema of a CRD as an API server does: drops nulls, fills in defaults, finds unknown fields, then
//! checks types and bounds. It knows only the keywords that our own schemas use. A test finds a keyword that it does not
//! know.

use serde_json::{Map, Value};

use crate::convert::Fields;
use crate::resources::parts;

/// The keywords that are checked here, or that constrain nothing.
#[cfg(test)]
pub(super) const KEYWORDS: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
];

/// Drops nulls and fills in defaults, from the top: the fields of a default object get their own defaults.
pub(super) fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            if let Some(Value::Object(properties)) = schema.get("properties") {
                for (name, property) in properties {
                    if let (false, Some(default)) = (fields.contains_key(name), property.get("default")) {
                        fields.insert(name.clone(), default.clone());
                    }
                }
            }
            for (name, value) in fields {
                if let Some(inner) = inner(schema, name) {
                    fill(inner, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                items.iter_mut().for_each(|item| fill(inner, item));
            }
        }
        _ => {}
    }
}

/// Drops the fields whose values have a wrong type.
pub(super) fn drop_wrong_types(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let Some(inner) = inner(schema, name) else {
                return true;
            };
            let is_right = has_type(inner, value);
            if is_right {
                drop_wrong_types(inner, value);
            }
            is_right
        }),
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                items.retain(|item| has_type(inner, item));
                items.iter_mut().for_each(|item| drop_wrong_types(inner, item));
            }
        }
        _ => {}
    }
}

/// How a value is written that has one of our patterns. Empty: the pattern has no other name.
fn example(schema: &Value) -> &'static str {
    match schema["pattern"].as_str() {
        Some(parts::SPAN_PATTERN) => "write a duration, for example 90s, 30m or 1h30m",
        Some(parts::TIME_PATTERN) => "write a time in UTC, for example 2026-12-01T22:00:00Z",
        _ => "",
    }
}

/// Finds everything that the schema refuses. The CEL rules are not checked here.
pub(super) fn check(schema: &Value, value: &Value, path: &str, errors: &mut Fields) {
    if !has_type(schema, value) {
        let expected = if schema.get("x-kubernetes-int-or-string").is_some() {
            "a number or a percentage"
        } else {
            schema["type"].as_str().unwrap_or_default()
        };
        let problem = format!("is {}, not {expected}", describe(value));
        errors.wrong(path, problem, type_hint(schema, value));
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let words: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        let hint = format!("write {}", words.join(" or "));
        errors.wrong(path, format!("{value} is not known"), &hint);
    }
    match value {
        Value::Object(fields) => object(schema, fields, path, errors),
        Value::Array(items) => array(schema, items, path, errors),
        Value::String(text) => string(schema, text, path, errors),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            if let Some(minimum) = schema["minimum"].as_f64().filter(|minimum| number < *minimum) {
                let hint = format!("write {minimum} or more");
                errors.wrong(path, format!("{value} is below {minimum}"), &hint);
            }
            if let Some(maximum) = schema["maximum"].as_f64().filter(|maximum| number > *maximum) {
                let hint = format!("write {maximum} or less");
                errors.wrong(path, format!("{value} is above {maximum}"), &hint);
            }
        }
        _ => {}
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, path: &str, errors: &mut Fields) {
    let required = schema["required"].as_array().into_iter().flatten();
    for required in required.filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            errors.wrong(&join(path, required), "is required", "set it");
        }
    }
    let count = fields.len();
    if let Some(most) = too_many(schema, "maxProperties", count) {
        errors.wrong(path, format!("has {count} fields, more than {most}"), "");
    }
    for (name, value) in fields {
        let path = join(path, name);
        match inner(schema, name) {
            Some(inner) => check(inner, value, &path, errors),
            None => {
                let known = schema.get("properties").and_then(Value::as_object);
                let names: Vec<&str> = known
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.as_str())
                    .collect();
                errors.wrong(&path, "unknown field", &suggestion(name, &names));
            }
        }
    }
}

fn array(schema: &Value, items: &[Value], path: &str, errors: &mut Fields) {
    let count = items.len();
    if let Some(most) = too_many(schema, "maxItems", count) {
        errors.wrong(path, format!("has {count} items, more than {most}"), "");
    }
    if too_few(schema, "minItems", count) {
        errors.wrong(path, "is empty", "write at least one");
    }
    let is_set = schema["x-kubernetes-list-type"] == "set";
    // Only for a list of type map.
    let key = schema["x-kubernetes-list-map-keys"][0].as_str();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if is_set && items[..index].contains(item) {
            errors.wrong(&path, format!("{item} is in the list twice"), "remove one");
        }
        if let Some(key) = key
            && items[..index].iter().any(|other| other[key] == item[key])
        {
            let problem = format!("{} is in the list twice", item[key]);
            errors.wrong(&join(&path, key), problem, "give each item a name of its own");
        }
        check(&schema["items"], item, &path, errors);
    }
}

fn string(schema: &Value, text: &str, path: &str, errors: &mut Fields) {
    let length = text.chars().count();
    let pattern = schema["pattern"].as_str().map(regex::Regex::new);
    let problem = if too_few(schema, "minLength", length) {
        match length {
            0 => "is empty".to_owned(),
            _ => format!("{text:?} is too short"),
        }
    } else if let Some(most) = too_many(schema, "maxLength", length) {
        format!("has {length} characters, more than {most}")
    } else if let Some(Ok(pattern)) = pattern
        && !pattern.is_match(text)
    {
        match example(schema) {
            "" => format!("{text:?} does not match {pattern}"),
            _ => format!("{text:?} is not written as it must be"),
        }
    } else if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        format!("{text:?} is not a time")
    } else {
        return;
    };
    errors.wrong(path, problem, example(schema));
}

/// What to write instead of a value of a wrong type.
fn type_hint(schema: &Value, value: &Value) -> &'static str {
    match (schema["type"].as_str(), value, example(schema)) {
        (Some("string"), Value::Number(_) | Value::Bool(_), "") => "put it in quotes",
        (Some("boolean"), ..) => "write true or false",
        (Some("integer"), ..) => "write a whole number without quotes",
        (Some("array"), ..) => "write a list: [ITEM, ITEM]",
        (Some("object"), ..) => "write a map: {KEY: VALUE}",
        (.., example) => example,
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return is_whole(value) || value.is_string();
    }
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => is_whole(value) && (schema["format"] != "int32" || fits_i32(value)),
        Some("number") => value.is_number(),
        _ => true,
    }
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn fits_i32(value: &Value) -> bool {
    value.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}

fn inner<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema
        .get("properties")
        .and_then(|properties| properties.get(name))
        .or_else(|| {
            // `true` would allow any value. None of our schemas has it.
            schema
                .get("additionalProperties")
                .filter(|inner| inner.is_object())
        })
}

fn too_many(schema: &Value, keyword: &str, count: usize) -> Option<u64> {
    schema[keyword].as_u64().filter(|most| count as u64 > *most)
}

fn too_few(schema: &Value, keyword: &str, count: usize) -> bool {
    schema[keyword]
        .as_u64()
        .is_some_and(|least| (count as u64) < least)
}

/// Suggests the known name that is closest, or lists all known names.
pub(super) fn suggestion(name: &str, known: &[&str]) -> String {
    let closest = known.iter().min_by_key(|candidate| distance(name, candidate));
    match closest {
        Some(candidate) if distance(name, candidate) <= 1 + name.len() / 4 => {
            format!("did you mean {candidate}?")
        }
        Some(_) => format!("use one of {}", known.join(", ")),
        None => "remove it".to_owned(),
    }
}

/// How many letters must be inserted, removed or replaced to get from one word to the other. Ignores upper and lower case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the text {text:?}"),
        other => other.to_string(),
    }
}
