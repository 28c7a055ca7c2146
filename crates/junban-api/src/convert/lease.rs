//! A node's Lease. Only a change of its renewal counts; the value is never compared with a clock.

use junban_core::ids::NodeName;
use k8s_openapi::api::coordination::v1::Lease;

/// The node, and its `renewTime` as text. `None`: the Lease has no name or was never renewed.
pub fn renewal(lease: &Lease) -> Option<(NodeName, String)> {
    let name = lease.metadata.name.as_deref()?;
    let renewed = lease.spec.as_ref()?.renew_time.as_ref()?;
    Some((NodeName::from(name), renewed.0.to_string()))
}
