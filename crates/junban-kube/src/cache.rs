//! The caches: every kind that is observed, listed and then watched into the store.
//!
//! Watch events carry no decision: they change the store and wake the engine.

mod follow;
mod kinds;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::connect::Connection;
use crate::store::Store;

/// Follows every kind until dropped. Returns once every initial list is in the store: a plan over half of a
/// cluster would be a plan over another cluster.
pub async fn start(connection: &Connection, store: &Arc<Store>) -> Caches {
    let mut following = follow::Following::default();
    kinds::all(connection, store, &mut following);
    let (tasks, listed) = following.into_parts();
    for listed in listed {
        listed.await;
    }
    Caches { _tasks: tasks }
}

/// The watches; dropping it ends them.
pub struct Caches {
    _tasks: JoinSet<()>,
}
