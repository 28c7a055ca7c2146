//! `junban reboot --all`: sets one goal, "booted since T", on every policy (docs/design/life-cycle.md#goals).

use std::collections::BTreeMap;

use junban_api::convert::format_goal;
use junban_api::names;
use junban_core::ids::PolicyName;
use junban_core::verbs::reboot::{AllDecision, GoalProgress, PolicyDecision, decide_all};
use junban_core::verbs::wait::Target;
use junban_kube::resource::Kind;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, Status};
use serde_json::json;

use super::notes;
use crate::cli::Reboot;
use crate::commands::columns::some;
use crate::commands::pause::owners;
use crate::commands::printer::{Done, Printer};
use crate::commands::problem::Problem;
use crate::commands::session::Session;
use crate::commands::snapshot::{self, Snapshot};

pub(super) async fn run(
    session: &Session,
    arguments: &Reboot,
    printer: &mut Printer,
) -> Result<Target, Problem> {
    let snapshot = Snapshot::with_nodes(session).await?;
    let objects = policies(session).await?;
    let cluster = &snapshot.cluster;
    let now = snapshot::now(cluster, session.now(), None);
    let decision = decide_all(cluster, now, arguments.again)?;
    let mut notes = notes::left_aside(cluster, now);
    let policies = notes::policies_with_nodes(cluster, now);
    notes.extend(notes::waiting(cluster, &policies));
    let mut decisions = decision.policies.values();
    notes.extend(notes::dropped_reason(
        &arguments.reason,
        decisions.any(|decision| matches!(decision, PolicyDecision::Join(_))),
        "junban reboot --all --again --reason TEXT sets a new goal for all",
    ));
    let generations = apply(session, &decision, &objects, &arguments.reason).await?;
    let done: Vec<Done> = decision
        .policies
        .iter()
        .map(|(name, of_policy)| {
            let did = match of_policy {
                PolicyDecision::SetGoal => format!("goal set to {}", format_goal(decision.goal)),
                PolicyDecision::Join(progress) => describe(progress),
            };
            Done {
                goal: Some(format_goal(decision.goal)),
                ..Done::new("rebootpolicy", name.as_str(), did)
            }
        })
        .collect();
    printer.done(&done)?;
    for note in notes {
        printer.message(&note);
    }
    if !arguments.wait {
        printer.message("follow it with: junban status --watch");
    }
    Ok(Target::Goal {
        generations,
        goal: decision.goal,
    })
}

fn describe(progress: &GoalProgress) -> String {
    let goal = format_goal(progress.goal);
    if progress.nodes == 0 {
        return format!("has the goal {goal} already and governs no node");
    }
    let mut text = format!(
        "joined the goal {goal}, which is under way: {} of {} servers done",
        progress.done, progress.nodes
    );
    for (phase, count) in &progress.open {
        text.push_str(&format!(", {count} {phase}"));
    }
    text
}

/// The policies as the API server has them, by name.
async fn policies(session: &Session) -> Result<BTreeMap<String, DynamicObject>, Problem> {
    let api = Kind::Policy.api(&session.connection.calls);
    let list = session
        .call("list", "rebootpolicies", api.list(&ListParams::default()))
        .await?;
    let objects = list.items.into_iter();
    Ok(objects.map(|object| (object.name_any(), object)).collect())
}

/// Applies the goal to the policies that are to get it. A dry run of all comes first: then one refusal leaves every policy
/// as it was. Returns the generations that the policies' status must have seen.
async fn apply(
    session: &Session,
    decision: &AllDecision,
    objects: &BTreeMap<String, DynamicObject>,
    reason: &str,
) -> Result<BTreeMap<PolicyName, i64>, Problem> {
    let api = Kind::Policy.api(&session.connection.calls);
    let mut generations = BTreeMap::new();
    for dry_run in [true, false] {
        for (name, of_policy) in &decision.policies {
            let known = objects
                .get(name.as_str())
                .filter(|known| known.metadata.uid.is_some());
            let Some(known) = known else {
                return Err(gone(name));
            };
            if matches!(of_policy, PolicyDecision::Join(_)) {
                let object = session
                    .call("get", "rebootpolicies", api.get(name.as_str()))
                    .await?;
                generations.insert(name.clone(), object.metadata.generation.unwrap_or_default());
                continue;
            }
            // An apply that names the UID cannot make a policy that was deleted.
            let mut object = json!({
                "apiVersion": names::API_VERSION,
                "kind": Kind::Policy.as_str(),
                "metadata": {"name": name, "uid": known.metadata.uid},
                "spec": {"bootedAfter": format_goal(decision.goal)},
            });
            if !reason.is_empty() {
                object["metadata"]["annotations"] = json!({names::REASON: reason});
            }
            let parameters = PatchParams {
                dry_run,
                field_manager: Some(names::GOAL_FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Apply(&object);
            match session
                .try_call(api.patch(name.as_str(), &parameters, &patch))
                .await
            {
                Ok(object) => {
                    generations.insert(name.clone(), object.metadata.generation.unwrap_or_default());
                }
                Err(failure) => {
                    return Err(match failure.status() {
                        Some(status) if status.code == 409 => conflict(name, known, status),
                        _ => failure.problem(session, "patch", "rebootpolicies"),
                    });
                }
            }
        }
    }
    Ok(generations)
}

fn gone(name: &PolicyName) -> Problem {
    Problem::failed(
        format!("policy {name} was deleted just now: nothing was changed"),
        "junban reboot --all",
    )
}

/// A 409 of server-side apply: another field manager owns the goal, or the policy is not the one that was read.
fn conflict(name: &PolicyName, known: &DynamicObject, status: &Status) -> Problem {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    if !causes.any(|cause| cause.reason == "FieldManagerConflict") {
        return gone(name);
    }
    let managers = owners(known, "bootedAfter", names::GOAL_FIELD_MANAGER);
    let owner = if managers.is_empty() {
        "another field manager".to_owned()
    } else {
        some(&managers, 3)
    };
    Problem::failed(
        format!("the goal of policy {name} belongs to {owner}, which would set it back: nothing was changed"),
        format!(
            "set it there; or take it away from there and run this again: kubectl patch rebootpolicy {name} --type json -p '[{{\"op\":\"remove\",\"path\":\"/spec/bootedAfter\"}}]'"
        ),
    )
}
