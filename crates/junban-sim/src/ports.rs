//! The engine's ports over the simulated world. Each call acts on the world at once. The loop (`crate::sim`) decides when
//! the answer arrives, so what the answer shows is kept until then.

mod patch;

use std::sync::{Arc, Mutex, MutexGuard};

use junban_api::{convert, names};
use junban_core::cluster::QueueView;
use junban_core::effect::{
    ActEvidence, Announcement, EvictOutcome, Evidence, MemberHealth, NewEntry, NodePatch, PodLeave,
    PowerAnswer, PowerOrder, QueueWrite, RIGHTS, Read, RecordWrite, Right, WriteOutcome,
};
use junban_core::entry::{Entry, PowerOutcome};
use junban_core::ids::{EntryName, EntryUid, NodeName, PodKey, PolicyName, Version};
use junban_core::policy::PolicySummary;
use junban_core::time::Mono;
use junban_engine::ports::{EntryPort, EvictPort, LedgerPort, NodePort, NotifyPort, PowerPort, ReadPort};
use junban_engine::shell::locked;
use junban_world::{self as world, ApiError, Client, Deny, Ms, Object, Preconditions, World};
use serde_json::Value;

use crate::cache::Shown;
use crate::objects::{self, ENTRY, POLICY, QUEUE, wall};

/// The ports of one process for one request.
pub(crate) struct SimPorts {
    world: Arc<Mutex<World>>,
    /// When the process sent the request. A request must be sent before its `not_after`, and may arrive later.
    sent: Ms,
    shown: Mutex<Vec<Shown>>,
}

impl SimPorts {
    pub(crate) fn new(world: Arc<Mutex<World>>, sent: Ms) -> Self {
        Self {
            world,
            sent,
            shown: Mutex::default(),
        }
    }

