//! The reference page of the objects' fields, from the schemas that the API server checks.

use serde_json::Value;

use super::crd::schema;
use crate::names;

/// All fields of the specs with type, bounds, default and meaning, in Markdown.
pub fn page() -> String {
    let mut page = String::from(
        "# Objects\n\nThe fields of Junban's objects. Generated from `crates/junban-api/src/resources` by \
         `cargo xtask generate`. All objects are cluster-scoped. A duration is hours, minutes and seconds in this order, \
         for example `1h30m`. A share is a number or a percentage, for example `10%`. A time is UTC with Z and whole \
         seconds, for example `2026-11-23T09:00:00Z`. An unknown field is refused.\n",
    );
    for (kind, plural, short) in names::KINDS {
        let Some(schema) = schema(kind) else { continue };
        page.push_str(&format!(
            "\n## {kind}\n\n{} `kubectl get {plural}`, short `{short}`.\n\n| field | type | default | meaning |\n|---|---|---|---|\n",
            description(&schema)
        ));
        rows("spec", &schema["properties"]["spec"], true, &mut page);
    }
    page
}

fn rows(path: &str, schema: &Value, is_root: bool, page: &mut String) {
    if !is_root {
        let default = match schema.get("default") {
            // The fields of an object have their own defaults.
            Some(default) if !default.is_object() => format!("`{default}`"),
            _ => String::new(),
        };
        page.push_str(&format!(
            "| `{path}` | {} | {default} | {} |\n",
            describe(schema),
            description(schema)
        ));
    }
    let required = schema["required"].as_array();
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.is_some_and(|required| required.iter().any(|field| field == name));
        let inner_path = format!("{path}.{name}");
        let before = page.len();
        rows(&inner_path, inner, false, page);
        if is_required {
            let row = page.split_off(before);
            page.push_str(&row.replacen(" |  | ", " | required | ", 1));
        }
    }
    if let Some(items) = schema
        .get("items")
        .filter(|items| items.get("properties").is_some())
    {
        rows(&format!("{path}[]"), items, true, page);
    }
}

fn describe(schema: &Value) -> String {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return format!("share from {}", schema["minimum"]);
    }
    if let Some(allowed) = schema["enum"].as_array() {
        let allowed: Vec<String> = allowed
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        return allowed.join(" or ");
    }
    let is_span = schema["pattern"]
        .as_str()
        .is_some_and(|pattern| pattern.contains("{1,6}h"));
    match schema["type"].as_str().unwrap_or_default() {
        "string" if is_span => "duration".to_owned(),
        "string" if schema["format"] == "date-time" => "time".to_owned(),
        "string" => "text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => {
            let bound = |word: &str, key: &str| schema.get(key).map(|bound| format!(" {word} {bound}"));
            let from = bound("from", "minimum").unwrap_or_default();
            format!("number{from}{}", bound("to", "maximum").unwrap_or_default())
        }
        "array" => format!("list of {}", describe(&schema["items"])),
        "object" if schema.get("additionalProperties").is_some() => "map of text".to_owned(),
        other => other.to_owned(),
    }
}

fn description(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.replace('\n', " ").replace('|', "\\|")
}
