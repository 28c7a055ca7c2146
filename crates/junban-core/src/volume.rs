//! Volumes of pods, and where they are attached.

use crate::ids::{NodeName, Version};
use crate::selector::Selector;

/// A PersistentVolumeClaim with what matters of its volume.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claim {
    pub volume: String,
    /// Node affinity of the bound volume: any one term must match. Empty: none.
    pub node_affinity: Vec<Selector>,
}

/// A VolumeAttachment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    pub name: String,
    pub version: Version,
    pub node: NodeName,
    pub volume: String,
    pub attached: bool,
}
