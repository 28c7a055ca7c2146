//! Small objects and a toy cluster for unit tests. Every effect is carried out at once and acknowledged. How a real API
//! server behaves is tested by the scenarios.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::budget::Budget;
use crate::cluster::{Cluster, QueueView};
use crate::effect::{
    ActEvidence, Effect, EvictOutcome, Evidence, NodeChange, NodePatch, Outcome, PowerAnswer, Read,
    WriteOutcome,
};
use crate::entry::{Entry, Phase, PowerOutcome, Record};
use crate::ids::{EntryUid, NodeName, PdbKey, PodKey, Version};
use crate::memory::Memory;
use crate::node::Node;
use crate::plan::plan;
use crate::pod::{Neighbours, Pod, PodPhase};
use crate::policy::{
    CapacityRule, DrainRules, Leave, OnTimeout, Policy, PolicySummary, RebootRules, Step, StuckTerminating,
    VerifyRules,
};
use crate::quantity::IntOrPercent;
use crate::queue::{ControlPlane, Ledger, Queue, QueueSummary};
use crate::reason::Reason;
use crate::schedule::Schedule;
use crate::selector::Selector;
use crate::time::{Mono, Now, Reading, Timestamp};
use crate::workload::{WorkloadKey, WorkloadKind};

/// The wall time at which every test begins.
pub(crate) const EPOCH: i64 = 1_763_888_400;

/// A queue with the default values and an empty ledger.
pub(crate) fn queue() -> Queue {
    Queue {
        uid: "queue-uid".into(),
        version: Version(1),
        generation: 1,
        created: Timestamp::UNIX_EPOCH,
        paused: false,
        pause_reason: String::new(),
        resumed: false,
        max_concurrent: IntOrPercent::Percent(100),
        max_unavailable: IntOrPercent::Percent(10),
        failures_max: IntOrPercent::Percent(5),
        control_plane: ControlPlane::default(),
        history_per_node: 3,
        ledger: Some(Ledger::default()),
        summary: QueueSummary::default(),
        quorum_groups: Vec::new(),
    }
}

/// The policy `workers`: role=worker, a goal at [`EPOCH`], one command, and the default values.
pub(crate) fn policy() -> Policy {
    Policy {
        name: "workers".into(),
        version: Version(1),
        generation: 1,
        node_selector: Ok(Selector::of_labels([("role".to_owned(), "worker".to_owned())])),
        priority: 0,
        booted_after: Timestamp::from_second(EPOCH).ok(),
        goal_reason: "BIOS 2.19".to_owned(),
        min_interval: Duration::ZERO,
        max_concurrent: None,
        groups: None,
        drain: DrainRules {
            timeout: Duration::from_secs(1_800),
            load_balancer_wait: Duration::ZERO,
            unbudgeted_max_unavailable: IntOrPercent::Percent(10),
            delete_after_denial: Vec::new(),
            jobs_evict: None,
            jobs_deadline: Duration::from_secs(6 * 3_600),
            empty_dir: Leave::Evict,
            bare: Leave::Block,
            on_timeout: OnTimeout::Release,
            budgets: Vec::new(),
            stuck_terminating: StuckTerminating::Release,
            capacity: CapacityRule {
                is_required: true,
                report_only: Vec::new(),
            },
        },
        reboot: RebootRules {
            ladder: vec![Step::Command {
                command: vec!["power".into()],
            }],
            boot_timeout: Duration::from_secs(60),
            attempts: 1,
        },
        verify: VerifyRules {
            timeout: Duration::from_secs(900),
            daemon_sets: true,
            settle: None,
            ignore_taints: Vec::new(),
            ignore_resources: Vec::new(),
        },
        summary: PolicySummary::default(),
    }
}

pub(crate) fn node(name: &str) -> Node {
    Node {
        name: name.into(),
        uid: format!("uid-{name}").as_str().into(),
        version: Version(1),
        created: Timestamp::UNIX_EPOCH,
        labels: BTreeMap::from([("role".to_owned(), "worker".to_owned())]),
        unschedulable: false,
        cordon_is_ours: false,
        taints: Vec::new(),
        excluded: false,
        held: false,
        control_plane: false,
        excluded_from_load_balancers: false,
        pending_taint: false,
        ready: true,
        boot_id: Some(format!("{name}-boot-1").as_str().into()),
        system_uuid: format!("machine-{name}").as_str().into(),
        lease: "1".into(),
        allocatable: BTreeMap::from([("cpu".to_owned(), 8_000)]),
        mark: None,
        mark_text: None,
        journal: None,
        waived: None,
        foreign_owner: None,
        etcd: false,
    }
}

