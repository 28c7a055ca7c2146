//! PersistentVolumes, their claims and attachments, and Services.

use super::meta::{Meta, Name, Selector};
use super::pod::VolumeKind;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub meta: Meta,
    /// The one node that a local volume allows.
    pub node: Option<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub meta: Meta,
    pub kind: VolumeKind,
    /// The volume, once bound.
    pub volume: Option<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub meta: Meta,
    pub node: Name,
    pub volume: Name,
    pub attached: bool,
}

/// A Service. [`crate::World::endpoints`] counts its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub meta: Meta,
    pub selector: Selector,
}
