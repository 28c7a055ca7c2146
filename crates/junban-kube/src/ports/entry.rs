//! Writes entries and the status of policies.

use junban_api::convert;
use junban_core::effect::{NewEntry, RecordWrite, WriteOutcome};
use junban_core::ids::{EntryName, EntryUid, PolicyName, Version};
use junban_core::policy::PolicySummary;
use junban_engine::ports::EntryPort;
use kube::api::{DeleteParams, Preconditions};
use kube::core::{DynamicObject, ObjectMeta, TypeMeta};
use serde_json::{Value, json};

use super::{KubePorts, parameters};
use crate::answer::{DEADLINE, Failure, within};
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
            Ok(object) => self.written(&object),
            Err(failure) if failure.code() == Some(409) => self.existing(&new).await,
            Err(failure) => failure.outcome(),
        }
    }

    async fn write_record(&self, write: RecordWrite) -> WriteOutcome {
        let name = write.name.as_str();
        let previous = self.store.previous_status(Kind::Entry, name);
        let status = convert::entry::status(&write.record, &previous, self.wall());
        let uid = write.uid.as_str();
        match self
            .replace_status(Kind::Entry, name, uid, write.version, status)
            .await
        {
            Ok(object) => self.written(&object),
            Err(outcome) => {
                if outcome == WriteOutcome::Gone {
                    self.store.remove_entry(&write.name, Gone::Uid(uid));
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
                // Somebody else's finalizer keeps it.
                Some(object)
                    if object
                        .metadata
                        .finalizers
                        .as_ref()
                        .is_some_and(|list| !list.is_empty()) =>
                {
                    return self.written(&object);
                }
                _ => WriteOutcome::Done,
            },
            Err(failure) => failure.outcome(),
        };
        if matches!(outcome, WriteOutcome::Done | WriteOutcome::Gone) {
            self.store.remove_entry(&name, Gone::Uid(uid.as_str()));
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
        match self
            .replace_status(Kind::Policy, name.as_str(), "", version, status)
            .await
        {
            Ok(object) => {
                self.store.apply_policy(&object);
                WriteOutcome::Done
            }
            Err(outcome) => {
                if outcome == WriteOutcome::Gone {
                    self.store.remove_policy(name.as_str(), Gone::AsOf(version));
                }
                outcome
            }
        }
    }
}

impl KubePorts {
    fn written(&self, object: &DynamicObject) -> WriteOutcome {
        match self.store.apply_entry(object) {
            Ok(_) => WriteOutcome::Done,
            Err(why) => WriteOutcome::Unknown(format!(
                "the entry was written, and the answer cannot be read: {why}"
            )),
        }
    }

    /// An entry of this name exists: an earlier call of ours created it, or it is another one.
    async fn existing(&self, new: &NewEntry) -> WriteOutcome {
        let api = Kind::Entry.api(&self.connection.calls);
        match within(DEADLINE, api.get(new.name.as_str())).await {
            Ok(object) => match self.store.apply_entry(&object) {
                Ok(entry) if entry.spec == new.spec => WriteOutcome::Done,
                Ok(_) => WriteOutcome::Refused(format!("NodeReboot {} exists with another spec", new.name)),
                Err(why) => WriteOutcome::Refused(format!(
                    "NodeReboot {} exists and cannot be read: {why}",
                    new.name
                )),
            },
            Err(failure) if failure.is_not_found() => WriteOutcome::Conflict,
            Err(failure) => WriteOutcome::Unknown(failure.text()),
        }
    }

    /// Replaces the status of one of our objects. The server keeps its own spec and labels; UID (if not empty) and version
    /// are the preconditions.
    pub(super) async fn replace_status(
        &self,
        kind: Kind,
        name: &str,
        uid: &str,
        version: Version,
        status: Value,
    ) -> Result<DynamicObject, WriteOutcome> {
        let resource = kind.resource();
        let object = DynamicObject {
            types: Some(TypeMeta {
                api_version: resource.api_version,
                kind: resource.kind,
            }),
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                uid: Some(uid.to_owned()).filter(|uid| !uid.is_empty()),
                resource_version: Some(version.0.to_string()),
                ..ObjectMeta::default()
            },
            data: json!({ "status": status }),
        };
        let api = kind.api(&self.connection.calls);
        let answer = within(DEADLINE, api.replace_status(name, &parameters(), &object)).await;
        answer.map_err(Failure::outcome)
    }
}
