//! Entries and the status of policies.

use junban_api::convert;
use junban_core::effect::{NewEntry, RecordWrite, WriteOutcome};
use junban_core::ids::{EntryName, EntryUid, PolicyName, Version};
use junban_core::policy::PolicySummary;
use junban_engine::ports::EntryPort;
use kube::api::{DeleteParams, Preconditions};
use kube::core::{DynamicObject, ObjectMeta, TypeMeta};
use serde_json::{Value, json};

use super::{KubePorts, parameters};
use crate::answer::{DEADLINE, within};
use crate::gone::Gone;
use crate::resource::Kind;

impl EntryPort for KubePorts {
    async fn create_entry(&self, new: NewEntry) -> WriteOutcome {
        let object: DynamicObject = match serde_json::from_value(convert::entry::object(&new.name, &new.spec))
        {
            Ok(object) => object,
            Err(error) => return WriteOutcome::Refused(error.to_string()),
        };
        let api = Kind::Entry.api(&self.connection.calls);
        match within(DEADLINE, api.create(&parameters(), &object)).await {
            Ok(object) => self.created(&object),
            Err(failure) if failure.code() == Some(409) => self.is_the_same(&new).await,
            Err(failure) => failure.outcome(),
        }
    }

    async fn write_record(&self, write: RecordWrite) -> WriteOutcome {
        let name = write.name.as_str();
        let previous = self.store.previous_status(Kind::Entry, name);
        let status = convert::entry::status(&write.record, &previous, self.wall());
        let object = status_object(Kind::Entry, name, write.uid.as_str(), write.version, status);
        let api = Kind::Entry.api(&self.connection.calls);
        match within(DEADLINE, api.replace_status(name, &parameters(), &object)).await {
            Ok(object) => self.created(&object),
            Err(failure) => {
                let outcome = failure.outcome();
                if outcome == WriteOutcome::Gone {
                    self.store.no_entry(&write.name, Gone::Uid(write.uid.as_str()));
                }
                outcome
            }
        }
    }

    async fn delete_entry(&self, name: EntryName, uid: EntryUid, version: Version) -> WriteOutcome {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.as_str().to_owned()),
                resource_version: Some(version.0.to_string()),
            }),
            ..DeleteParams::default()
        };
        let api = Kind::Entry.api(&self.connection.calls);
        let outcome = match within(DEADLINE, api.delete(name.as_str(), &parameters)).await {
            Ok(answer) => match answer.left() {
                // A finalizer of somebody else's keeps it.
                Some(object)
                    if object
                        .metadata
                        .finalizers
                        .as_ref()
                        .is_some_and(|list| !list.is_empty()) =>
                {
                    return self.created(&object);
                }
                _ => WriteOutcome::Done,
            },
            Err(failure) => failure.outcome(),
        };
        if matches!(outcome, WriteOutcome::Done | WriteOutcome::Gone) {
            self.store.no_entry(&name, Gone::Uid(uid.as_str()));
        }
        outcome
    }

    async fn write_policy_summary(
        &self,
        name: PolicyName,
        version: Version,
        summary: PolicySummary,
    ) -> WriteOutcome {
        let previous = self.store.previous_status(Kind::Policy, name.as_str());
        let status = convert::policy::status(&summary, &previous, self.wall());
        let object = status_object(Kind::Policy, name.as_str(), "", version, status);
        let api = Kind::Policy.api(&self.connection.calls);
        match within(
            DEADLINE,
            api.replace_status(name.as_str(), &parameters(), &object),
        )
        .await
        {
            Ok(object) => {
                self.store.policy(&object);
                WriteOutcome::Done
            }
            Err(failure) => {
                let outcome = failure.outcome();
                if outcome == WriteOutcome::Gone {
                    self.store.no_policy(name.as_str(), Gone::AsOf(version));
                }
                outcome
            }
        }
    }
}

impl KubePorts {
    fn created(&self, object: &DynamicObject) -> WriteOutcome {
        match self.store.entry(object) {
            Ok(_) => WriteOutcome::Done,
            Err(why) => WriteOutcome::Unknown(format!("it was written and cannot be read: {why}")),
        }
    }

    /// There is one of that name: made by our own earlier call, or another.
    async fn is_the_same(&self, new: &NewEntry) -> WriteOutcome {
        let api = Kind::Entry.api(&self.connection.calls);
        match within(DEADLINE, api.get(new.name.as_str())).await {
            Ok(object) => match self.store.entry(&object) {
                Ok(entry) if entry.spec == new.spec => WriteOutcome::Done,
                Ok(_) => {
                    WriteOutcome::Refused(format!("there is a NodeReboot {} with another spec", new.name))
                }
                Err(why) => WriteOutcome::Refused(format!("there is a NodeReboot {}: {why}", new.name)),
            },
            Err(failure) if failure.is_not_found() => WriteOutcome::Conflict,
            Err(failure) => WriteOutcome::Unknown(failure.words()),
        }
    }
}

/// What a status write needs of an object. The server takes spec and labels from what it has; UID and version are
/// its preconditions.
pub(super) fn status_object(
    kind: Kind,
    name: &str,
    uid: &str,
    version: Version,
    status: Value,
) -> DynamicObject {
    let resource = kind.resource();
    DynamicObject {
        types: Some(TypeMeta {
            api_version: resource.api_version.clone(),
            kind: resource.kind.clone(),
        }),
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            uid: Some(uid.to_owned()).filter(|uid| !uid.is_empty()),
            resource_version: Some(version.0.to_string()),
            ..ObjectMeta::default()
        },
        data: json!({ "status": status }),
    }
}
