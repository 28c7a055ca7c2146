//! A change of one entry by `cancel` or `retry`. It is decided on the entry as read just now and is written under its
//! resourceVersion. If the entry has changed in the meantime, it is read and decided again.

use junban_api::{convert, names};
use junban_core::entry::Entry;
use junban_core::ids::EntryName;
use junban_kube::resource::Kind;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::problem::Problem;
use super::session::Session;

/// How often a write under a resourceVersion is tried. Kubelets and controllers write a status every few seconds.
pub(super) const TRIES: usize = 8;

/// What is done with an entry as it was read.
pub(crate) enum Change {
    /// Set these fields of the spec.
    Set(Value),
    /// Nothing, for this reason.
    Leave(String),
}

/// What became of a change.
pub(crate) enum Changed {
    Done,
    Left(String),
    /// 422: the API server refuses the change, with this message.
    Refused(String),
    /// The entry is gone.
    Gone,
}

pub(crate) async fn change(
    session: &Session,
    name: &EntryName,
    decide: impl Fn(&Entry) -> Change,
) -> Result<Changed, Problem> {
    let api = Kind::Entry.api(&session.connection.calls);
    for _ in 0..TRIES {
        let Some(object) = session
            .call("get", "nodereboots", api.get_opt(name.as_str()))
            .await?
        else {
            return Ok(Changed::Gone);
        };
        let entry = convert::entry::read(&object).map_err(|error| {
            Problem::failed(
                format!("entry {name} cannot be read: {error}"),
                format!("kubectl get nodereboot {name} -o yaml"),
            )
        })?;
        let spec = match decide(&entry) {
            Change::Set(spec) => spec,
            Change::Leave(why) => return Ok(Changed::Left(why)),
        };
        let patch = json!({"metadata": {"resourceVersion": object.metadata.resource_version}, "spec": spec});
        let written = session
            .try_call(api.patch(name.as_str(), &parameters(), &Patch::Merge(&patch)))
            .await;
        match written {
            Ok(_) => return Ok(Changed::Done),
            Err(failure) => match failure.code() {
                Some(409) => {}
                Some(404) => return Ok(Changed::Gone),
                Some(422) => return Ok(Changed::Refused(failure.message())),
                _ => return Err(failure.problem(session, "patch", "nodereboots")),
            },
        }
    }
    Err(Problem::failed(
        format!("entry {name} changes faster than it can be written"),
        "try again",
    ))
}

/// For writes that are neither a goal nor a pause.
pub(crate) fn parameters() -> PatchParams {
    PatchParams {
        field_manager: Some(names::CLI_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}
