//! PersistentVolumeClaim with its PersistentVolume to core.

use junban_core::cluster::Claim;
use junban_core::ids::ClaimKey;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::affinity;

/// The key of a claim. `None`: it has no name or no namespace.
pub fn key(claim: &PersistentVolumeClaim) -> Option<ClaimKey> {
    let namespace = claim.metadata.namespace.clone()?;
    Some(ClaimKey::new(namespace, claim.metadata.name.clone()?))
}

/// The name of the volume that a claim is bound to.
pub fn volume_name(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim
        .spec
        .as_ref()?
        .volume_name
        .as_deref()
        .filter(|name| !name.is_empty())
}

/// The claim that a volume is bound to. This claim must be read again when the volume changes.
pub fn bound_to(volume: &PersistentVolume) -> Option<ClaimKey> {
    let claim = volume.spec.as_ref()?.claim_ref.as_ref()?;
    Some(ClaimKey::new(claim.namespace.clone()?, claim.name.clone()?))
}

/// Reads a claim with the node affinity of its volume. A claim without a volume has none yet.
pub fn read(claim: &PersistentVolumeClaim, volume: Option<&PersistentVolume>) -> Claim {
    let required = volume
        .and_then(|volume| volume.spec.as_ref()?.node_affinity.as_ref())
        .and_then(|affinity| affinity.required.as_ref());
    Claim {
        volume: volume_name(claim).unwrap_or_default().to_owned(),
        node_affinity: required.map(affinity::terms).unwrap_or_default(),
    }
}
