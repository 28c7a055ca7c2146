//! The fields of the queue and of policies that a scenario can set, and how each value is written.

use std::collections::BTreeSet;

use junban_api::convert::parse_span;
use junban_api::names::{CONTROL_PLANE, ETCD};
use junban_world::IntOrPercent;
use serde_json::{Map, Value, json};

use crate::json::{items, text};

use super::model::{Act, Scenario, Setting, SettingValue};
use super::words::{Mistake, Words};

#[derive(Clone, Copy, Debug)]
enum Form {
    /// `3` or `10%`.
    IntOrPercent,
    Int,
    Bool,
    /// `1h30m`.
    Duration,
    Text,
    /// All words up to the comma.
    List,
    /// `role=worker gpu=yes`, for `matchLabels`.
    Labels,
    OneOf(&'static [&'static str]),
    /// `+15m`, `-1h`, `now`, or RFC 3339.
    Time,
    /// Only `none`: an empty ladder.
    Ladder,
    /// `Cordon NAMESPACE` or `Eviction NAMESPACE`, then perhaps `atOnce 2` and `timeout 5m`, with `and` between rules.
    OpeningBudgets,
    /// `NAME nodes LABEL=VALUE`, `NAME pods NAMESPACE LABEL=VALUE`, with `and` between groups.
    QuorumGroups,
}

/// The path below `spec`, and how its value is written.
type Field = (&'static str, Form);

const QUEUE: &[Field] = &[
    ("paused", Form::Bool),
    ("pauseReason", Form::Text),
    ("maxConcurrent", Form::IntOrPercent),
    ("maxUnavailable", Form::IntOrPercent),
    ("failures.max", Form::IntOrPercent),
    ("controlPlane.allowQuorumLoss", Form::Bool),
    ("history.perNode", Form::Int),
    ("quorumGroups", Form::QuorumGroups),
];

const POLICY: &[Field] = &[
    ("nodeSelector", Form::Labels),
    ("priority", Form::Int),
    ("bootedAfter", Form::Time),
    ("minInterval", Form::Duration),
    ("maxConcurrent", Form::Int),
    ("groups.by", Form::Text),
    ("groups.atOnce", Form::Int),
    ("drain.timeout", Form::Duration),
    ("drain.loadBalancerWait", Form::Duration),
    ("drain.unbudgeted.maxUnavailable", Form::IntOrPercent),
    ("drain.deleteAfterDenial", Form::List),
    ("drain.jobs.evict", Form::Labels),
    ("drain.jobs.deadline", Form::Duration),
    ("drain.budgets", Form::OpeningBudgets),
    ("drain.emptyDir", Form::OneOf(&["Evict", "Block"])),
    ("drain.bare", Form::OneOf(&["Evict", "Block"])),
    ("drain.onTimeout", Form::OneOf(&["Release", "Hold"])),
    ("drain.stuckTerminating", Form::OneOf(&["Release", "Reboot"])),
    ("drain.capacity", Form::OneOf(&["Require", "Report"])),
    ("drain.capacityReportOnly", Form::List),
    ("reboot.bootTimeout", Form::Duration),
    ("reboot.attempts", Form::Int),
    ("reboot.ladder", Form::Ladder),
    ("verify.timeout", Form::Duration),
    ("verify.daemonSets", Form::Bool),
    ("verify.settle", Form::Duration),
    ("verify.ignoreTaints", Form::List),
    ("verify.ignoreResources", Form::List),
];

/// `maxUnavailable 1, failures.max 1`.
pub(super) fn queue(text: &str) -> Result<Vec<Setting>, Mistake> {
    parse(text, QUEUE, "a field of the queue")
}

/// `drain.timeout 20s, reboot.attempts 2`.
pub(super) fn policy(text: &str) -> Result<Vec<Setting>, Mistake> {
    parse(text, POLICY, "a field of a policy")
}

fn parse(text: &str, fields: &[Field], expected: &str) -> Result<Vec<Setting>, Mistake> {
    let setting = |words: &mut Words<'_>| {
        let path = words.peek().unwrap_or_default().to_owned();
        let form = words.eat_one(fields, expected)?;
        let value = value(form, words)?;
        Ok(Setting { path, value })
    };
    text.split(',').map(|part| Words::all(part, setting)).collect()
}

