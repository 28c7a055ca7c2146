//! The ports on a real API server, with the rights of the account of the manifests only. These tests cover what only a
//! real server can show: what its guards refuse, whose cordon it is, how it answers evictions.
//!
//! `cargo test -p junban-kube --test real -- --ignored` starts a testbed of its own and ends it. JUNBAN_TESTBED may hold
//! the JSON line of a running one (`cargo xtask testbed up --output json`).

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test")]

use std::sync::Arc;
use std::time::Duration;

use junban_core::cluster::{Budget, Node, Pod, QueueView};
use junban_core::effect::{
    BudgetKey, EvictOutcome, Evidence, NewEntry, NodeChange, NodePatch, NodeWrite, PodLeave, QueueWrite,
    Read, RecordWrite, WriteOutcome,
};
use junban_core::entry::{EntrySpec, Phase};
use junban_core::ids::{EntryName, Version};
use junban_core::time::Timestamp;
use junban_engine::clock::boottime;
use junban_engine::elector::{LeaseAnswer, LeaseCall, LeaseWrite};
use junban_engine::ports::{EntryPort, EvictPort, LedgerPort, NodePort, ReadPort};
use junban_engine::shell::{LeasePort, locked};
use junban_kube::{Connection, KubeLease, KubePorts, Store, cache};

#[path = "real/testbed.rs"]
mod testbed;

use testbed::{Testbed, manifests};

const WORKLOAD: &str = include_str!("real/workload.yaml");

struct World {
    testbed: Testbed,
    connection: Connection,
    store: Arc<Store>,
    ports: KubePorts,
}

/// Waits for something that the watches must show in the end.
async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..300 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("after 30 s still not: {what}")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real control plane; `cargo xtask test` runs it"]
async fn the_ports_on_a_real_api_server() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let testbed = Testbed::find();
    testbed.install();
    let file = std::env::temp_dir().join(format!("junban-real-{}.yaml", std::process::id()));
    std::fs::write(&file, WORKLOAD).unwrap();
    testbed.apply(&file);
    std::fs::remove_file(&file).unwrap();

    let connection = Connection::new(testbed.config().await).unwrap();
    let store = Arc::new(Store::new("junban"));
    let _caches = cache::start(&connection, &store).await;
    let ports = KubePorts::new(&connection, &store, "junban", "real-test");
    let world = World {
        testbed,
        connection,
        store,
        ports,
    };
    world.lease().await;
    world.node_guards().await;
    world.ledger().await;
    world.entries().await;
    world.evictions().await;
    world.control_plane().await;
    assert_eq!(
        world.connection.warnings.count(),
        0,
        "the API server warned about a request of ours"
    );
    assert!(world.connection.wall.at(boottime()).is_some());
}

impl World {
    fn a_node(&self) -> Node {
        locked(&self.store.cluster)
            .nodes
            .values()
            .find(|node| !node.control_plane && node.ready)
            .cloned()
            .unwrap()
    }

