//! Volumes of pods, and where they are attached.

use crate::ids::{NodeName, Version};
use crate::selector::Selector;

/// A PersistentVolumeClaim, and the affinity of its volume.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claim {
    pub volume: String,
    /// The terms of the volume's node affinity. One of them must match. Empty: the volume has no node affinity.
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
