//! Live reads, past every cache. What they show is in the store before they return.

use std::collections::BTreeSet;
use std::time::Duration;

use junban_api::names;
use junban_core::cluster::{Attachment, Node, Pod, QueueView};
use junban_core::effect::{ActEvidence, Evidence, RIGHTS, Read};
use junban_core::entry::Entry;
use junban_core::ids::{EntryName, NodeName, PodKey, PodUid, Version};
use junban_engine::ports::ReadPort;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::Api;
use kube::api::{ListParams, PostParams};
use kube::core::DynamicObject;

use super::KubePorts;
use crate::answer::{DEADLINE, Failure, SHORT_DEADLINE, within};
use crate::gone::Gone;
use crate::resource::Kind;

/// A power action needs reads that began less than 4 s before it (docs/design/ledger.md#the-act). A later answer is of
/// no use.
const ACT_DEADLINE: Duration = Duration::from_secs(4);

impl ReadPort for KubePorts {
    async fn read(&self, read: Read) -> Evidence {
        match read {
            Read::Queue => self.queue().await.map_or_else(Evidence::Failed, Evidence::Queue),
            Read::Turn { node, entry } => {
                let of_entry = async {
                    match &entry {
                        Some(entry) => self.entry(entry, DEADLINE).await,
                        None => Ok(None),
                    }
                };
                let (node, entry) = tokio::join!(self.node(&node, DEADLINE), of_entry);
                match (node, entry) {
                    (Ok(node), Ok(entry)) => Evidence::Turn { node, entry },
                    (Err(why), _) | (_, Err(why)) => Evidence::Failed(why),
                }
            }
            Read::Pods { node: name } => {
                let (pods, node, attachments) = tokio::join!(
                    self.pods(&name, DEADLINE),
                    self.node(&name, DEADLINE),
                    self.attachments(&name, DEADLINE)
                );
                match (pods, node, attachments) {
                    (Ok(pods), Ok(node), Ok(_)) => Evidence::Pods { pods, node },
                    (Err(why), ..) | (_, Err(why), _) | (_, _, Err(why)) => Evidence::Failed(why),
                }
            }
            Read::Act { node, entry } => self.act(&node, &entry).await.unwrap_or_else(Evidence::Failed),
            Read::ControlPlane {
                api_servers,
                etcd,
                etcd_client_secret,
            } => {
                let members = self.control_plane.health(api_servers, etcd, etcd_client_secret);
                members
                    .await
                    .map_or_else(Evidence::Failed, Evidence::ControlPlane)
            }
            Read::Rights => self
                .rights()
                .await
                .map_or_else(Evidence::Failed, Evidence::Rights),
            Read::Lists => self.lists().await.unwrap_or_else(Evidence::Failed),
        }
    }
}

impl KubePorts {
    async fn act(&self, node: &NodeName, entry: &EntryName) -> Result<Evidence, String> {
        let (queue, node, entry, pods) = tokio::join!(
            self.queue(),
            self.node(node, ACT_DEADLINE),
            self.entry(entry, ACT_DEADLINE),
            self.pods(node, ACT_DEADLINE),
        );
        Ok(Evidence::Act(Box::new(ActEvidence {
            queue: queue?,
            node: node?,
            entry: entry?,
            pods: pods?,
        })))
    }

    /// Asks the API server for each right. Every account may ask for its own rights.
    async fn rights(&self) -> Result<Vec<String>, String> {
        let api: Api<SelfSubjectAccessReview> = Api::all(self.connection.calls.clone());
        let mut missing = Vec::new();
        for right in RIGHTS {
            let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let attributes = ResourceAttributes {
                verb: text(right.verb),
                group: text(right.group),
                resource: text(right.resource),
                subresource: text(right.subresource),
                ..ResourceAttributes::default()
            };
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(attributes),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let answer = within(DEADLINE, api.create(&PostParams::default(), &review)).await;
            let status = answer.map_err(|failure| failure.text())?.status;
            if !status.is_some_and(|status| status.allowed) {
                missing.push(right.to_string());
            }
        }
        Ok(missing)
    }

    async fn queue(&self) -> Result<QueueView, String> {
        let api = Kind::Queue.api(&self.connection.queue);
        let known = self.store.queue_uid();
        let object = found(within(SHORT_DEADLINE, api.get(names::QUEUE)).await)?;
        let Some(object) = object else {
            if let Some(uid) = known {
                self.store.remove_queue(Gone::Uid(&uid));
            }
            return Ok(QueueView::Absent);
        };
        Ok(self.store.apply_queue(&object))
    }

