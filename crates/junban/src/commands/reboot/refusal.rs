//! Why `junban reboot` does nothing, in words.

use junban_api::convert::format_goal;
use junban_api::names;
use junban_core::reason::Reason;
use junban_core::verbs::reboot::Refusal;

use crate::commands::problem::Problem;

const APPLY_DEFAULTS: &str = "kubectl apply --server-side -f manifests/defaults";

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoQueue => Self::failed(
                "there is no RebootQueue named default, which counts as paused: nothing would start",
                APPLY_DEFAULTS,
            ),
            Refusal::UnreadableQueue(why) => Self::failed(
                format!("the RebootQueue cannot be read, which counts as paused: {why}"),
                "correct it: kubectl edit rebootqueue default",
            ),
            Refusal::NoPolicy => Self::failed(
                "there is no RebootPolicy, so no policy selects any node",
                APPLY_DEFAULTS,
            ),
            Refusal::UnreadablePolicies { policy, why } => Self::failed(
                format!("no policy can be read; RebootPolicy/{policy}: {why}"),
                Reason::UnreadablePolicy.hint(),
            ),
            Refusal::Conflict(blocker) => {
                Self::failed(format!("no node can be rebooted: {blocker}"), blocker.hint())
            }
            Refusal::NothingSelected(nodes) => Self::failed(
                format!("no policy selects any of the {nodes} nodes"),
                "compare spec.nodeSelector with kubectl get nodes --show-labels: kubectl get rebootpolicies -o yaml",
            ),
            Refusal::GoalInFuture { policy, goal, now } => Self::failed(
                format!(
                    "policy {policy} has the goal {}, which lies in the future (it is {}): not due yet, nothing was changed",
                    format_goal(goal),
                    format_goal(now)
                ),
                "wait until it is due, or set it to now: junban reboot --all --again",
            ),
            Refusal::NoSuchNodes(nodes) => {
                let nodes: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
                Self::failed(
                    format!("there is no node named {}: nothing was done", nodes.join(", ")),
                    "kubectl get nodes",
                )
            }
            Refusal::Excluded(node) => Self::failed(
                format!(
                    "node {node} is labelled {}: it is never touched; nothing was done",
                    names::EXCLUDE
                ),
                format!("kubectl label node {node} {}-", names::EXCLUDE),
            ),
            Refusal::NotGoverned(node, blocker) => Self::failed(
                format!("node {node} cannot be rebooted: {blocker}; nothing was done"),
                blocker.hint(),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
