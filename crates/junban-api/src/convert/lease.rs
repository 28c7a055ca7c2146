//! A node's Lease: only that it changes is looked at, never its value as a time.

use junban_core::ids::NodeName;
use k8s_openapi::api::coordination::v1::Lease;

/// The node and its `renewTime` as text; `None` for a Lease without a name or that was never renewed.
pub fn renewal(lease: &Lease) -> Option<(NodeName, String)> {
    let name = lease.metadata.name.as_deref()?;
    let renewed = lease.spec.as_ref()?.renew_time.as_ref()?;
    Some((NodeName::from(name), renewed.0.to_string()))
}
