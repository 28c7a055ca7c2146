//! The log of changes that watches read. It keeps a limited history, as etcd does.

use std::collections::VecDeque;
use std::sync::Arc;

use super::budget::Budget;
use super::custom::Custom;
use super::error::ApiError;
use super::meta::Ms;
use super::node::{Lease, Node};
use super::owner::Owner;
use super::pod::Pod;
use super::volume::{Attachment, Claim, Service, Volume};

/// An object as it was at one resource version.
#[derive(Debug, Clone)]
pub enum Object {
    Node(Arc<Node>),
    Lease(Arc<Lease>),
    Pod(Arc<Pod>),
    Budget(Arc<Budget>),
    Owner(Arc<Owner>),
    Volume(Arc<Volume>),
    Claim(Arc<Claim>),
    Attachment(Arc<Attachment>),
    Service(Arc<Service>),
    Custom(Arc<Custom>),
}

/// One write, as a watch reports it.
#[derive(Debug, Clone)]
pub struct Change {
    pub rv: u64,
    pub at: Ms,
    /// The object was deleted; `object` is its last state.
    pub deleted: bool,
    pub object: Object,
}

/// The newest changes.
#[derive(Debug, Default)]
pub struct ChangeLog {
    changes: VecDeque<Change>,
    capacity: usize,
    /// Changes up to this version have been dropped.
    compacted: u64,
}

impl ChangeLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, change: Change) {
        if self.changes.len() >= self.capacity.max(1)
            && let Some(old) = self.changes.pop_front()
        {
            self.compacted = old.rv;
        }
        self.changes.push_back(change);
    }

    /// Drops the changes up to `rv`.
    pub(crate) fn compact(&mut self, rv: u64) {
        while self.changes.front().is_some_and(|c| c.rv <= rv) {
            self.changes.pop_front();
        }
        self.compacted = self.compacted.max(rv);
    }

    /// The changes after `rv`, oldest first; [`ApiError::Gone`] if some of them have been dropped.
    pub fn since(&self, rv: u64) -> Result<impl Iterator<Item = &Change>, ApiError> {
        if rv < self.compacted {
            return Err(ApiError::Gone);
        }
        let from = self.changes.partition_point(|c| c.rv <= rv);
        Ok(self.changes.range(from..))
    }
}
