//! Writes to Nodes: each is one guarded JSON patch.

use std::time::Duration;

use http::{Request, header};
use junban_api::names;
use junban_core::effect::{NodePatch, WriteOutcome};
use junban_engine::clock::boottime;
use junban_engine::ports::NodePort;
use k8s_openapi::api::core::v1::Node;

use super::KubePorts;
use crate::answer::{DEADLINE, within};
use crate::gone::Gone;
use crate::patch::operations;

/// The API server says this of every patch that it cannot apply, and so of a failed `test`.
const PATCH_FAILED: &str = "due to an error in our request";

impl NodePort for KubePorts {
    async fn patch_node(&self, patch: NodePatch) -> WriteOutcome {
        let Some(node) = self.store.with(|cluster| cluster.nodes.get(&patch.node).cloned()) else {
            return WriteOutcome::Gone;
        };
        let Some(operations) = operations(&patch, &node, self.store.shape(&patch.node)) else {
            return WriteOutcome::Conflict;
        };
        // Built by hand: kube's JSON patch needs a feature of kube that nothing else here needs.
        let uri = format!(
            "/api/v1/nodes/{}?fieldManager={}",
            patch.node,
            names::FIELD_MANAGER
        );
        let request = Request::patch(uri)
            .header(header::CONTENT_TYPE, "application/json-patch+json")
            .header(header::ACCEPT, "application/json")
            .body(operations.to_string().into_bytes());
        let request = match request {
            Ok(request) => request,
            Err(error) => return WriteOutcome::Refused(error.to_string()),
        };
        // The deadline covers the whole call: a call that still waits for a connection must not go out late.
        let left = patch.not_after.map(|end| end.since(boottime()));
        if left == Some(Duration::ZERO) {
            return WriteOutcome::Conflict;
        }
        let deadline = left.map_or(DEADLINE, |left| left.min(DEADLINE));
        match within(deadline, self.connection.calls.request::<Node>(request)).await {
            Ok(node) => {
                self.store.apply_node(&node);
                WriteOutcome::Done
            }
            Err(failure) if failure.code() == Some(422) && failure.text().contains(PATCH_FAILED) => {
                WriteOutcome::Conflict
            }
            Err(failure) => {
                let outcome = failure.outcome();
                if outcome == WriteOutcome::Gone {
                    self.store.remove_node(&patch.node, Gone::Uid(patch.uid.as_str()));
                }
                outcome
            }
        }
    }
}
