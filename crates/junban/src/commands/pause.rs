//! `junban pause` and `junban resume` (docs/design/life-cycle.md#pause).

use junban_api::{convert, names};
use junban_core::blocker::MAKE_QUEUE;
use junban_kube::resource::Kind;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::columns::some;
use super::printer::{Done, Printer};
use super::problem::{Exit, Problem};
use super::session::Session;
use crate::cli;

pub(crate) async fn pause(
    session: &Session,
    arguments: &cli::Pause,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    let before = read(session).await?;
    let was = before.data.pointer("/spec/paused") == Some(&Value::Bool(true));
    // A second pause without a reason keeps the reason of the first one.
    let known = before.data.pointer("/spec/pauseReason").and_then(Value::as_str);
    let known = known.filter(|_| was && arguments.reason.is_empty());
    let reason = known.unwrap_or(&arguments.reason);
    let spec = json!({"paused": true, "pauseReason": reason});
    apply(session, &before, &spec).await?;
    let did = if was { "was paused already" } else { "paused" };
    printer.done(&[Done::new("rebootqueue", names::QUEUE, did)])?;
    if !was {
        printer.message(
            "within 5 s nothing new starts; a drain that has begun stops evicting; a node past its power action is seen through to its end",
        );
    }
    printer.message("end it with: junban resume");
    warn_of_others(&before, "end the pause", printer);
    Ok(Exit::Done)
}

pub(crate) async fn resume(session: &Session, printer: &mut Printer) -> Result<Exit, Problem> {
    let before = read(session).await?;
    let held = convert::queue::read(&before).is_ok_and(|queue| queue.is_held());
    let was = held || before.data.pointer("/spec/paused") == Some(&Value::Bool(true));
    let spec = json!({"paused": false, "pauseReason": "", "resumed": before.metadata.uid});
    apply(session, &before, &spec).await?;
    let did = if was { "resumed" } else { "was not paused" };
    printer.done(&[Done::new("rebootqueue", names::QUEUE, did)])?;
    warn_of_others(&before, "pause the queue again", printer);
    Ok(Exit::Done)
}

async fn read(session: &Session) -> Result<DynamicObject, Problem> {
    let api = Kind::Queue.api(&session.connection.calls);
    let found = session
        .call("get", "rebootqueues", api.get_opt(names::QUEUE))
        .await?;
    if let Some(object) = found {
        return Ok(object);
    }
    // The 404 does not tell whether the queue or the whole kind is missing. A list tells.
    session
        .call(
            "list",
            "rebootqueues",
            api.list(&kube::api::ListParams::default().limit(1)),
        )
        .await?;
    Err(Problem::failed(
        "there is no RebootQueue named default, which counts as paused: nothing starts",
        MAKE_QUEUE,
    ))
}

/// Takes the fields by force: a pause must work whoever else sets them. With the UID it creates no new queue.
async fn apply(session: &Session, before: &DynamicObject, spec: &Value) -> Result<(), Problem> {
    let object = json!({
        "apiVersion": names::API_VERSION,
        "kind": Kind::Queue.as_str(),
        "metadata": {"name": names::QUEUE, "uid": before.metadata.uid},
        "spec": spec,
    });
    let parameters = PatchParams {
        force: true,
        field_manager: Some(names::PAUSE_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let api = Kind::Queue.api(&session.connection.calls);
    let patch = Patch::Apply(&object);
    match session
        .try_call(api.patch(names::QUEUE, &parameters, &patch))
        .await
    {
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == Some(409) => Err(Problem::failed(
            "the RebootQueue was deleted just now: without a queue nothing starts",
            MAKE_QUEUE,
        )),
        Err(failure) => Err(failure.problem(session, "patch", "rebootqueues")),
    }
}

fn warn_of_others(before: &DynamicObject, they_may: &str, printer: &mut Printer) {
    let others = owners(before, "paused", names::PAUSE_FIELD_MANAGER);
    if !others.is_empty() {
        printer.message(&format!(
            "warning: spec.paused belonged to {}, which may {they_may} when it applies its own version\nhint: change spec.paused there as well",
            some(&others, 3)
        ));
    }
}

/// The field managers, other than Junban's own, that own a field of the spec.
pub(super) fn owners(object: &DynamicObject, field: &str, ours: &str) -> Vec<String> {
    let pointer = format!("/f:spec/f:{field}");
    let entries = object.metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| {
            let fields = entry.fields_v1.as_ref();
            fields.is_some_and(|fields| fields.0.pointer(&pointer).is_some())
        })
        .filter_map(|entry| entry.manager.clone())
        .filter(|manager| manager != ours)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_field_managers_of_the_pause_are_named() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "junban.dev/v1alpha1",
            "kind": "RebootQueue",
            "metadata": {"name": "default", "managedFields": [
                {"manager": "argocd", "operation": "Apply", "fieldsV1": {"f:spec": {"f:paused": {}}}},
                {"manager": "junban-pause", "operation": "Apply", "fieldsV1": {"f:spec": {"f:paused": {}}}},
                {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:maxUnavailable": {}}}},
            ]},
        }))
        .unwrap();
        assert_eq!(owners(&object, "paused", names::PAUSE_FIELD_MANAGER), ["argocd"]);
        assert_eq!(
            owners(&object, "maxUnavailable", names::PAUSE_FIELD_MANAGER),
            ["kubectl"]
        );
    }
}