fn value(form: Form, words: &mut Words<'_>) -> Result<SettingValue, Mistake> {
    if words.peek() == Some("absent") {
        words.rest();
        return Ok(SettingValue::Absent);
    }
    let json = match form {
        Form::IntOrPercent => int_or_percent(words.next("a number or a percentage")?)?,
        Form::Int => json!(words.number::<i64>("a number")?),
        Form::Bool => json!(words.eat_one(&[("true", true), ("false", false)], "true or false")?),
        Form::Duration => {
            let word = words.next("a time such as 20s")?;
            parse_span(word).map_err(|_| format!("`{word}` is not a time: write 20s, 5m, 1h30m"))?;
            json!(word)
        }
        Form::Text => json!(words.rest().join(" ")),
        Form::List => json!(words.rest()),
        Form::Labels => labels(&words.rest())?,
        Form::OneOf(names) => json!(words.one_of(names, "a value of this field")?),
        Form::OpeningBudgets => {
            let words = words.rest();
            let rules = words.split(|word| *word == "and").map(opening_budgets);
            json!(rules.collect::<Result<Vec<_>, _>>()?)
        }
        Form::QuorumGroups => {
            let words = words.rest();
            let groups = words.split(|word| *word == "and").map(quorum_group);
            json!(groups.collect::<Result<Vec<_>, _>>()?)
        }
        Form::Ladder => json!(words.eat_one(&[("none", [(); 0])], "`none`")?),
        Form::Time => return time(words.next("a time: now, +15m, -1h, or 2026-11-23T09:00:00Z")?),
    };
    Ok(SettingValue::Json(json))
}

/// As the API has it: a number, or a text with `%`.
pub(super) fn int_or_percent(word: &str) -> Result<Value, Mistake> {
    let percent = word.strip_suffix('%');
    let number: u32 = percent
        .unwrap_or(word)
        .parse()
        .map_err(|_| format!("`{word}` is neither a number nor a percentage"))?;
    Ok(percent.map_or(json!(number), |_| json!(word)))
}

/// Reads what [`int_or_percent`] has read. `None` if the field is absent.
pub fn share(value: &Value) -> Option<IntOrPercent> {
    match value {
        Value::String(text) => {
            let digits = text.strip_suffix('%')?;
            digits.parse().ok().map(IntOrPercent::Percent)
        }
        Value::Number(number) => number.as_i64().map(IntOrPercent::Int),
        _ => None,
    }
}

fn labels(pairs: &[&str]) -> Result<Value, Mistake> {
    let mut map = Map::new();
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("`{pair}` is not written LABEL=VALUE"))?;
        map.insert(key.to_owned(), json!(value));
    }
    Ok(json!({ "matchLabels": map }))
}

fn opening_budgets(words: &[&str]) -> Result<Value, Mistake> {
    let wrong =
        || "write Cordon NAMESPACE, or Eviction NAMESPACE, then perhaps atOnce 2 timeout 5m".to_owned();
    let [opens_at, namespace, more @ ..] = words else {
        return Err(wrong());
    };
    let mut rule = json!({"opensAt": opens_at, "namespace": namespace});
    for pair in more.chunks(2) {
        match pair {
            ["atOnce", count] => rule["atOnce"] = json!(count.parse::<u32>().map_err(|_| wrong())?),
            ["timeout", span] => rule["timeout"] = json!(span),
            _ => return Err(wrong()),
        }
    }
    Ok(rule)
}

fn quorum_group(words: &[&str]) -> Result<Value, Mistake> {
    match words {
        [name, "nodes", pairs @ ..] if !pairs.is_empty() => {
            Ok(json!({"name": name, "nodeSelector": labels(pairs)?}))
        }
        [name, "pods", namespace, pairs @ ..] if !pairs.is_empty() => {
            Ok(json!({"name": name, "namespace": namespace, "podSelector": labels(pairs)?}))
        }
        _ => Err("write NAME nodes LABEL=VALUE, or NAME pods NAMESPACE LABEL=VALUE".into()),
    }
}

fn time(word: &str) -> Result<SettingValue, Mistake> {
    let seconds = |text: &str| i64::try_from(parse_span(text).ok()?.as_secs()).ok();
    let value = if word == "now" {
        Some(SettingValue::FromNow(0))
    } else if let Some(ahead) = word.strip_prefix('+') {
        seconds(ahead).map(SettingValue::FromNow)
    } else if let Some(ago) = word.strip_prefix('-') {
        seconds(ago).map(|ago| SettingValue::FromNow(-ago))
    } else {
        let time = word.parse::<junban_core::time::Timestamp>();
        time.ok().map(|_| SettingValue::Json(json!(word)))
    };
    value.ok_or_else(|| format!("`{word}` is not a time: write now, +15m, -1h, or 2026-11-23T09:00:00Z"))
}

/// The namespaces that a policy of the scenario, or a later edit, names in `drain.deleteAfterDenial`.
pub fn deletes_in(scenario: &Scenario) -> BTreeSet<String> {
    let mut namespaces = BTreeSet::new();
    let edits = scenario.acts().filter_map(|(_, act)| match act {
        Act::EditPolicy(_, edits) => Some(edits),
        _ => None,
    });
    for policy in scenario.policies.values().chain(edits) {
        let mut spec = json!({});
        apply(&mut spec, policy, 0);
        let names = items(&spec["drain"]["deleteAfterDenial"]).iter();
        namespaces.extend(names.map(|name| text(name).to_owned()));
    }
    namespaces
}