/// A budget of every pod in `shop`. Of `expected` pods this many are healthy and needed.
pub(crate) fn budget(name: &str, healthy: u32, needed: u32, expected: u32) -> Budget {
    Budget {
        key: PdbKey::new("shop", name),
        uid: "budget".into(),
        version: Version(1),
        generation: 1,
        observed_generation: 1,
        selector: Some(Selector::default()),
        always_allow_unhealthy: false,
        disruptions_allowed: healthy.saturating_sub(needed),
        current_healthy: healthy,
        desired_healthy: needed,
        expected_pods: expected,
        disrupted_pods: Vec::new(),
        sync_failed: None,
        labels: BTreeMap::new(),
        expects_what_it_selects: false,
    }
}

/// A Ready pod, the only one of its ReplicaSet.
pub(crate) fn pod(name: &str, on: &str) -> Pod {
    Pod {
        key: PodKey::new("shop", name),
        uid: format!("pod-{name}").as_str().into(),
        version: Version(1),
        node: Some(on.into()),
        labels: BTreeMap::from([("app".to_owned(), "cart".to_owned())]),
        phase: PodPhase::Running,
        ready: true,
        terminating: false,
        created: Timestamp::UNIX_EPOCH,
        grace: Duration::from_secs(30),
        has_finalizers: false,
        owner: Some(WorkloadKey::new(
            WorkloadKind::ReplicaSet,
            "shop",
            format!("{name}-1"),
        )),
        is_mirror: false,
        fits_nowhere: false,
        empty_dirs: Vec::new(),
        wish: None,
        claims: Vec::new(),
        running_containers: vec![format!("containerd://{name}")],
        requests: BTreeMap::from([("cpu".to_owned(), 100)]),
        node_selector: BTreeMap::new(),
        required_affinity: Vec::new(),
        neighbours: Neighbours::default(),
        is_gated: false,
        tolerations: Vec::new(),
        priority: 0,
        is_junban: false,
        ends: false,
        bound: Timestamp::UNIX_EPOCH,
        ready_since: Some(Timestamp::UNIX_EPOCH),
        gone_by: None,
    }
}

/// A cluster in which every effect succeeds at once. A machine boots some time after its power action.
pub(crate) struct Toy {
    pub cluster: Cluster,
    pub memory: Memory,
    pub now_ms: u64,
    pub boot_ms: u64,
    /// Power actions, in order.
    pub powered: Vec<String>,
    /// Pods whose eviction was asked for, in order.
    pub evicted: Vec<String>,
    /// `node: Phase` at each change, in order.
    pub phases: Vec<String>,
    /// Live reads, in order.
    pub reads: Vec<Read>,
    /// Events, in order.
    pub announced: Vec<String>,
    /// The answer of the driver.
    pub driver: PowerOutcome,
    /// The answer of the API server to each patch of a Node, if it rejects them.
    pub node_patch_answer: Option<WriteOutcome>,
    /// The answer to each creation of an entry, if the API server rejects them.
    pub creation_answer: Option<WriteOutcome>,
    /// The answer to each eviction. `None`: the pod leaves.
    pub eviction_answer: Option<EvictOutcome>,
    pub missing_rights: Vec<String>,
    /// Nodes that only a live read shows.
    pub hidden: BTreeMap<NodeName, Node>,
    booting: BTreeMap<NodeName, u64>,
    version: u64,
}

impl Toy {
    pub(crate) fn new(nodes: &[&str]) -> Self {
        let mut cluster = Cluster {
            queue: QueueView::Present(Box::new(queue())),
            ..Cluster::default()
        };
        for name in nodes {
            cluster.apply_node(node(name));
        }
        let policy = policy();
        cluster.policies.insert(policy.name.clone(), policy);
        Self {
            cluster,
            memory: Memory::new("toy"),
            now_ms: 0,
            boot_ms: 30_000,
            powered: Vec::new(),
            evicted: Vec::new(),
            phases: Vec::new(),
            reads: Vec::new(),
            announced: Vec::new(),
            driver: PowerOutcome::Started,
            node_patch_answer: None,
            creation_answer: None,
            eviction_answer: None,
            missing_rights: Vec::new(),
            hidden: BTreeMap::new(),
            booting: BTreeMap::new(),
            version: 1,
        }
    }

    pub(crate) fn now(&self) -> Now {
        let ms = i64::try_from(self.now_ms).unwrap();
        Now {
            mono: Mono::from_millis(self.now_ms),
            clock: Reading {
                led_ms: self.now_ms,
                running_ms: self.now_ms,
            },
            wall: Timestamp::from_millisecond(EPOCH * 1_000 + ms).unwrap(),
        }
    }

