//! The engine's ports on a real cluster, one file each.

mod announce;
mod control_plane;
mod entry;
mod evict;
mod ledger;
mod node;
mod read;

use std::sync::Arc;

use jiff::Timestamp;
use junban_api::names::FIELD_MANAGER;
use kube::api::PostParams;
use kube::runtime::events::{Recorder, Reporter};

use crate::connect::Connection;
use crate::store::Store;
use control_plane::ControlPlane;

/// Implements every port except power.
pub struct KubePorts {
    connection: Connection,
    store: Arc<Store>,
    control_plane: ControlPlane,
    recorder: Recorder,
}

impl KubePorts {
    /// Events carry `identity` as their reporting instance.
    pub fn new(connection: &Connection, store: &Arc<Store>, namespace: &str, identity: &str) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(identity.to_owned()),
        };
        Self {
            connection: connection.clone(),
            store: store.clone(),
            control_plane: ControlPlane::new(connection, namespace),
            recorder: Recorder::new(connection.calls.clone(), reporter),
        }
    }

    /// The API server's time, for times that are only shown.
    fn wall(&self) -> Timestamp {
        self.connection.wall.now()
    }
}

/// Every write carries the name of our field manager, so that we can tell later whether a cordon is ours.
fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}
