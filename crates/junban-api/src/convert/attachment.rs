//! VolumeAttachment to core.

use junban_core::cluster::Attachment;
use junban_core::ids::NodeName;
use k8s_openapi::api::storage::v1::VolumeAttachment;

use super::{Incomplete, meta};

/// Reads a VolumeAttachment. `volume` is empty for an inline volume, which has no PersistentVolume.
pub fn read(attachment: &VolumeAttachment) -> Result<Attachment, Incomplete> {
    let meta = meta::read("VolumeAttachment", &attachment.metadata)?;
    let spec = &attachment.spec;
    Ok(Attachment {
        name: meta.name,
        version: meta.version,
        node: NodeName::new(spec.node_name.clone()),
        volume: spec.source.persistent_volume_name.clone().unwrap_or_default(),
        attached: attachment.status.as_ref().is_some_and(|status| status.attached),
    })
}
