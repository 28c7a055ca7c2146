//! Changes of one entry by a person, `cancel` and `retry`: each is decided on an entry just read and written under
//! its resourceVersion, and decided anew when it has changed meanwhile.

use junban_api::{convert, names};
use junban_core::entry::Entry;
use junban_core::ids::EntryName;
use junban_kube::resource::Kind;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::problem::Problem;
use super::session::{Failure, Session};

/// A controller that is at work writes the status every few seconds.
const TRIES: usize = 8;

/// What to do with an entry as read: fields of the spec to set, or what to say instead.
pub(crate) enum Decision {
    Set(Value),
    Leave(String),
}

/// What became of it.
pub(crate) enum Changed {
    Done,
    Left(String),
    /// 422: the entry is past the point where this may be set. With what the server says.
    Refused(String),
    /// It is gone.
    Gone,
}

pub(crate) async fn change(
    session: &Session,
    name: &EntryName,
    decide: impl Fn(&Entry) -> Decision,
) -> Result<Changed, Problem> {
    let api = Kind::Entry.api(&session.connection.calls);
    for _ in 0..TRIES {
        let Some(object) = session
            .ask("get", "nodereboots", api.get_opt(name.as_str()))
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
            Decision::Set(spec) => spec,
            Decision::Leave(why) => return Ok(Changed::Left(why)),
        };
        let patch = json!({"metadata": {"resourceVersion": object.metadata.resource_version}, "spec": spec});
        let written = session
            .answer(api.patch(name.as_str(), &parameters(), &Patch::Merge(&patch)))
            .await;
        match written {
            Ok(_) => return Ok(Changed::Done),
            Err(failure) => match failure.code() {
                Some(409) => {}
                Some(404) => return Ok(Changed::Gone),
                Some(422) => return Ok(Changed::Refused(said(&failure))),
                _ => return Err(failure.problem(session, "patch", "nodereboots")),
            },
        }
    }
    Err(Problem::failed(
        format!("entry {name} changes faster than it can be written"),
        "try again",
    ))
}

/// For writes of people that are neither a goal nor a pause.
pub(crate) fn parameters() -> PatchParams {
    PatchParams {
        field_manager: Some(names::CLI_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

pub(crate) fn said(failure: &Failure) -> String {
    failure
        .status()
        .map(|status| status.message.clone())
        .unwrap_or_default()
}
