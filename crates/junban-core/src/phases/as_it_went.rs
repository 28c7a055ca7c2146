//! Does the node come back as it went: without a new taint, and with no fewer resources
//! (docs/design/proof.md#as-it-went)?

use crate::blocker::Blocker;
use crate::detail::Detail;
use crate::mark::Found;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::policy::VerifyRules;
use crate::reason::Reason;

/// Memory may be less by one part in so many, which is 2 %: a kernel reserves a little more or less at each boot.
const MEMORY_MARGIN: i64 = 50;
/// Resources that the kubelet's settings and what is stored on the node decide, not the machine alone.
const NOT_OF_THE_MACHINE: [&str; 2] = ["pods", "ephemeral-storage"];

/// What the node has more of, or less of, than at the start of its turn.
pub(super) fn differs(found: &Found, node: &Node, rules: &VerifyRules) -> Option<Blocker> {
    new_taint(found, node, rules).or_else(|| lost_resource(found, node, rules))
}

fn new_taint(found: &Found, node: &Node, rules: &VerifyRules) -> Option<Blocker> {
    let mut taints = node.taints.iter().filter(|taint| taint.keeps_pods_out());
    let taint = taints.find(|taint| {
        !found.taints.contains(&taint.to_string()) && !is_listed(&rules.ignore_taints, &taint.key)
    })?;
    let node = ObjectRef::Node(node.name.clone());
    Some(Blocker::new(
        Reason::NewTaint,
        node,
        Detail::NewTaint(taint.to_string()),
    ))
}

fn lost_resource(found: &Found, node: &Node, rules: &VerifyRules) -> Option<Blocker> {
    let amount = |resource: &String| node.allocatable.get(resource).copied().unwrap_or_default();
    let is_less = |(resource, before): &(&String, &i64)| match resource.as_str() {
        "memory" => amount(resource) < *before - *before / MEMORY_MARGIN,
        _ => amount(resource) < **before,
    };
    let counts = |(resource, _): &(&String, &i64)| {
        !NOT_OF_THE_MACHINE.contains(&resource.as_str()) && !is_listed(&rules.ignore_resources, resource)
    };
    let mut resources = found.allocatable.iter().filter(counts);
    let (resource, before) = resources.find(is_less)?;
    let detail = Detail::FewerResources {
        resource: resource.clone(),
        before: *before,
        now: amount(resource),
    };
    let node = ObjectRef::Node(node.name.clone());
    Some(Blocker::new(Reason::FewerResources, node, detail))
}

/// `*` stands for all.
fn is_listed(list: &[String], name: &str) -> bool {
    list.iter().any(|listed| listed == "*" || listed == name)
}

#[cfg(test)]
mod tests;
