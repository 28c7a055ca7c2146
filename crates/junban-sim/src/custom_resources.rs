//! Teaches the simulated world about Junban's custom resources: which writes its API server refuses, and what a write
//! means for the world's checkers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use junban_api::lint::check_object;
use junban_api::names;
use junban_world::{Custom, EntryFacts, Truth, World};
use serde_json::{Value, json};

use crate::objects::{ENTRY, QUEUE};

pub fn install(world: &mut World) {
    world.admit(Box::new(admit));
    world.interpret(Box::new(interpret));
}

/// Refuses what the CRDs refuse. For a queue and a policy these are all rules; for an entry, only the rules that a
/// controller can break (docs/design/life-cycle.md#edges).
fn admit(old: Option<&Custom>, new: &Custom) -> Result<(), String> {
    if new.kind != ENTRY {
        return admit_by_schema(old, new);
    }
    let flag = |custom: &Custom| custom.spec["cancel"].as_bool().unwrap_or_default();
    let phase = new.status["phase"].as_str().unwrap_or_default();
    if flag(new) && matches!(phase, "Rebooting" | "Verifying") {
        return Err("a cancelled entry cannot be in Rebooting or Verifying".into());
    }
    let Some(old) = old else { return Ok(()) };
    if flag(old) && !flag(new) {
        return Err("spec.cancel cannot go back to false".into());
    }
    let retries = |custom: &Custom| custom.spec["retries"].as_u64().unwrap_or_default();
    if retries(new) < retries(old) {
        return Err("spec.retries cannot become smaller".into());
    }
    let rest = |custom: &Custom| {
        let mut spec = custom.spec.clone();
        if let Some(fields) = spec.as_object_mut() {
            fields.retain(|key, _| key != "cancel" && key != "retries");
        }
        spec
    };
    if rest(old) == rest(new) {
        Ok(())
    } else {
        Err("the spec of an entry is immutable".into())
    }
}

fn admit_by_schema(old: Option<&Custom>, new: &Custom) -> Result<(), String> {
    if old.is_some_and(|old| old.spec == new.spec) {
        return Ok(());
    }
    let object = json!({
        "apiVersion": names::API_VERSION, "kind": &*new.kind,
        "metadata": {"name": &*new.meta.name}, "spec": new.spec,
    });
    // Each check compiles the rules again, and sweeps write the same few objects very often.
    let text = object.to_string();
    CHECKED.with_borrow_mut(|checked| {
        let answer = checked
            .entry(text)
            .or_insert_with(|| match check_object(&object, None).first() {
                None => Ok(()),
                Some(error) => Err(error.to_string()),
            });
        answer.clone()
    })
}

thread_local! {
    /// The answers for objects that were checked before, by their text.
    static CHECKED: RefCell<BTreeMap<String, Result<(), String>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The facts that a write means for the checkers.
pub fn interpret(old: Option<&Custom>, new: Option<&Custom>) -> Vec<Truth> {
    match new.or(old).map(|custom| custom.kind.as_str()) {
        Some(ENTRY) => entry(old, new),
        Some(QUEUE) => queue(old, new),
        _ => vec![],
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn entry(old: Option<&Custom>, new: Option<&Custom>) -> Vec<Truth> {
    let Some(new) = new else {
        let uid = old.map(|custom| custom.meta.uid.to_string()).unwrap_or_default();
        return vec![Truth::EntryGone { entry: uid }];
    };
    let facts = |custom: &Custom| EntryFacts {
        uid: custom.meta.uid.to_string(),
        name: custom.meta.name.to_string(),
        node: text(&custom.spec["nodeName"]),
        node_uid: text(&custom.spec["nodeUID"]),
        policy: text(&custom.spec["policy"]),
        goal: text(&custom.spec["bootedAfter"]),
        phase: text(&custom.status["phase"]),
        attempt: custom.status["attempt"].as_u64().unwrap_or_default(),
        retries: custom.spec["retries"].as_u64().unwrap_or_default(),
        cancel_asked: custom.spec["cancel"].as_bool().unwrap_or_default(),
    };
    let (before, after) = (old.map(facts), facts(new));
    let is_news = before.is_none_or(|before| before != after);
    Vec::from_iter(is_news.then_some(Truth::Entry(after)))
}

fn queue(old: Option<&Custom>, new: Option<&Custom>) -> Vec<Truth> {
    // A queue that was made again is held until a person resumes this very object.
    let held = |custom: &Custom| {
        let ledger_held = custom.status["ledger"]["held"].as_bool().unwrap_or_default();
        ledger_held && text(&custom.spec["resumed"]) != *custom.meta.uid
    };
    let paused = |custom: Option<&Custom>| {
        custom.is_none_or(|custom| custom.spec["paused"].as_bool().unwrap_or_default() || held(custom))
    };
    let holders = |custom: Option<&Custom>| -> BTreeMap<String, String> {
        let slots = custom.and_then(|custom| custom.status["ledger"]["slots"].as_object());
        let slots = slots.into_iter().flatten();
        slots
            .map(|(node, slot)| (node.clone(), text(&slot["entryUID"])))
            .collect()
    };
    let mut notes = Vec::new();
    if paused(old) != paused(new) || old.is_none() {
        notes.push(Truth::Paused { paused: paused(new) });
    }
    // A deleted queue frees no slot: the marks still hold them.
    if new.is_some() && holders(old) != holders(new) {
        notes.push(Truth::Slots {
            holders: holders(new),
        });
    }
    notes
}
