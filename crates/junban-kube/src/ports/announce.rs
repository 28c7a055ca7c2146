//! Sends Kubernetes Events on the Node and on the entry. A lost Event does no harm.

use junban_api::names;
use junban_core::effect::Announcement;
use junban_engine::ports::NotifyPort;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

use super::KubePorts;
use crate::answer::{DEADLINE, within};
use crate::resource::Kind;

/// The API server allows a note of 1 KiB.
const NOTE_CHARS_MAX: usize = 1_000;

impl NotifyPort for KubePorts {
    async fn announce(&self, announcement: Announcement) {
        let event = Event {
            type_: if announcement.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: announcement.reason.clone(),
            note: Some(announcement.message.chars().take(NOTE_CHARS_MAX).collect()),
            action: "Reboot".to_owned(),
            secondary: None,
        };
        let node = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(announcement.node.as_str().to_owned()),
            uid: Some(announcement.node_uid.as_str().to_owned()),
            ..ObjectReference::default()
        };
        let entry = ObjectReference {
            api_version: Some(names::API_VERSION.to_owned()),
            kind: Some(Kind::Entry.as_str().to_owned()),
            name: Some(announcement.entry.as_str().to_owned()),
            uid: Some(announcement.entry_uid.as_str().to_owned()),
            ..ObjectReference::default()
        };
        let node = announcement.on_node.then_some(node);
        for object in node.into_iter().chain([entry]) {
            if let Err(failure) = within(DEADLINE, self.recorder.publish(&event, &object)).await {
                tracing::debug!(why = failure.text(), "an Event was lost");
            }
        }
    }
}