    /// Takes what the calls since the last time showed.
    pub(crate) fn take_shown(&self) -> Vec<Shown> {
        std::mem::take(&mut *locked(&self.shown))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    fn show(&self, shown: Shown) {
        locked(&self.shown).push(shown);
    }

    fn show_custom(&self, custom: Arc<world::Custom>) -> Arc<world::Custom> {
        self.show(Shown::Is(Object::Custom(custom.clone())));
        custom
    }

    fn is_past(&self, not_after: Mono) -> bool {
        Mono::from_millis(self.sent) >= not_after
    }

    /// Writes a status if the object still has this version.
    fn write_status(
        &self,
        kind: &str,
        name: &str,
        version: Version,
        uid: Option<&str>,
        status: Value,
    ) -> WriteOutcome {
        let preconditions = Preconditions {
            uid: uid.map(str::to_owned),
            resource_version: Some(version.0),
        };
        let written =
            self.world()
                .client(names::FIELD_MANAGER)
                .write_status(kind, name, status, &preconditions);
        match written {
            Ok(custom) => {
                self.show_custom(custom);
                WriteOutcome::Done
            }
            Err(error) => {
                if matches!(error, ApiError::NotFound { .. }) {
                    self.show_absent(kind, name);
                }
                write_outcome(error)
            }
        }
    }

    fn show_absent(&self, kind: &str, name: &str) {
        let rv = self.world().store().resource_version();
        self.show(match kind {
            QUEUE => Shown::NoQueue(rv),
            _ => Shown::NoEntry(EntryName::from(name), rv),
        });
    }

    fn previous_status(&self, kind: &str, name: &str) -> Value {
        let world = self.world();
        let known = world.store().custom(kind, name);
        known.map_or(Value::Null, |custom| custom.status.clone())
    }

    fn wall(&self) -> jiff::Timestamp {
        wall(self.world().now())
    }

    fn read_node(&self, name: &NodeName) -> Result<Option<junban_core::cluster::Node>, ApiError> {
        let mut world = self.world();
        let read = world.client(names::FIELD_MANAGER).node(name.as_str());
        let lease = world.client(names::FIELD_MANAGER).lease(name.as_str()).ok();
        let rv = world.store().resource_version();
        drop(world);
        match read {
            Ok(node) => {
                self.show(Shown::Is(Object::Node(node.clone())));
                let mut node = objects::node(&node);
                if let (Some(node), Some(lease)) = (&mut node, lease) {
                    node.lease = objects::renewal(&lease);
                }
                Ok(node)
            }
            Err(ApiError::NotFound { .. }) => {
                self.show(Shown::NoNode(name.clone(), rv));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads one of our own objects.
    fn read_custom(&self, kind: &str, name: &str) -> Result<Option<Arc<world::Custom>>, ApiError> {
        let read = self.world().client(names::FIELD_MANAGER).custom(kind, name);
        match read {
            Ok(custom) => Ok(Some(self.show_custom(custom))),
            Err(ApiError::NotFound { .. }) => {
                self.show_absent(kind, name);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read_entry(&self, name: &EntryName) -> Result<Option<Entry>, ApiError> {
        let custom = self.read_custom(ENTRY, name.as_str())?;
        Ok(custom.and_then(|custom| convert::entry::read(&objects::custom(&custom)).ok()))
    }

    fn read_queue(&self) -> Result<QueueView, ApiError> {
        let custom = self.read_custom(QUEUE, names::QUEUE)?;
        Ok(custom.map_or(QueueView::Absent, |custom| objects::queue(&custom)))
    }

    fn read_pods(&self, node: &NodeName) -> Result<Vec<junban_core::cluster::Pod>, ApiError> {
        let (rv, pods) = self.world().client(names::FIELD_MANAGER).pods_on(node.as_str())?;
        self.show(Shown::PodsOf(node.clone(), pods.clone(), rv));
        Ok(pods.iter().filter_map(|pod| objects::pod(pod)).collect())
    }

    fn read_attachments(&self, node: &NodeName) -> Result<Vec<junban_core::cluster::Attachment>, ApiError> {
        let mut world = self.world();
        let all = world.client(names::FIELD_MANAGER).attachments()?;
        let rv = world.store().resource_version();
        drop(world);
        let of_node: Vec<_> = all
            .into_iter()
            .filter(|found| *found.node == *node.as_str())
            .collect();
        self.show(Shown::AttachmentsOf(node.clone(), of_node.clone(), rv));
        Ok(of_node
            .iter()
            .map(|attachment| objects::attachment(attachment))
            .collect())
    }

    fn read_lists(&self) -> Result<Evidence, ApiError> {
        let mut world = self.world();
        let (_, nodes) = world.client(names::FIELD_MANAGER).nodes()?;
        let (_, entries) = world.client(names::FIELD_MANAGER).customs(ENTRY)?;
        drop(world);
        for node in &nodes {
            self.show(Shown::Is(Object::Node(node.clone())));
        }
        for entry in &entries {
            self.show(Shown::Is(Object::Custom(entry.clone())));
        }
        let entry = |custom: &Arc<world::Custom>| convert::entry::read(&objects::custom(custom)).ok();
        Ok(Evidence::Lists {
            nodes: nodes.iter().filter_map(|node| objects::node(node)).collect(),
            entries: entries.iter().filter_map(entry).collect(),
        })
    }

    fn try_read(&self, read: Read) -> Result<Evidence, ApiError> {
        Ok(match read {
            Read::Queue => Evidence::Queue(self.read_queue()?),
            Read::Turn { node, entry } => Evidence::Turn {
                node: self.read_node(&node)?,
                entry: entry.map(|entry| self.read_entry(&entry)).transpose()?.flatten(),
            },
            Read::Pods { node } => {
                let pods = self.read_pods(&node)?;
                self.read_attachments(&node)?;
                Evidence::Pods {
                    pods,
                    node: self.read_node(&node)?,
                }
            }
            Read::Act { node, entry } => Evidence::Act(Box::new(ActEvidence {
                queue: self.read_queue()?,
                node: self.read_node(&node)?,
                entry: self.read_entry(&entry)?,
                pods: self.read_pods(&node)?,
            })),
            Read::ControlPlane {
                api_servers, etcd, ..
            } => Evidence::ControlPlane(
                api_servers
                    .iter()
                    .chain(&etcd)
                    .map(|url| self.health(url))
                    .collect(),
            ),
            Read::Lists => return self.read_lists(),
            Read::Rights => Evidence::Rights(self.missing_rights()),
        })
    }

    fn missing_rights(&self) -> Vec<String> {
        let mut world = self.world();
        let denied = world.callers().faults(names::FIELD_MANAGER).deny.clone();
        let lacks = |right: &&Right| {
            let resource = match right.resource {
                "nodereboots" => ENTRY,
                "rebootqueues" => QUEUE,
                resource => resource,
            };
            let named = match right.subresource {
                "" => resource.to_owned(),
                subresource => format!("{resource}/{subresource}"),
            };
            let verb = |deny: &Deny| format!("{:?}", deny.verb).eq_ignore_ascii_case(right.verb);
            denied.iter().any(|deny| verb(deny) && deny.resource == named)
        };
        RIGHTS.iter().filter(lacks).map(ToString::to_string).collect()
    }

    /// A member of the control plane is healthy while its machine runs. Its URL names the machine: `https://cp-1:6443`.
    fn health(&self, url: &str) -> MemberHealth {
        let world = self.world();
        let host = url
            .split("//")
            .nth(1)
            .and_then(|rest| rest.split(':').next())
            .unwrap_or_default();
        let good = world.machine(host).is_some_and(|machine| machine.kubelet_up);
        MemberHealth {
            url: url.to_owned(),
            state: if good {
                Ok(())
            } else {
                Err("connection refused".into())
            },
        }
    }

    fn show_pod(&self, pod: &PodKey) {
        let mut world = self.world();
        let read = world.client(names::FIELD_MANAGER).pod(&pod.namespace, &pod.name);
        let rv = world.store().resource_version();
        drop(world);
        self.show(match read {
            Ok(found) => Shown::Is(Object::Pod(found)),
            Err(_) => Shown::NoPod(pod.clone(), rv),
        });
    }
}

impl LedgerPort for SimPorts {
    async fn write_queue(&self, write: QueueWrite) -> WriteOutcome {
        let name = names::QUEUE;
        let previous = self.previous_status(QUEUE, name);
        let status = convert::queue::status(Some(&write.ledger), &write.summary, &previous, self.wall());
        self.write_status(QUEUE, name, write.version, Some(write.uid.as_str()), status)
    }
}

impl NodePort for SimPorts {
    async fn patch_node(&self, patch: NodePatch) -> WriteOutcome {
        if patch.not_after.is_some_and(|end| self.is_past(end)) {
            return WriteOutcome::Conflict;
        }
        let mut world = self.world();
        let taints = world
            .client(names::FIELD_MANAGER)
            .node(patch.node.as_str())
            .map(|node| node.taints.clone());
        let ops = patch::operations(&patch, taints.unwrap_or_default());
        let written = world
            .client(names::FIELD_MANAGER)
            .patch_node(patch.node.as_str(), &ops);
        let rv = world.store().resource_version();
        drop(world);
        match written {
            Ok(node) => {
                self.show(Shown::Is(Object::Node(node)));
                WriteOutcome::Done
            }
            Err(ApiError::NotFound { .. }) => {
                self.show(Shown::NoNode(patch.node, rv));
                WriteOutcome::Gone
            }
            // The API server answers a guarded patch with 422 only if a `test` failed.
            Err(ApiError::Invalid { .. }) => WriteOutcome::Conflict,
            Err(error) => write_outcome(error),
        }
    }
}

impl EntryPort for SimPorts {
    async fn create_entry(&self, new: NewEntry) -> WriteOutcome {
        let object = convert::entry::object(&new.name, &new.spec);
        let labels = serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default();
        let created = self
            .world()
            .client(names::FIELD_MANAGER)
            .create_custom(world::NewCustom {
                kind: ENTRY.into(),
                name: new.name.as_str().into(),
                labels,
                annotations: world::Map::new(),
                spec: object["spec"].clone(),
            });
        match created {
            Ok(custom) => {
                self.show_custom(custom);
                WriteOutcome::Done
            }
            Err(ApiError::AlreadyExists { text }) => match self.read_entry(&new.name) {
                Ok(Some(entry)) if entry.spec == new.spec => WriteOutcome::Done,
                Ok(_) => WriteOutcome::Refused(text),
                Err(error) => write_outcome(error),
            },
            Err(error) => write_outcome(error),
        }
    }

    async fn write_record(&self, write: RecordWrite) -> WriteOutcome {
        let name = write.name.as_str();
        let previous = self.previous_status(ENTRY, name);
        let status = convert::entry::status(&write.record, &previous, self.wall());
        self.write_status(ENTRY, name, write.version, Some(write.uid.as_str()), status)
    }

    async fn delete_entry(&self, name: EntryName, uid: EntryUid, version: Version) -> WriteOutcome {
        let preconditions = Preconditions {
            uid: Some(uid.as_str().into()),
            resource_version: Some(version.0),
        };
        let deleted =
            self.world()
                .client(names::FIELD_MANAGER)
                .delete_custom(ENTRY, name.as_str(), &preconditions);
        match deleted {
            Ok(()) => {
                self.show_absent(ENTRY, name.as_str());
                WriteOutcome::Done
            }
            Err(error) => write_outcome(error),
        }
    }

    async fn write_policy_summary(
        &self,
        name: PolicyName,
        version: Version,
        summary: PolicySummary,
    ) -> WriteOutcome {
        let previous = self.previous_status(POLICY, name.as_str());
        let status = convert::policy::status(&summary, &previous, self.wall());
        self.write_status(POLICY, name.as_str(), version, None, status)
    }
}

impl EvictPort for SimPorts {
    async fn evict(&self, leave: PodLeave) -> EvictOutcome {
        let options = world::EvictOptions {
            uid: Some(leave.uid.as_str().into()),
            ..world::EvictOptions::default()
        };
        self.leave(&leave, |api, namespace, name| {
            api.evict(namespace, name, &options)
        })
    }

    async fn delete_pod(&self, leave: PodLeave) -> EvictOutcome {
        let options = world::DeleteOptions {
            uid: Some(leave.uid.as_str().into()),
            grace_s: None,
        };
        self.leave(&leave, |api, namespace, name| {
            api.delete_pod(namespace, name, &options)
        })
    }
}

impl SimPorts {
    /// Sends an eviction or a deletion. The answer shows the pod as it is now.
    fn leave(
        &self,
        leave: &PodLeave,
        send: impl FnOnce(&mut Client<'_>, &str, &str) -> Result<(), ApiError>,
    ) -> EvictOutcome {
        if self.is_past(leave.not_after) {
            return EvictOutcome::TooLate;
        }
        let (namespace, name) = (&leave.pod.namespace, &leave.pod.name);
        let answer = send(&mut self.world().client(names::FIELD_MANAGER), namespace, name);
        let outcome = match answer {
            Ok(()) => EvictOutcome::Accepted,
            Err(ApiError::NotFound { .. } | ApiError::Conflict { .. }) => EvictOutcome::Gone,
            Err(error) => return evict_outcome(error),
        };
        self.show_pod(&leave.pod);
        outcome
    }
}

impl ReadPort for SimPorts {
    async fn read(&self, read: Read) -> Evidence {
        self.try_read(read)
            .unwrap_or_else(|error| Evidence::Failed(error.to_string()))
    }
}

impl PowerPort for SimPorts {
    fn longest(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    async fn power(&self, order: PowerOrder) -> PowerAnswer {
        if self.is_past(order.not_after) {
            return PowerAnswer {
                outcome: PowerOutcome::NothingStarted,
                message: "too late".into(),
            };
        }
        let request = world::PowerRequest {
            node: order.node.as_str().into(),
            tag: world::PowerTag {
                entry: order.entry_uid.as_str().into(),
                attempt: u64::from(order.attempt),
            },
            only_boot_id: None,
            only_system_uuid: Some(order.system_uuid.as_str().into()),
        };
        let outcome = match self.world().power(&request) {
            world::PowerOutcome::Started => PowerOutcome::Started,
            world::PowerOutcome::NothingStarted => PowerOutcome::NothingStarted,
            world::PowerOutcome::Unknown => PowerOutcome::Unknown,
        };
        PowerAnswer {
            outcome,
            message: String::new(),
        }
    }
}

impl NotifyPort for SimPorts {
    async fn announce(&self, announcement: Announcement) {
        let text = format!(
            "{}: {} {}",
            announcement.node, announcement.reason, announcement.message
        );
        self.world().emit(world::Truth::Note { text });
    }
}

fn write_outcome(error: ApiError) -> WriteOutcome {
    match error {
        ApiError::NotFound { .. } => WriteOutcome::Gone,
        ApiError::Conflict { .. } | ApiError::AlreadyExists { .. } => WriteOutcome::Conflict,
        ApiError::Invalid { text } => WriteOutcome::Refused(text),
        ApiError::Forbidden { text, .. } => WriteOutcome::Forbidden(text),
        ApiError::TooManyRequests { retry_after_s, .. } => {
            WriteOutcome::Throttled(retry_after_s.map(std::time::Duration::from_secs))
        }
        error => WriteOutcome::Unknown(error.to_string()),
    }
}

/// docs/design/drain.md#what-an-eviction-answers
fn evict_outcome(error: ApiError) -> EvictOutcome {
    use std::time::Duration;
    match error {
        ApiError::TooManyRequests {
            cause,
            retry_after_s,
            text,
        } => match (cause.as_str(), retry_after_s) {
            (_, _) if text.contains("failed sync") => EvictOutcome::BudgetUnknown(text),
            ("DisruptionBudget", Some(seconds)) => EvictOutcome::BudgetBehind(Duration::from_secs(seconds)),
            ("DisruptionBudget", None) => EvictOutcome::BudgetExhausted(text),
            (_, _) if text.contains("webhook") => EvictOutcome::WebhookWaits(text),
            (_, seconds) => EvictOutcome::Throttled(Duration::from_secs(seconds.unwrap_or(1))),
        },
        ApiError::Internal { text } if text.contains("more than one PodDisruptionBudget") => {
            EvictOutcome::TwoBudgets(text)
        }
        ApiError::Internal { text } if text.contains("failed sync") => EvictOutcome::BudgetUnknown(text),
        ApiError::Forbidden { cause, .. } if cause == "NamespaceTerminating" => {
            EvictOutcome::NamespaceTerminating
        }
        ApiError::Forbidden { text, .. } if text.contains("webhook") => EvictOutcome::WebhookDenied(text),
        ApiError::Forbidden { text, .. } => EvictOutcome::Forbidden(text),
        ApiError::Internal { text } | ApiError::Invalid { text } if text.contains("webhook") => {
            EvictOutcome::WebhookDenied(text)
        }
        error => EvictOutcome::Unknown(error.to_string()),
    }
}
