//! The ports on a real cluster, one file each.

mod announce;
mod control_plane;
mod entry;
mod evict;
mod ledger;
mod node;
mod read;

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::PostParams;

use crate::connect::Connection;
use crate::store::Store;
use control_plane::ControlPlaneClients;

/// Implements every port but power.
pub struct KubePorts {
    connection: Connection,
    store: Arc<Store>,
    /// Junban's own, for its Secrets.
    namespace: String,
    control_plane: ControlPlaneClients,
    recorder: kube::runtime::events::Recorder,
}

impl KubePorts {
    /// `identity` is the instance that Events name.
    pub fn new(connection: &Connection, store: &Arc<Store>, namespace: &str, identity: &str) -> Self {
        Self {
            connection: connection.clone(),
            store: store.clone(),
            namespace: namespace.to_owned(),
            control_plane: ControlPlaneClients::default(),
            recorder: announce::recorder(connection, identity),
        }
    }

    /// The API server's time, for what is shown.
    fn wall(&self) -> Timestamp {
        self.connection.wall.now()
    }
}

/// Every write of ours bears the manager's name: a cordon's owner is read from it.
fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(junban_api::names::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}
