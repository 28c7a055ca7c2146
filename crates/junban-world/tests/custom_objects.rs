//! Custom objects, the faults of callers, and caches.

use junban_world::{
    ApiError, Deny, LostAnswer, NewCustom, NodeOp, Object, Preconditions, Span, Truth, Verb, World,
    WorldBuilder,
};
use serde_json::json;

fn world() -> World {
    let mut b = WorldBuilder::new(1);
    b.nodes(1, Span::secs(20, 30));
    b.build()
}

fn entry(name: &str) -> NewCustom {
    NewCustom {
        kind: "NodeReboot".into(),
        name: name.into(),
        spec: json!({"cancel": false}),
        ..Default::default()
    }
}

#[test]
fn creating_an_object_twice_answers_409() {
    let mut w = world();
    w.client("a").create_custom(entry("x")).unwrap();
    let again = w.client("b").create_custom(entry("x"));
    assert!(matches!(again, Err(ApiError::AlreadyExists { .. })));
}

#[test]
fn a_status_write_on_an_old_version_answers_409_and_none_raises_the_generation() {
    let mut w = world();
    let mut c = w.client("a");
    let one = c.create_custom(entry("x")).unwrap();
    let pre = Preconditions::version(one.meta.resource_version);
    let two = c
        .write_status("NodeReboot", "x", json!({"phase": "Queued"}), &pre)
        .unwrap();
    assert_eq!(two.meta.generation, 1);
    let late = c.write_status("NodeReboot", "x", json!({"phase": "Draining"}), &pre);
    assert!(matches!(late, Err(ApiError::Conflict { .. })));
    assert_eq!(
        c.custom("NodeReboot", "x").unwrap().status,
        json!({"phase": "Queued"})
    );
}

#[test]
fn a_spec_patch_raises_the_generation_only_if_it_changes_something() {
    let mut w = world();
    let mut c = w.client("a");
    c.create_custom(entry("x")).unwrap();
    let none = Preconditions::default();
    let same = c
        .patch_custom("NodeReboot", "x", &json!({"cancel": false}), &none)
        .unwrap();
    assert_eq!(same.meta.generation, 1);
    let new = c
        .patch_custom("NodeReboot", "x", &json!({"cancel": true}), &none)
        .unwrap();
    assert_eq!((new.meta.generation, &new.spec["cancel"]), (2, &json!(true)));
    assert!(new.meta.resource_version > same.meta.resource_version);
}

#[test]
fn a_deletion_with_another_uid_answers_409() {
    let mut w = world();
    let mut c = w.client("a");
    let one = c.create_custom(entry("x")).unwrap();
    let wrong = c.delete_custom("NodeReboot", "x", &Preconditions::uid("other"));
    assert!(matches!(wrong, Err(ApiError::Conflict { .. })));
    c.delete_custom("NodeReboot", "x", &Preconditions::uid(&one.meta.uid))
        .unwrap();
    assert!(matches!(
        c.custom("NodeReboot", "x"),
        Err(ApiError::NotFound { .. })
    ));
}

#[test]
fn admission_answers_422_and_the_interpreter_notes_each_write() {
    let mut w = world();
    w.admit(Box::new(|_, new| {
        let bad = new.spec["cancel"] == json!(true) && new.status["phase"] == json!("Rebooting");
        if bad { Err("cancelled".into()) } else { Ok(()) }
    }));
    w.interpret(Box::new(|old, new| {
        let phase = |c: &junban_world::Custom| c.status["phase"].as_str().unwrap_or("").to_owned();
        let text = format!(
            "{} -> {}",
            old.map(phase).unwrap_or_default(),
            new.map(phase).unwrap_or_default()
        );
        vec![Truth::Note { text }]
    }));
    let none = Preconditions::default();
    let mut c = w.client("a");
    c.create_custom(entry("x")).unwrap();
    c.patch_custom("NodeReboot", "x", &json!({"cancel": true}), &none)
        .unwrap();
    c.write_status("NodeReboot", "x", json!({"phase": "Draining"}), &none)
        .unwrap();
    let refused = c.write_status("NodeReboot", "x", json!({"phase": "Rebooting"}), &none);
    assert!(matches!(refused, Err(ApiError::Invalid { .. })));
    let notes: Vec<_> = w
        .take_truth()
        .into_iter()
        .filter_map(|e| {
            if let Truth::Note { text } = e.what {
                Some(text)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(notes, [" -> ", " -> ", " -> Draining"]);
}

#[test]
fn a_lost_answer_is_a_timeout_whether_or_not_the_write_was_done() {
    let mut w = world();
    w.callers().faults("a").lost_answers = vec![
        LostAnswer { nth: 1, done: true },
        LostAnswer { nth: 2, done: false },
    ];
    let mut c = w.client("a");
    assert!(matches!(
        c.create_custom(entry("x")),
        Err(ApiError::Timeout { .. })
    ));
    assert!(matches!(
        c.create_custom(entry("y")),
        Err(ApiError::Timeout { .. })
    ));
    assert!(c.custom("NodeReboot", "x").is_ok());
    assert!(c.custom("NodeReboot", "y").is_err());
    assert!(c.create_custom(entry("z")).is_ok());
    assert_eq!(w.callers().log("a").writes, 3);
}

#[test]
fn a_denied_right_answers_403_for_its_verb_and_namespace_only() {
    let mut w = world();
    let deny = |namespace: Option<&str>| Deny {
        verb: Verb::Patch,
        resource: "nodes".into(),
        namespace: namespace.map(Into::into),
    };
    let cordon = [NodeOp::SetUnschedulable(true)];
    w.callers().faults("a").deny = vec![deny(Some("other"))];
    assert!(w.client("a").patch_node("node-1", &cordon).is_ok());
    w.callers().faults("a").deny = vec![deny(None)];
    assert!(matches!(
        w.client("a").patch_node("node-1", &cordon),
        Err(ApiError::Forbidden { .. })
    ));
    assert!(w.client("a").node("node-1").is_ok());
    assert!(w.client("b").patch_node("node-1", &cordon).is_ok());
}

#[test]
fn an_outage_makes_the_server_unreachable_until_it_ends() {
    let mut w = world();
    w.callers().faults("a").outages = vec![(1000, 5000)];
    assert!(w.client("a").node("node-1").is_ok());
    w.advance_to(1000);
    assert!(matches!(
        w.client("a").node("node-1"),
        Err(ApiError::Unavailable { .. })
    ));
    w.advance_to(5000);
    assert!(w.client("a").node("node-1").is_ok());
}

#[test]
fn the_log_has_all_changes_with_their_times_until_a_compaction() {
    let mut w = world();
    let start = w.store().resource_version();
    w.advance_to(1000);
    w.client("a").create_custom(entry("x")).unwrap();
    let customs = |w: &World| -> Vec<(u64, bool)> {
        let changes = w.changes_since(start).unwrap();
        let customs = changes.filter(|change| matches!(change.object, Object::Custom(_)));
        customs.map(|change| (change.at, change.deleted)).collect()
    };
    assert_eq!(customs(&w), [(1000, false)]);
    w.advance_to(3000);
    w.client("a")
        .delete_custom("NodeReboot", "x", &Preconditions::default())
        .unwrap();
    assert_eq!(customs(&w), [(1000, false), (3000, true)]);
    w.compact();
    assert!(w.changes_since(start).is_err());
    assert_eq!(w.changes_since(w.store().resource_version()).unwrap().count(), 0);
}
