//! An administrator's watches, one for each kind of object that facts need. They list again when they break off.

use anyhow::Result;
use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::testbed::Testbed;

const KINDS: [(&str, &str, &str); 10] = [
    ("", "v1", "Node"),
    ("", "v1", "Pod"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("apps", "v1", "DaemonSet"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("storage.k8s.io", "v1", "VolumeAttachment"),
    ("junban.dev", "v1alpha1", "RebootQueue"),
    ("junban.dev", "v1alpha1", "RebootPolicy"),
    ("junban.dev", "v1alpha1", "NodeReboot"),
];

/// One event of a watch.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) kind: &'static str,
    pub(super) event: watcher::Event<DynamicObject>,
}

/// Starts the watches.
pub(super) async fn start(bed: &Testbed) -> Result<UnboundedReceiver<Seen>> {
    let kubeconfig = Kubeconfig::read_from(&bed.ready().kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // An error means that another part of the process has installed one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::try_from(config)?;
    let (sender, receiver) = unbounded_channel();
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let sender = sender.clone();
        tokio::spawn(async move {
            // Short, because an API server can go away without closing its watches.
            let config = watcher::Config::default().timeout(20);
            let mut events = watcher(api, config).default_backoff().boxed();
            while let Some(event) = events.next().await {
                // The watcher tries again after an error. Without a receiver the run has ended.
                if let Ok(event) = event
                    && sender.send(Seen { kind, event }).is_err()
                {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}