    pub(crate) fn queue(&mut self) -> &mut Queue {
        match &mut self.cluster.queue {
            QueueView::Present(queue) => queue,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn policy(&mut self) -> &mut Policy {
        self.cluster.policies.values_mut().next().unwrap()
    }

    /// A node to change. It gets a new version.
    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        let version = self.next_version();
        let node = self.cluster.nodes.get_mut(&NodeName::new(name)).unwrap();
        node.version = version;
        node
    }

    pub(crate) fn entry(&self, node: &str) -> Option<&Entry> {
        self.cluster
            .entries
            .values()
            .find(|entry| entry.spec.node.as_str() == node)
    }

    pub(crate) fn phase(&self, node: &str) -> Option<(Phase, Option<Reason>)> {
        self.entry(node)
            .map(|entry| (entry.record.phase, entry.record.reason))
    }

    #[track_caller]
    pub(crate) fn assert_phase(&self, node: &str, phase: Phase, reason: Reason) {
        let expected = Some((phase, Some(reason)));
        assert_eq!(self.phase(node), expected, "{node}: {:?}", self.entry(node));
    }

    pub(crate) fn slots(&mut self) -> Vec<String> {
        self.queue()
            .ledger
            .iter()
            .flat_map(|ledger| ledger.slots.keys())
            .map(ToString::to_string)
            .collect()
    }

    /// Plans and carries out effects until there are no more. Returns when to plan again.
    pub(crate) fn settle(&mut self) -> Option<Mono> {
        for _ in 0..500 {
            if let Err(wake_at) = self.step() {
                return wake_at;
            }
        }
        panic!(
            "the plan always wants more effects: {:?}",
            plan(&self.cluster, &self.memory, &Schedule::default(), self.now()).effects
        );
    }

    /// Plans once and carries out the effects. `Err`: there are none, and when to plan again.
    pub(crate) fn step(&mut self) -> Result<(), Option<Mono>> {
        let now = self.now();
        self.memory.observe(&self.cluster, now);
        let schedule = Schedule::by_scarce_budgets(1, &self.cluster);
        let plan = plan(&self.cluster, &self.memory, &schedule, now);
        if plan.effects.is_empty() {
            return Err(plan.wake_at);
        }
        for effect in plan.effects {
            self.memory.sent(&effect, &self.cluster, now.mono);
            let outcome = self.carry_out(&effect);
            self.memory
                .fold(&effect, now.mono, outcome, &self.cluster, now.mono);
        }
        // An answer takes a moment, because evidence must be later than what it is compared with.
        self.now_ms += 1;
        Ok(())
    }

    /// Lets seconds pass one by one. Leases are renewed and machines boot.
    pub(crate) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.settle();
            self.now_ms += 1_000;
            let due: Vec<_> = self
                .booting
                .iter()
                .filter(|(_, at)| **at <= self.now_ms)
                .map(|(name, _)| name.clone())
                .collect();
            for name in due {
                self.booting.remove(&name);
                let (now, version) = (self.now_ms, self.next_version());
                let node = self.cluster.nodes.get_mut(&name).unwrap();
                node.boot_id = Some(format!("{name}-boot-at-{now}").as_str().into());
                node.version = version;
            }
            let now = self.now_ms;
            for (name, node) in &mut self.cluster.nodes {
                if !self.booting.contains_key(name) {
                    node.lease = now.to_string();
                }
            }
        }
        self.settle();
    }

    fn next_version(&mut self) -> Version {
        self.version += 1;
        Version(self.version)
    }

    fn carry_out(&mut self, effect: &Effect) -> Outcome {
        let version = self.next_version();
        match effect {
            Effect::WriteQueue(write) => {
                let queue = self.queue();
                if queue.version != write.version {
                    return Outcome::Write(WriteOutcome::Conflict);
                }
                queue.ledger = Some(write.ledger.clone());
                queue.summary = write.summary.clone();
                queue.version = version;
                Outcome::Write(WriteOutcome::Done)
            }
            Effect::PatchNode(patch) => {
                let forbidden = self.node_patch_answer.clone();
                Outcome::Write(forbidden.unwrap_or_else(|| self.patch(patch, version)))
            }
            Effect::CreateEntry(_) if self.creation_answer.is_some() => {
                Outcome::Write(self.creation_answer.clone().unwrap())
            }
            Effect::CreateEntry(new) => {
                let entry = Entry {
                    name: new.name.clone(),
                    uid: EntryUid::new(format!("uid-{}-{}", new.name, version.0)),
                    version,
                    generation: 1,
                    created: self.now().wall,
                    spec: new.spec.clone(),
                    record: Record::default(),
                };
                self.cluster.entries.insert(new.name.clone(), entry);
                Outcome::Write(WriteOutcome::Done)
            }
            Effect::WriteRecord(write) => {
                let entry = self.cluster.entries.get_mut(&write.name).unwrap();
                if entry.version != write.version {
                    return Outcome::Write(WriteOutcome::Conflict);
                }
                let (from, to) = (entry.record.phase, write.record.phase);
                if entry.spec.cancel && matches!(to, Phase::Rebooting | Phase::Verifying) {
                    let rule = "a cancelled entry can be neither Rebooting nor Verifying";
                    return Outcome::Write(WriteOutcome::Refused(rule.into()));
                }
                if from != to {
                    let made_again = write.record.reason == Some(Reason::EntryDeleted);
                    assert!(from.may_become(to) || made_again, "{from} > {to}");
                    self.phases.push(format!("{}: {to}", entry.spec.node));
                }
                entry.record = write.record.clone();
                entry.version = version;
                Outcome::Write(WriteOutcome::Done)
            }
            Effect::DeleteEntry { name, .. } => {
                self.cluster.entries.remove(name);
                Outcome::Write(WriteOutcome::Done)
            }
            Effect::WritePolicySummary { name, summary, .. } => {
                self.cluster.policies.get_mut(name).unwrap().summary = summary.clone();
                Outcome::Write(WriteOutcome::Done)
            }
            Effect::Evict(leave) | Effect::DeletePod(leave) => {
                self.evicted.push(leave.pod.to_string());
                if let Some(outcome) = &self.eviction_answer {
                    return Outcome::Evict(outcome.clone());
                }
                self.cluster.remove_pod(&leave.pod);
                Outcome::Evict(EvictOutcome::Accepted)
            }
            Effect::Power(order) => {
                self.powered.push(order.node.to_string());
                if self.driver == PowerOutcome::Started && self.boot_ms > 0 {
                    self.booting
                        .insert(order.node.clone(), self.now_ms + self.boot_ms);
                }
                Outcome::Power(PowerAnswer {
                    outcome: self.driver,
                    message: "text of the driver".into(),
                })
            }
            Effect::Read(read) => {
                self.reads.push(read.clone());
                Outcome::Read(self.read(read))
            }
            Effect::Announce(news) => {
                self.announced.push(format!("{}: {}", news.node, news.reason));
                Outcome::Announced
            }
        }
    }

    fn patch(&mut self, patch: &NodePatch, version: Version) -> WriteOutcome {
        let node = self.cluster.nodes.get_mut(&patch.node).unwrap();
        let holds = patch.version.is_none_or(|version| version == node.version)
            && patch.mark_is.as_ref().is_none_or(|text| *text == node.mark_text)
            && patch
                .unschedulable_is
                .is_none_or(|value| value == node.unschedulable);
        if !holds {
            return WriteOutcome::Conflict;
        }
        for change in &patch.changes {
            match change {
                NodeChange::Mark(mark) => {
                    node.mark_text = mark.as_ref().map(|mark| mark.to_annotation());
                    node.mark = mark.clone().map(|mark| Ok(*mark));
                }
                NodeChange::Journal(journal) => node.journal = Some(journal.clone()),
                NodeChange::Waive(goal) => node.waived = Some(*goal),
                NodeChange::Unschedulable(value) => {
                    node.unschedulable = *value;
                    node.cordon_is_ours = *value;
                }
                NodeChange::ExcludeFromLoadBalancers(value) => node.excluded_from_load_balancers = *value,
                NodeChange::PendingTaint(value) => node.pending_taint = *value,
            }
        }
        node.version = version;
        WriteOutcome::Done
    }

    fn read(&self, read: &Read) -> Evidence {
        let node = |name: &NodeName| {
            let hidden = self.hidden.get(name);
            self.cluster.nodes.get(name).or(hidden).cloned()
        };
        let pods = |name: &NodeName| self.cluster.pods_of(name).cloned().collect::<Vec<_>>();
        match read {
            Read::Queue => Evidence::Queue(self.cluster.queue.clone()),
            Read::Turn { node: name, entry } => Evidence::Turn {
                node: node(name),
                entry: entry
                    .as_ref()
                    .and_then(|entry| self.cluster.entries.get(entry).cloned()),
            },
            Read::Pods { node: name } => Evidence::Pods {
                pods: pods(name),
                node: node(name),
            },
            Read::Act { node: name, entry } => Evidence::Act(Box::new(ActEvidence {
                queue: self.cluster.queue.clone(),
                node: node(name),
                entry: self.cluster.entries.get(entry).cloned(),
                pods: pods(name),
            })),
            Read::ControlPlane { .. } => Evidence::ControlPlane(Vec::new()),
            Read::Rights => Evidence::Rights(self.missing_rights.clone()),
            Read::Lists => Evidence::Lists {
                nodes: self.cluster.nodes.values().cloned().collect(),
                entries: self.cluster.entries.values().cloned().collect(),
            },
        }
    }
}