    async fn node(&self, name: &NodeName, deadline: Duration) -> Result<Option<Node>, String> {
        let api: Api<core::Node> = Api::all(self.connection.calls.clone());
        let known = self
            .store
            .with(|cluster| cluster.nodes.get(name).map(|node| node.uid.clone()));
        match found(within(deadline, api.get(name.as_str())).await)? {
            Some(object) => self
                .store
                .apply_node(&object)
                .map(Some)
                .ok_or_else(|| format!("node {name} cannot be read")),
            None => {
                if let Some(uid) = known {
                    self.store.remove_node(name, Gone::Uid(uid.as_str()));
                }
                Ok(None)
            }
        }
    }

    async fn entry(&self, name: &EntryName, deadline: Duration) -> Result<Option<Entry>, String> {
        let api = Kind::Entry.api(&self.connection.calls);
        let known = self
            .store
            .with(|cluster| cluster.entries.get(name).map(|entry| entry.uid.clone()));
        match found(within(deadline, api.get(name.as_str())).await)? {
            Some(object) => self.store.apply_entry(&object).map(Some),
            None => {
                if let Some(uid) = known {
                    self.store.remove_entry(name, Gone::Uid(uid.as_str()));
                }
                Ok(None)
            }
        }
    }

    /// The pods that are bound to a node, in one consistent list.
    async fn pods(&self, node: &NodeName, deadline: Duration) -> Result<Vec<Pod>, String> {
        let api: Api<core::Pod> = Api::all(self.connection.calls.clone());
        let parameters = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let list = within(deadline, api.list(&parameters))
            .await
            .map_err(|failure| failure.text())?;
        let of_list = list
            .metadata
            .resource_version
            .as_deref()
            .and_then(|text| text.parse().ok())
            .map(Version);
        let mut pods = Vec::with_capacity(list.items.len());
        for object in &list.items {
            // A pod that cannot be read may be one that must leave. So the whole read fails.
            pods.push(
                self.store
                    .apply_pod(object)
                    .ok_or("a pod of the list cannot be read")?,
            );
        }
        let Some(of_list) = of_list else { return Ok(pods) };
        let listed: BTreeSet<&PodKey> = pods.iter().map(|pod| &pod.key).collect();
        let vanished: Vec<(PodKey, PodUid)> = self.store.with(|cluster| {
            let known = cluster.pods_of(node).filter(|pod| pod.version <= of_list);
            known
                .filter(|pod| !listed.contains(&pod.key))
                .map(|pod| (pod.key.clone(), pod.uid.clone()))
                .collect()
        });
        // By UID, not as of the list's version: another pod of the same name may already run on another node.
        for (key, uid) in &vanished {
            self.store.remove_pod(key, Gone::Uid(uid.as_str()));
        }
        Ok(pods)
    }

    /// Reads the known VolumeAttachments of a node, one by one: a list cannot be filtered by node.
    async fn attachments(&self, node: &NodeName, deadline: Duration) -> Result<Vec<Attachment>, String> {
        let known: Vec<(String, Version)> = self.store.with(|cluster| {
            let of_node = cluster
                .attachments
                .values()
                .filter(|attachment| attachment.node == *node);
            of_node
                .map(|attachment| (attachment.name.clone(), attachment.version))
                .collect()
        });
        let api: Api<VolumeAttachment> = Api::all(self.connection.calls.clone());
        let reads = known
            .iter()
            .map(async |(name, known)| (name, known, within(deadline, api.get(name)).await));
        let mut attachments = Vec::new();
        for (name, known, read) in futures::future::join_all(reads).await {
            match found(read)? {
                Some(object) => attachments.extend(self.store.apply_attachment(&object)),
                None => self.store.remove_attachment(name, Gone::AsOf(*known)),
            }
        }
        Ok(attachments)
    }

    async fn lists(&self) -> Result<Evidence, String> {
        let nodes: Api<core::Node> = Api::all(self.connection.calls.clone());
        let entries = Kind::Entry.api(&self.connection.calls);
        let all = ListParams::default();
        let (node_list, entry_list) = tokio::join!(
            within(DEADLINE, nodes.list(&all)),
            within(DEADLINE, entries.list(&all))
        );
        let node_list = node_list.map_err(|failure| failure.text())?;
        let entry_list = entry_list.map_err(|failure| failure.text())?;
        let nodes = node_list
            .items
            .iter()
            .filter_map(|object| self.store.apply_node(object))
            .collect();
        // The cluster keeps the names of entries that cannot be read. The other entries are still used.
        let read = |object: &DynamicObject| self.store.apply_entry(object).ok();
        let entries = entry_list.items.iter().filter_map(read).collect();
        Ok(Evidence::Lists { nodes, entries })
    }
}

/// "Not found" is an answer, not an error.
fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, String> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure.text()),
    }
}
