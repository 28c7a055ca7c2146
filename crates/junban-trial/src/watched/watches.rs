//! An administrator's watches, one for each kind of object that the checkers and the facts need. They list again when they
//! break off.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::Result;
use futures::StreamExt as _;
use junban_world::Ms;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config};

use crate::time::now;

/// An object stands after those that say what it means: a pod after its owners, a Lease after its Node.
pub(super) const KINDS: [(&str, &str, &str); 14] = [
    ("junban.dev", "v1alpha1", "RebootPolicy"),
    ("junban.dev", "v1alpha1", "NodeReboot"),
    ("", "v1", "Node"),
    ("coordination.k8s.io", "v1", "Lease"),
    ("storage.k8s.io", "v1", "VolumeAttachment"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("apps", "v1", "DaemonSet"),
    ("batch", "v1", "Job"),
    ("apps", "v1", "ReplicaSet"),
    ("", "v1", "Pod"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
    ("junban.dev", "v1alpha1", "RebootQueue"),
];

/// The Leases of nodes are in this namespace.
const LEASES: &str = "kube-node-lease";

/// One event of a watch.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The place of the kind in [`KINDS`].
    pub(super) kind: usize,
    /// In milliseconds since 1970.
    pub(super) at: Ms,
    pub(super) event: watcher::Event<DynamicObject>,
}

/// Starts the watches, on a thread of their own. They end when nobody receives any more.
pub(crate) fn start(kubeconfig: &Path) -> Result<Receiver<Seen>> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    // An error means that another part of the process has installed one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let config = runtime.block_on(Config::from_custom_kubeconfig(
        kubeconfig,
        &KubeConfigOptions::default(),
    ))?;
    let client = {
        let _inside = runtime.enter();
        Client::try_from(config)?
    };
    let (sender, receiver) = channel();
    let follow = move |kind: usize| {
        let (group, version, name) = KINDS[kind];
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, name));
        let api: Api<DynamicObject> = match name {
            "Lease" => Api::namespaced_with(client.clone(), LEASES, &resource),
            _ => Api::all_with(client.clone(), &resource),
        };
        let sender = sender.clone();
        async move {
            // Short, because an API server can go away without closing its watches.
            let config = watcher::Config::default().timeout(20);
            let mut events = watcher(api, config).default_backoff().boxed();
            while let Some(event) = events.next().await {
                // The watcher tries again after an error. Without a receiver the run has ended.
                if let Ok(event) = event
                    && sender
                        .send(Seen {
                            kind,
                            at: now(),
                            event,
                        })
                        .is_err()
                {
                    return;
                }
            }
        }
    };
    thread::spawn(move || runtime.block_on(futures::future::join_all((0..KINDS.len()).map(follow))));
    Ok(receiver)
}
