//! One document of a file: its kind, and everything that is wrong with it.

use jiff::Timestamp;
use junban_core::selector::Selector;
use kube::core::DynamicObject;
use kube::core::cel::Validator;
use serde_json::{Value, json};

use super::finding::{Finding, Severity};
use super::schema;
use crate::convert::{self, FieldError, Fields, Unreadable, selector};
use crate::names;
use crate::resources;

/// The fields that an object's metadata may have.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The objects of a document: the document itself, or the items of a List.
pub(super) fn items(mut document: Value) -> Vec<Value> {
    if document.is_null() {
        return Vec::new();
    }
    // A List, or the list of one kind, for example RebootPolicyList.
    let is_list = document["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"));
    match document.get_mut("items") {
        Some(Value::Array(items)) if is_list => std::mem::take(items),
        _ => vec![document],
    }
}

/// A document, with its defaults filled in.
pub(super) struct Document {
    pub(super) number: usize,
    pub(super) kind: String,
    pub(super) name: String,
    /// `None`: this is not one of Junban's kinds.
    schema: Option<Value>,
    pub(super) object: Value,
}

impl Document {
    pub(super) fn new(number: usize, mut object: Value) -> Self {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let is_ours = object["apiVersion"].as_str().is_some_and(is_our_group);
        let schema = is_ours.then(|| resources::schema(&kind)).flatten();
        if let Some(schema) = &schema {
            schema::fill(schema, &mut object);
        }
        Self {
            number,
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            kind,
            schema,
            object,
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.schema.is_some()
    }

    /// The nodes that a policy selects. `None`: it is no policy, or its selector cannot be read or is empty.
    pub(super) fn node_selector(&self) -> Option<Selector> {
        if self.kind != "RebootPolicy" || !self.is_ours() {
            return None;
        }
        let selector = serde_json::from_value(self.object["spec"]["nodeSelector"].clone()).ok()?;
        selector::own(&selector)
            .ok()
            .filter(|selector| !selector.is_empty())
    }

    /// `RebootPolicy workers`.
    pub(super) fn describe(&self) -> String {
        format!("{} {}", self.kind, self.name).trim().to_owned()
    }

    pub(super) fn finding(&self, severity: Severity, path: &str, problem: &str, hint: &str) -> Finding {
        let error = FieldError::new(path, problem, hint);
        Finding::of_field(severity, self.number, &self.describe(), error)
    }

    pub(super) fn check(&self, now: Timestamp, findings: &mut Vec<Finding>) {
        if self.schema.is_none() {
            findings.push(self.not_checked());
            return;
        }
        let errors = self.errors(None);
        let failed = !errors.is_empty();
        let object = self.describe();
        findings.extend(
            errors
                .into_iter()
                .map(|error| Finding::of_field(Severity::Error, self.number, &object, error)),
        );
        if !failed {
            self.advise(now, findings);
        }
    }

    /// What an API server would refuse, or `convert` cannot read.
    fn errors(&self, old: Option<&Value>) -> Vec<FieldError> {
        let Some(schema) = &self.schema else {
            return Vec::new();
        };
        // The status has a schema too, but the server drops it when an object is created.
        let mut spec_only = self.object.clone();
        if old.is_none()
            && let Some(fields) = spec_only.as_object_mut()
        {
            fields.remove("status");
        }
        // The schema covers spec and status only. The other fields of the root are those of every object.
        let mut found = Fields::default();
        for part in ["spec", "status"] {
            if let Some(value) = spec_only.get(part) {
                schema::check(&schema["properties"][part], value, part, &mut found);
            } else if part == "spec" {
                found.wrong("spec", "is required", "write spec: {}");
            }
        }
        // If both find a problem in a field, `convert` has the better message.
        // A value of a wrong type would hide what else `convert` finds, so it is left out.
        let mut typed = spec_only.clone();
        schema::drop_wrong_types(schema, &mut typed);
        schema::fill(schema, &mut typed);
        let mut converted = self.convert(&typed);
        let Fields(mut found) = found;
        found.retain(|error| !converted.iter().any(|other| other.path == error.path));
        if !found.is_empty() {
            // If a type is wrong, `convert` reports the whole spec, but the schema has already named the field.
            converted.retain(|error| error.path != "spec");
        }
        let mut errors = [self.header(), converted, found].concat();
        if errors.is_empty() {
            errors.extend(cel(schema, &spec_only, old));
        }
        errors
    }

    fn header(&self) -> Vec<FieldError> {
        const ROOT: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
        let mut errors = Fields::default();
        find_unknown_fields(&self.object, "", &ROOT, &mut errors);
        if self.object["apiVersion"] != names::API_VERSION {
            let problem = format!("{} is not known", self.object["apiVersion"]);
            errors.wrong("apiVersion", problem, "write junban.dev/v1alpha1");
        }
        let metadata = &self.object["metadata"];
        find_unknown_fields(metadata, "metadata.", &METADATA, &mut errors);
        if self.name.is_empty() {
            errors.wrong("metadata.name", "is required", "give the object a name");
        } else if !selector::is_subdomain(&self.name) {
            let problem = format!("{:?} cannot be the name of an object", self.name);
            errors.wrong(
                "metadata.name",
                problem,
                "write lower-case letters, digits, - and .",
            );
        }
        for part in ["labels", "annotations"] {
            check_map(metadata, part, &mut errors);
        }
        if metadata.get("namespace").is_some_and(|namespace| namespace != "") {
            let problem = "the object is cluster-scoped and has no namespace";
            errors.wrong("metadata.namespace", problem, "remove it");
        }
        errors.0
    }

    fn convert(&self, object: &Value) -> Vec<FieldError> {
        // The metadata that a server gives every object.
        let mut object = object.clone();
        object["metadata"] = json!({"name": self.name, "uid": "lint", "resourceVersion": "0"});
        let object: DynamicObject = match serde_json::from_value(object) {
            Ok(object) => object,
            Err(error) => return vec![FieldError::new("", error, "")],
        };
        let read: Result<(), Unreadable> = match self.kind.as_str() {
            "RebootQueue" => convert::queue::read(&object).map(drop),
            "NodeReboot" => convert::entry::read(&object).map(drop),
            _ => convert::policy::read(&object).and_then(|policy| match policy.node_selector {
                Ok(_) => Ok(()),
                // In a cluster this is a condition of the policy. In a file it is an error.
                Err(problem) => {
                    let hint = "write labels as Kubernetes allows them";
                    Err(Unreadable::one("spec.nodeSelector", problem, hint))
                }
            }),
        };
        // The check of the header reports a missing or wrong name.
        let mut errors = read.err().map(|error| error.0).unwrap_or_default();
        errors.retain(|error| error.path != "metadata");
        errors
    }

    fn not_checked(&self) -> Finding {
        let ours = self.object["apiVersion"].as_str().is_some_and(is_our_group);
        let known = names::KINDS.map(|(kind, ..)| kind);
        if ours {
            let problem = format!("{:?} is not a kind of Junban", self.kind);
            return self.finding(
                Severity::Error,
                "kind",
                &problem,
                &schema::suggestion(&self.kind, &known),
            );
        }
        if self.kind.is_empty() || self.object["apiVersion"].as_str().is_none_or(str::is_empty) {
            let hint = "begin with apiVersion: junban.dev/v1alpha1 and kind";
            return self.finding(Severity::Error, "", "is not a Kubernetes object", hint);
        }
        self.finding(Severity::Info, "", "is not an object of Junban: not checked", "")
    }

    /// What the server accepts and a person should know.
    fn advise(&self, now: Timestamp, findings: &mut Vec<Finding>) {
        // An object that was read from a cluster has a UID and may have a status.
        if self.object.get("status").is_some() && self.object["metadata"]["uid"].is_null() {
            let hint = "remove it: only the controller writes the status";
            findings.push(self.finding(Severity::Warning, "status", "is ignored", hint));
        }
        let spec = &self.object["spec"];
        if let Some(text) = spec["bootedAfter"].as_str()
            && convert::parse_goal(text).is_ok_and(|goal| goal > now)
        {
            let problem = format!("{text} lies in the future: the goal is not due yet");
            findings.push(self.finding(Severity::Info, "spec.bootedAfter", &problem, ""));
        }
        let ladder = spec["reboot"]["ladder"].as_array();
        if self.kind == "RebootPolicy" && ladder.is_some_and(Vec::is_empty) {
            let hint = "add a step, for example {driver: command, command: [/path/to/program]}";
            let problem = "has no driver: nothing is rebooted (NoDriver)";
            findings.push(self.finding(Severity::Info, "spec.reboot.ladder", problem, hint));
        }
    }
}

/// What an API server would refuse when this object is created, or with `old` when `old` is updated to this object.
pub fn check_object(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let document = Document::new(1, object.clone());
    if document.schema.is_none() {
        let finding = document.not_checked();
        return vec![FieldError::new(&finding.path, &finding.problem, &finding.hint)];
    }
    let old = old.map(|old| Document::new(1, old.clone()).object);
    document.errors(old.as_ref())
}

fn cel(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let errors = match Validator::new().validate(schema, object, old) {
        Ok(()) => return Vec::new(),
        Err(errors) => errors.into_vec(),
    };
    errors
        .into_iter()
        .map(|error| FieldError::new(&error.field_path, &error.message, ""))
        .collect()
}

fn find_unknown_fields(object: &Value, prefix: &str, known: &[&str], errors: &mut Fields) {
    let names = object.as_object().into_iter().flat_map(|fields| fields.keys());
    for name in names.filter(|name| !known.contains(&name.as_str())) {
        let hint = schema::suggestion(name, known);
        errors.wrong(&format!("{prefix}{name}"), "unknown field", &hint);
    }
}

fn is_our_group(api_version: &str) -> bool {
    api_version.split('/').next() == Some(names::GROUP)
}

/// What the server refuses in an object's labels or annotations.
fn check_map(metadata: &Value, part: &str, errors: &mut Fields) {
    let Some(map) = metadata.get(part).filter(|map| !map.is_null()) else {
        return;
    };
    let path = format!("metadata.{part}");
    let Some(map) = map.as_object() else {
        errors.wrong(&path, "is not a map", "write KEY: VALUE");
        return;
    };
    for (key, value) in map {
        // The prefix of an annotation's key may have capital letters.
        let (checked, is_label) = match part {
            "labels" => (key.clone(), true),
            _ => (key.to_lowercase(), false),
        };
        if selector::check_key(&checked).is_err() {
            let problem = format!("{key:?} cannot be a key");
            errors.wrong(&path, problem, "write letters, digits, -, _ and .");
        }
        match value {
            Value::String(text) if is_label => {
                if let Err(problem) = selector::check_value(text) {
                    errors.wrong(&path, problem, "write letters, digits, -, _ and .");
                }
            }
            Value::String(_) | Value::Null => {}
            other => {
                let problem = format!("{key}: {other} is not text");
                errors.wrong(&path, problem, "put it in quotes");
            }
        }
    }
}