    async fn lease(&self) {
        let name = format!("junban-real-{}", std::process::id());
        let lease = KubeLease::new(&self.connection, "junban", &name);
        // The account may create any Lease here, but may read only its own.
        let answer = lease.call(LeaseCall::Read).await;
        assert!(
            matches!(&answer, LeaseAnswer::Failed(why) if why.contains("cannot get")),
            "{answer:?}"
        );
        let lease = KubeLease::new(&self.connection, "junban", "junban");
        let write = LeaseWrite {
            holder: "real-test".into(),
            transitions: 3,
            acquired: true,
            clock: junban_core::time::Reading {
                led_ms: 7,
                running_ms: 5,
            },
            queue_paused: false,
        };
        let view = match lease.call(LeaseCall::Read).await {
            LeaseAnswer::Is(view) => {
                match lease.call(LeaseCall::Replace(view.version, write.clone())).await {
                    LeaseAnswer::Is(view) => view,
                    other => panic!("{other:?}"),
                }
            }
            LeaseAnswer::Absent => match lease.call(LeaseCall::Create(write.clone())).await {
                LeaseAnswer::Is(view) => view,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (view.holder.as_str(), view.clock.led_ms, view.clock.running_ms),
            ("real-test", 7, 5)
        );
        let stale = lease.call(LeaseCall::Replace(Version(1), write.clone())).await;
        assert_eq!(stale, LeaseAnswer::Conflict);
        let released = LeaseWrite {
            holder: String::new(),
            ..write
        };
        let released = lease.call(LeaseCall::Replace(view.version, released)).await;
        assert!(
            matches!(&released, LeaseAnswer::Is(view) if view.holder.is_empty()),
            "{released:?}"
        );
    }

    /// etcd wants a client certificate. The account may read the one Secret that the extra manifest grants, and no other.
    async fn control_plane(&self) {
        const SECRET: &str = "junban-etcd-client";
        let etcd = &self.testbed.etcd;
        let file = |key: &str, path: &str| format!("--from-file={key}={path}");
        self.testbed.kubectl(&[
            "-n",
            "junban",
            "create",
            "secret",
            "generic",
            SECRET,
            &file("tls.crt", &etcd.certificate),
            &file("tls.key", &etcd.key),
            &file("ca.crt", &etcd.authorities),
        ]);
        let health = async |secret: &str| {
            let read = Read::ControlPlane {
                api_servers: vec![self.testbed.api_server.clone(), "https://127.0.0.1:1".into()],
                etcd: vec![etcd.url.clone()],
                etcd_client_secret: secret.into(),
            };
            self.ports.read(read).await
        };
        let refused = |evidence: Evidence, name: &str| match evidence {
            Evidence::Failed(why) => {
                assert!(why.contains(name) && why.contains("forbidden"), "{why}");
            }
            other => panic!("{other:?}"),
        };
        refused(health(SECRET).await, SECRET);
        self.testbed
            .apply(&manifests().join("extras/etcd-client-secret.yaml"));
        let states = async |secret: &str| match health(secret).await {
            Evidence::ControlPlane(members) => {
                let states: Vec<_> = members.iter().map(|member| member.state.is_ok()).collect();
                Some(states)
            }
            Evidence::Failed(_) => None,
            other => panic!("{other:?}"),
        };
        // The authorizer sees the new binding a moment later.
        let mut seen = None;
        for _ in 0..50 {
            seen = states(SECRET).await;
            if seen.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(
            seen,
            Some(vec![true, false, true]),
            "one API server does not exist"
        );
        // Without the certificate the member does not answer, so it is not healthy.
        assert_eq!(states("").await, Some(vec![true, false, false]));
        refused(health("another").await, "another");
    }

    async fn node_guards(&self) {
        let node = self.a_node();
        let cordon = |node: &Node| NodePatch {
            node: node.name.clone(),
            uid: node.uid.clone(),
            version: Some(node.version),
            mark_is: Some(None),
            unschedulable_is: Some(false),
            changes: vec![
                NodeChange::Unschedulable(true),
                NodeChange::ExcludeFromLoadBalancers(true),
                NodeChange::PendingTaint(true),
            ],
            what: NodeWrite::Start,
            not_after: None,
            why: None,
        };
        let mut of_another = cordon(&node);
        of_another.uid = "another".into();
        assert_eq!(self.ports.patch_node(of_another).await, WriteOutcome::Conflict);
        let mut too_late = cordon(&node);
        too_late.not_after = Some(boottime());
        assert_eq!(self.ports.patch_node(too_late).await, WriteOutcome::Conflict);

        // Others may change the Node at any moment. That is a conflict, and the Node is read again.
        for _ in 0..5 {
            let node = self.live(&node).await;
            match self.ports.patch_node(cordon(&node)).await {
                WriteOutcome::Done => break,
                outcome => assert_eq!(outcome, WriteOutcome::Conflict),
            }
        }
        let cordoned = locked(&self.store.cluster).nodes[&node.name].clone();
        assert!(
            cordoned.unschedulable && cordoned.cordon_is_ours && cordoned.pending_taint,
            "the store does not show our own write"
        );
        assert!(cordoned.excluded_from_load_balancers);

        // A person uncordons and cordons the node: now the cordon is theirs.
        self.testbed.kubectl(&["uncordon", node.name.as_str()]);
        self.testbed.kubectl(&["cordon", node.name.as_str()]);
        let taken = self.live(&node).await;
        assert!(taken.unschedulable && !taken.cordon_is_ours);
        let mut back = cordon(&taken);
        back.unschedulable_is = Some(true);
        back.changes = vec![
            NodeChange::Unschedulable(false),
            NodeChange::ExcludeFromLoadBalancers(false),
            NodeChange::PendingTaint(false),
        ];
        let mut without_mark = back.clone();
        without_mark.mark_is = Some(Some("{}".into()));
        assert_eq!(self.ports.patch_node(without_mark).await, WriteOutcome::Conflict);
        for _ in 0..5 {
            back.version = Some(self.live(&node).await.version);
            if self.ports.patch_node(back.clone()).await == WriteOutcome::Done {
                break;
            }
        }
        let node = self.live(&node).await;
        assert!(!node.unschedulable && !node.pending_taint && !node.excluded_from_load_balancers);
    }

    async fn live(&self, node: &Node) -> Node {
        let read = Read::Turn {
            node: node.name.clone(),
            entry: None,
        };
        match self.ports.read(read).await {
            Evidence::Turn {
                node: Some(node),
                entry: None,
            } => node,
            other => panic!("{other:?}"),
        }
    }

    async fn ledger(&self) {
        let Evidence::Queue(QueueView::Present(queue)) = self.ports.read(Read::Queue).await else {
            panic!("no queue")
        };
        let write = QueueWrite {
            uid: queue.uid.clone(),
            version: queue.version,
            ledger: queue.ledger.clone().unwrap_or_default(),
            summary: queue.summary.clone(),
            dropped: vec![],
        };
        let mut of_another = write.clone();
        of_another.uid = "another".into();
        assert_eq!(self.ports.write_queue(of_another).await, WriteOutcome::Conflict);
        // A pause between the decision and the write makes the write fail.
        self.testbed
            .patch("rbq", "default", r#"{"spec":{"paused":true}}"#);
        assert_eq!(
            self.ports.write_queue(write.clone()).await,
            WriteOutcome::Conflict
        );
        self.testbed
            .patch("rbq", "default", r#"{"spec":{"paused":false}}"#);
        let Evidence::Queue(QueueView::Present(queue)) = self.ports.read(Read::Queue).await else {
            panic!("no queue")
        };
        let write = QueueWrite {
            version: queue.version,
            ..write
        };
        assert_eq!(self.ports.write_queue(write).await, WriteOutcome::Done);
        let after = locked(&self.store.cluster).queue.present().cloned().unwrap();
        assert!(after.ledger.is_some() && after.version >= queue.version);
    }

    async fn entries(&self) {
        let node = self.a_node();
        let new = NewEntry {
            name: EntryName::from("real-test"),
            spec: EntrySpec {
                reason: "a test".into(),
                ..EntrySpec::new(
                    node.name.clone(),
                    node.uid.clone(),
                    "workers".into(),
                    Timestamp::UNIX_EPOCH,
                )
            },
        };
        assert_eq!(self.ports.create_entry(new.clone()).await, WriteOutcome::Done);
        assert_eq!(
            self.ports.create_entry(new.clone()).await,
            WriteOutcome::Done,
            "the same again"
        );
        let mut other = new.clone();
        other.spec.priority = 1;
        assert!(matches!(
            self.ports.create_entry(other).await,
            WriteOutcome::Refused(_)
        ));

        let entry = locked(&self.store.cluster).entries[&new.name].clone();
        let mut record = RecordWrite {
            node: node.name.clone(),
            name: entry.name.clone(),
            uid: entry.uid.clone(),
            version: entry.version,
            record: entry.record.clone(),
        };
        record.record.phase = Phase::Draining;
        assert_eq!(self.ports.write_record(record.clone()).await, WriteOutcome::Done);
        assert_eq!(
            self.ports.write_record(record.clone()).await,
            WriteOutcome::Conflict,
            "an old version"
        );
        // The server itself refuses to reboot a node whose entry is cancelled.
        self.testbed
            .patch("nrb", "real-test", r#"{"spec":{"cancel":true}}"#);
        let cancelled = eventually("the cancel", || {
            let entry = locked(&self.store.cluster).entries.get(&new.name).cloned();
            entry.filter(|entry| entry.spec.cancel)
        });
        let cancelled = cancelled.await;
        record.version = cancelled.version;
        record.record.phase = Phase::Rebooting;
        let refused = self.ports.write_record(record).await;
        assert!(
            matches!(&refused, WriteOutcome::Refused(why) if why.contains("cancel")),
            "{refused:?}"
        );

        let (name, uid) = (new.name.clone(), cancelled.uid.clone());
        let old = self
            .ports
            .delete_entry(name.clone(), uid.clone(), entry.version)
            .await;
        assert_eq!(old, WriteOutcome::Conflict);
        assert_eq!(
            self.ports
                .delete_entry(name.clone(), uid.clone(), cancelled.version)
                .await,
            WriteOutcome::Done
        );
        assert!(!locked(&self.store.cluster).entries.contains_key(&name));
        assert_eq!(
            self.ports.delete_entry(name, uid, cancelled.version).await,
            WriteOutcome::Gone
        );
    }

    async fn evictions(&self) {
        let zero = self.pod("zero").await;
        let denied = self.ports.evict(leave(&zero)).await;
        assert!(
            matches!(&denied, EvictOutcome::BudgetExhausted(why) if why.contains("zero")),
            "{denied:?}"
        );
        let two = self.pod("two").await;
        let denied = self.ports.evict(leave(&two)).await;
        assert!(matches!(&denied, EvictOutcome::TwoBudgets(_)), "{denied:?}");
        let free = self.pod("free").await;
        let mut of_another = leave(&free);
        of_another.uid = "another".into();
        assert_eq!(self.ports.evict(of_another).await, EvictOutcome::Gone);
        // No role is bound, so the account may not delete any pod.
        let deleted = self.ports.delete_pod(leave(&free)).await;
        assert!(matches!(&deleted, EvictOutcome::Forbidden(_)), "{deleted:?}");
        let free = self.pod("free").await;
        assert_eq!(self.ports.evict(leave(&free)).await, EvictOutcome::Accepted);
        let gone = locked(&self.store.cluster)
            .pods
            .get(&free.key)
            .is_none_or(|pod| pod.terminating || pod.uid != free.uid);
        assert!(gone, "the store does not show our own eviction");
        let read = Read::Pods {
            node: free.node.clone().unwrap(),
        };
        let Evidence::Pods { pods, node: Some(_) } = self.ports.read(read).await else {
            panic!("the pods cannot be listed")
        };
        assert!(pods.iter().all(|pod| pod.uid != free.uid || pod.terminating));
    }

    /// The Ready pod of an app of the workload, once the server has counted its budgets.
    async fn pod(&self, app: &str) -> Pod {
        eventually(app, || {
            let cluster = locked(&self.store.cluster);
            let of_app = |pod: &Pod| pod.labels.get("app").is_some_and(|label| label == app);
            let mut pods = cluster.pods.values();
            let pod = pods.find(|pod| of_app(pod) && pod.ready && !pod.terminating)?;
            let budgets: Vec<_> = cluster.budgets_of(pod).collect();
            // If several budgets select a pod, a change of the pod makes the disruption controller count only one of
            // them. It counts the other one when that budget changes, and that may have been before the pod existed.
            let counted = |budget: &&Budget| budget.observed_generation > 0 && budget.expected_pods > 0;
            let enough = if budgets.len() > 1 {
                budgets.iter().any(counted)
            } else {
                budgets.iter().all(counted)
            };
            enough.then(|| pod.as_ref().clone())
        })
        .await
    }
}

fn leave(pod: &Pod) -> PodLeave {
    PodLeave {
        node: pod.node.clone().unwrap(),
        pod: pod.key.clone(),
        uid: pod.uid.clone(),
        budget: BudgetKey::Pod(pod.key.clone()),
        not_after: boottime() + Duration::from_secs(4),
    }
}