/// A policy of the manifests with the settings of the scenario and this power command. `now` is in seconds since 1970.
pub fn policy_spec(scenario: &Scenario, name: &str, power_command: &[String], now: i64) -> Value {
    let mut spec = json!({"reboot": {"ladder": [{"driver": "command", "command": power_command}]}});
    let requires = |key: &str, operator: &str| json!({"key": key, "operator": operator});
    let requirements = match name {
        "workers" => vec![
            requires(CONTROL_PLANE, "DoesNotExist"),
            requires(ETCD, "DoesNotExist"),
        ],
        "control-plane" => vec![requires(CONTROL_PLANE, "Exists")],
        "etcd" => vec![requires(CONTROL_PLANE, "DoesNotExist"), requires(ETCD, "Exists")],
        _ => vec![],
    };
    if !requirements.is_empty() {
        spec["priority"] = json!(-1000);
        spec["nodeSelector"] = json!({ "matchExpressions": requirements });
    }
    let settings = scenario.policies.get(name);
    apply(&mut spec, settings.map_or(&[], Vec::as_slice), now);
    spec
}

/// The queue of the manifests with the settings of the scenario. If nodes of the control plane are among its Nodes, it
/// names their servers.
pub fn queue_spec(scenario: &Scenario, api_servers: &[String], etcd: &[String], now: i64) -> Value {
    let mut spec = json!({});
    if scenario.nodes.control_planes > 1 || !etcd_nodes(scenario).is_empty() {
        spec["controlPlane"] = json!({"apiServers": api_servers, "etcd": etcd});
    }
    apply(&mut spec, &scenario.queue, now);
    spec
}

/// The nodes that a line of the scenario labels as carrying etcd.
pub fn etcd_nodes(scenario: &Scenario) -> BTreeSet<&str> {
    let labelled = |(_, act)| match act {
        &Act::Label {
            ref node,
            ref key,
            value: Some(_),
        } if key == ETCD => Some(node.as_str()),
        _ => None,
    };
    scenario.acts().filter_map(labelled).collect()
}

/// Writes the settings into `spec`. `now` is in seconds since 1970.
pub fn apply(spec: &mut Value, settings: &[Setting], now: i64) {
    for setting in settings {
        let (parents, name) = setting.path.rsplit_once('.').unwrap_or(("", &setting.path));
        let parents = parents.split('.').filter(|parent| !parent.is_empty());
        let object = parents.fold(fields(spec), |object, parent| {
            fields(object.entry(parent.to_owned()).or_insert(Value::Null))
        });
        match &setting.value {
            SettingValue::Json(json) => object.insert(name.to_owned(), json.clone()),
            SettingValue::FromNow(ahead) => object.insert(name.to_owned(), json!(rfc3339(now + ahead))),
            SettingValue::Absent => object.remove(name),
        };
    }
}

/// The fields of an object. Anything else becomes an object.
fn fields(value: &mut Value) -> &mut Map<String, Value> {
    loop {
        if let Value::Object(fields) = value {
            return fields;
        }
        *value = json!({});
    }
}

fn rfc3339(seconds: i64) -> String {
    junban_core::time::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_into_a_spec() {
        let mut spec = json!({"priority": 1, "drain": {"bare": "Block"}});
        let text = "drain.timeout 20s, nodeSelector role=worker, bootedAfter +1m, drain.bare absent, \
                    drain.unbudgeted.maxUnavailable 10%, drain.deleteAfterDenial shop db, reboot.ladder none";
        apply(&mut spec, &policy(text).unwrap(), 0);
        assert_eq!(
            spec,
            json!({
                "priority": 1,
                "nodeSelector": {"matchLabels": {"role": "worker"}},
                "bootedAfter": "1970-01-01T00:01:00Z",
                "drain": {
                    "timeout": "20s", "deleteAfterDenial": ["shop", "db"],
                    "unbudgeted": {"maxUnavailable": "10%"},
                },
                "reboot": {"ladder": []},
            })
        );
    }

    #[test]
    fn a_wrong_field_or_value_is_an_error() {
        assert!(
            policy("drain.timout 20s")
                .unwrap_err()
                .contains("did you mean `drain.timeout`")
        );
        assert!(
            policy("drain.bare Blok")
                .unwrap_err()
                .contains("did you mean `Block`")
        );
        for wrong in [
            "drain.timeout 20",
            "maxConcurrent",
            "maxConcurrent x",
            "priority 1 2",
            "verify.daemonSets yes",
        ] {
            assert!(policy(wrong).is_err(), "{wrong}");
        }
        assert!(queue("maxUnavailable 10x").is_err());
    }
}
