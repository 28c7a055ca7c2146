//! Writes to Nodes: one guarded JSON patch each.

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

/// What the API server says of every patch that it cannot apply; a failed `test` is one of them.
const PATCH_FAILED: &str = "due to an error in our request";

impl NodePort for KubePorts {
    async fn patch_node(&self, patch: NodePatch) -> WriteOutcome {
        let Some(node) = self.store.with(|cluster| cluster.nodes.get(&patch.node).cloned()) else {
            return WriteOutcome::Gone;
        };
        let Some(operations) = operations(&patch, &node, self.store.shape(&patch.node)) else {
            return WriteOutcome::Conflict;
        };
        // By hand: kube's own JSON patch is a feature of its own that nothing else needs.
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
        // The whole call, for what is not connected yet may leave late.
        let left = patch.not_after.map(|end| end.since(boottime()));
        if left == Some(Duration::ZERO) {
            return WriteOutcome::Conflict;
        }
        let deadline = left.map_or(DEADLINE, |left| left.min(DEADLINE));
        match within(deadline, self.connection.calls.request::<Node>(request)).await {
            Ok(node) => {
                self.store.node(&node);
                WriteOutcome::Done
            }
            Err(failure) if failure.code() == Some(422) && failure.words().contains(PATCH_FAILED) => {
                WriteOutcome::Conflict
            }
            Err(failure) => {
                let outcome = failure.outcome();
                if outcome == WriteOutcome::Gone {
                    self.store.no_node(&patch.node, Gone::Uid(patch.uid.as_str()));
                }
                outcome
            }
        }
    }
}
