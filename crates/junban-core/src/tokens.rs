//! Which budget a pod's leaving is counted against, and how many tokens it has (docs/design/drain.md#budgets,
//! docs/design/drain.md#tokens).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::blocker::Blocker;
use crate::budget::Budget;
use crate::cluster::Cluster;
use crate::derived::{Derived, Turn};
use crate::detail::{Detail, Holder};
use crate::duty::{belongs_on, duty};
use crate::effect::BudgetKey;
use crate::entry::Phase;
use crate::guard::{self, Guard, Slip};
use crate::ids::{NodeName, PodKey};
use crate::memory::Memory;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::placement::Placement;
use crate::pod::{Pod, PodPhase};
use crate::policy::Policy;
use crate::quantity::IntOrPercent;
use crate::reason::Reason;
use crate::time::Mono;
use crate::workload::{WorkloadKey, WorkloadKind};

/// A pod that has been unready for this long no longer counts as disrupted (docs/design/drain.md#implied-budgets).
const UNREADY_COUNTS_FOR: Duration = Duration::from_secs(300);
/// The times of conditions are in whole seconds.
const CONDITION_MARGIN: Duration = Duration::from_secs(1);

/// The budget that a pod's leaving is counted against. `Err`: two budgets select it, so the API server never evicts it.
pub fn budget_of(cluster: &Cluster, pod: &Pod) -> Result<BudgetKey, Blocker> {
    if pod.phase != PodPhase::Running {
        // The API server evicts a Pending or finished pod before it looks at any budget.
        return Ok(BudgetKey::Pod(pod.key.clone()));
    }
    let mut budgets = cluster.budgets_of(pod);
    match (budgets.next(), budgets.next()) {
        (None, _) => Ok(implied_budget(cluster, pod).map_or_else(
            || BudgetKey::Pod(pod.key.clone()),
            |owner| BudgetKey::Implied(owner.clone()),
        )),
        (Some(one), None) => Ok(BudgetKey::Pdb(one.key.clone())),
        (Some(one), Some(two)) => {
            let (other, pod) = (two.key.clone(), pod.key.clone());
            let (object, detail) = (ObjectRef::Pdb(one.key.clone()), Detail::TwoBudgets { other, pod });
            Err(Blocker::new(Reason::TwoBudgets, object, detail))
        }
    }
}

/// The pod's owner, if a budget is implied for it. An owner of an unknown kind may turn out to have a single replica, for
/// which [`Tokens`] has no limit.
pub fn implied_budget<'a>(cluster: &'a Cluster, pod: &'a Pod) -> Option<&'a WorkloadKey> {
    let owner = cluster.topmost_owner(pod).filter(|_| !pod.ends)?;
    let replicas = cluster.workloads.get(owner).and_then(|owner| owner.replicas);
    replicas.is_none_or(|replicas| replicas >= 2).then_some(owner)
}

/// How many of the pods that a budget expects can be healthy. Ended pods never are.
pub fn expected(cluster: &Cluster, budget: &Budget) -> u32 {
    // If it allows a disruption, the ended pods change nothing.
    if !budget.expects_what_it_selects || budget.disruptions_allowed > 0 {
        return budget.expected_pods;
    }
    let unready = cluster.unready_of_budget(budget);
    let ended = unready.filter(|pod| pod.phase == PodPhase::Finished).count();
    budget
        .expected_pods
        .saturating_sub(u32::try_from(ended).unwrap_or(u32::MAX))
}

/// Why a budget can never allow an eviction, if so.
pub fn impossible(cluster: &Cluster, budget: &Budget) -> Option<Blocker> {
    let object = ObjectRef::Pdb(budget.key.clone());
    if let Some(text) = &budget.sync_failed {
        let scales = |kind: &WorkloadKind| {
            use WorkloadKind::{Deployment, ReplicaSet, ReplicationController, StatefulSet};
            matches!(
                kind,
                Deployment | ReplicaSet | StatefulSet | ReplicationController
            )
        };
        let mut pods = cluster.pods_of_budget(budget);
        let without_scale = pods.find(|pod| !pod.owner.as_ref().is_some_and(|owner| scales(&owner.kind)));
        let detail = Detail::SyncFailed {
            pod: without_scale.map(|pod| Box::new((pod.key.clone(), pod.owner.clone()))),
            text: text.clone(),
        };
        return Some(Blocker::new(Reason::BudgetUnknown, object, detail));
    }
    let current = budget.observed_generation >= budget.generation;
    let expected = expected(cluster, budget);
    let never = budget.expected_pods > 0 && budget.desired_healthy >= expected;
    (current && never && guard::stands(Guard::ImpossibleBudget)).then(|| {
        let detail = Detail::NeverAllows {
            needed: budget.desired_healthy,
            expected,
            ended: budget.expected_pods - expected,
        };
        Blocker::new(Reason::BudgetImpossible, object, detail)
    })
}

/// Whether a budget's status agrees with the pods that it selects now, and as many of them are healthy as it needs.
fn is_in_sync(cluster: &Cluster, budget: &Budget) -> bool {
    let is_healthy = |pod: &&Pod| {
        pod.ready && !pod.terminating && !budget.disrupted_pods.contains(&pod.key.name.to_string())
    };
    let healthy = cluster.pods_of_budget(budget).filter(is_healthy).count();
    budget.sync_failed.is_none()
        && budget.observed_generation >= budget.generation
        && budget.current_healthy as usize == healthy
        && healthy > 0
        && budget.current_healthy >= budget.desired_healthy
}

/// Tokens that are reserved for pinned pods, by budget and node. A node's pinned pods get all their tokens with its
/// slot, or none: so no two half-drained nodes block each other (docs/design/drain.md#pinned-pods).
#[derive(Clone, Debug, Default)]
pub struct Reservations(BTreeMap<BudgetKey, BTreeMap<NodeName, u32>>);

impl Reservations {
    /// What nodes still need that hold a slot and have not been powered.
    pub fn of_slots(
        cluster: &Cluster,
        memory: &Memory,
        derived: &Derived<'_>,
        placement: &Placement<'_>,
    ) -> Self {
        let ledger = derived.ledger.filter(|_| guard::stands(Guard::Reservations));
        let is_before_power = |turn: &&Turn<'_>| matches!(turn.phase(), Phase::Queued | Phase::Draining);
        let mut reserved = Self::default();
        for name in ledger.into_iter().flat_map(|ledger| ledger.slots.keys()) {
            if let Some(node) = cluster.nodes.get(name)
                && derived.turns.get(name).filter(is_before_power).is_some()
            {
                reserved.add(name, pinned_needs(cluster, memory, placement, node));
            }
        }
        reserved
    }

    pub fn add(&mut self, node: &NodeName, needs: BTreeMap<BudgetKey, u32>) {
        for (key, count) in needs {
            *self.0.entry(key).or_default().entry(node.clone()).or_insert(0) += count;
        }
    }

    /// Tokens of a budget that are reserved for other nodes than `node`. Its own tokens do not count: its movable pods
    /// leave first, and their tokens come back before its pinned pods leave.
    pub fn of_others(&self, key: &BudgetKey, node: &NodeName) -> u32 {
        let nodes = self.0.get(key).into_iter().flatten();
        nodes
            .filter(|(name, _)| *name != node)
            .map(|(_, count)| count)
            .sum()
    }
}

/// How many tokens of each budget a node's pinned pods need.
pub fn pinned_needs(
    cluster: &Cluster,
    memory: &Memory,
    placement: &Placement<'_>,
    node: &Node,
) -> BTreeMap<BudgetKey, u32> {
    let mut needs = BTreeMap::new();
    let pinned = cluster.pods_of(&node.name).filter(|pod| {
        pod.ready
            && !pod.terminating
            && placement.stays(node, pod)
            && !memory.tokens.was_accepted(&pod.key, &pod.uid)
            && duty(cluster, Some(memory), pod, None).must_leave()
    });
    for key in pinned.filter_map(|pod| budget_of(cluster, pod).ok()) {
        *needs.entry(key).or_insert(0) += 1;
    }
    needs
}

/// How long the pods of an owner must be Ready to be available.
fn min_ready_of(cluster: &Cluster, owner: &WorkloadKey) -> Duration {
    cluster
        .workloads
        .get(owner)
        .map_or(Duration::ZERO, |owner| owner.min_ready)
}

/// When the next pod of an owner becomes available. No event wakes the plan then.
pub fn next_available(cluster: &Cluster, memory: &Memory, owner: &WorkloadKey) -> Option<Duration> {
    let (min_ready, now) = (min_ready_of(cluster, owner), memory.sightings.wall?);
    let available = |pod: &Pod| {
        pod.available_at(min_ready + CONDITION_MARGIN)
            .filter(|at| *at > now)
    };
    let next = cluster.pods_of_owner(owner).filter_map(available).min()?;
    next.duration_since(now).try_into().ok()
}

/// When the next unready pod of an owner stops counting as disrupted. No event wakes the plan then.
pub fn next_uncounted(cluster: &Cluster, memory: &Memory, owner: &WorkloadKey) -> Option<Mono> {
    let unready = cluster
        .pods_of_owner(owner)
        .filter_map(|pod| memory.sightings.unready_pods.get(&pod.uid));
    unready
        .map(|since| *since + UNREADY_COUNTS_FOR)
        .filter(|at| *at > memory.sightings.at)
        .min()
}

/// The tokens that the API shows, less those that Junban itself has asked for or reserved.
#[derive(Debug)]
pub struct Tokens<'p, 'a> {
    cluster: &'a Cluster,
    memory: &'a Memory,
    derived: &'p Derived<'a>,
    reservations: &'p Reservations,
    placement: &'p Placement<'a>,
}

impl<'p, 'a> Tokens<'p, 'a> {
    pub fn new(
        cluster: &'a Cluster,
        memory: &'a Memory,
        derived: &'p Derived<'a>,
        reservations: &'p Reservations,
        placement: &'p Placement<'a>,
    ) -> Self {
        Self {
            cluster,
            memory,
            derived,
            reservations,
            placement,
        }
    }

    /// Whether one token may be taken now for a pod of `node`.
    pub fn take(&self, key: &BudgetKey, pod: &Pod, node: &Node, policy: &Policy) -> Result<(), Blocker> {
        if let Some(blocker) = self.protected_at_mark(pod) {
            return Err(blocker);
        }
        match key {
            BudgetKey::Pod(_) => Ok(()),
            BudgetKey::Pdb(pdb) => match self.cluster.budgets.get(pdb) {
                Some(budget) => self.take_of_pdb(key, budget, pod, node),
                None => Ok(()),
            },
            BudgetKey::Implied(owner) => self.take_of_implied(owner, key, pod, node, policy),
        }
    }

    /// Why a pod may not leave that its budget does not select any more: its role changes hands, and the budget is not
    /// seen in sync with its new pods yet. To evict it now could take the old primary away before there is a new one.
    fn protected_at_mark(&self, pod: &Pod) -> Option<Blocker> {
        let key = self.memory.sightings.budget_at_mark(self.cluster, pod)?;
        let budget = self
            .cluster
            .budgets
            .get(key)
            .filter(|_| pod.phase == PodPhase::Running)?;
        let is_selected = self.cluster.budgets_of(pod).any(|of_pod| of_pod.key == *key);
        if is_selected || is_in_sync(self.cluster, budget) {
            return None;
        }
        let detail = Detail::SelectedBefore(pod.key.clone());
        Some(Blocker::new(
            Reason::BudgetExhausted,
            ObjectRef::Pdb(key.clone()),
            detail,
        ))
    }

    fn take_of_pdb(
        &self,
        key: &BudgetKey,
        budget: &'a Budget,
        pod: &Pod,
        node: &Node,
    ) -> Result<(), Blocker> {
        if let Some(blocker) = impossible(self.cluster, budget)
            && (pod.ready || !budget.always_allow_unhealthy)
        {
            return Err(blocker);
        }
        let healthy_enough = budget.current_healthy >= budget.desired_healthy && budget.desired_healthy > 0;
        if !pod.ready && (budget.always_allow_unhealthy || healthy_enough) {
            return Ok(());
        }
        let reserved = self.reservations.of_others(key, &node.name);
        let unseen = self.memory.tokens.unseen(key);
        let allowed = budget.disruptions_allowed + guard::slip(Slip::Token);
        if guard::holds(Guard::BudgetTokens, allowed > unseen + reserved) {
            return Ok(());
        }
        let object = ObjectRef::Pdb(budget.key.clone());
        let (healthy, needed) = (budget.current_healthy, budget.desired_healthy);
        if budget.disruptions_allowed > 0 {
            let detail = Detail::TokensHeld(budget.disruptions_allowed);
            return Err(Blocker::new(Reason::BudgetHeld, object, detail));
        }
        if !pod.ready {
            // Even if no healthy pod is needed, the API server asks for a token.
            let pod = pod.key.clone();
            let detail = Detail::PodProtected { pod, healthy, needed };
            return Err(Blocker::new(Reason::UnhealthyPods, object, detail));
        }
        let holder = self.holder(budget, node);
        let reason = match holder {
            Holder::Unschedulable { .. } => Reason::ReplacementUnschedulable,
            _ => Reason::BudgetExhausted,
        };
        let detail = Detail::NoDisruptions {
            healthy,
            needed,
            holder,
        };
        Err(Blocker::new(reason, object, detail))
    }

    /// What uses up a budget that allows nothing now. `node` is the node whose pod is to leave.
    fn holder(&self, budget: &'a Budget, node: &Node) -> Holder {
        let mut charged = budget.disrupted_pods.iter().filter_map(|name| {
            let key = PodKey::new(budget.key.namespace.clone(), name.clone());
            self.cluster.pods.get(&key)
        });
        // The name of a pod of a Deployment never comes back: its deletion is not seen yet.
        let may_return = |pod: &Pod| {
            let kind = pod.owner.as_ref().map(|owner| &owner.kind);
            matches!(kind, Some(WorkloadKind::StatefulSet | WorkloadKind::Other(_)))
        };
        if let Some(pod) = charged.find(|pod| may_return(pod) && pod.ready && !pod.terminating) {
            return Holder::Charged(pod.key.clone());
        }
        let unready = || self.cluster.unready_of_budget(budget);
        let mut down = unready().filter_map(|pod| Some((pod, self.place_of(pod)?)));
        let Some((pod, on)) = down.find(|(_, on)| **on != node.name) else {
            let unschedulable = unready().find(|pod| pod.fits_nowhere && !pod.terminating);
            return unschedulable.map_or(Holder::Unknown, |pod| self.unschedulable(pod));
        };
        let (pod, node) = (pod.key.clone(), on.clone());
        let is_up = self.cluster.nodes.get(on);
        let is_up = is_up.is_some_and(|node| node.ready && !node.unschedulable);
        match self.derived.turns.get(on).map(|turn| turn.phase()) {
            Some(phase) if phase.is_in_flight() || phase == Phase::Failed => {
                Holder::Rebooting { pod, node, phase }
            }
            _ if is_up => Holder::Unready { pod, node },
            _ => Holder::Down { pod, node },
        }
    }

    fn unschedulable(&self, pod: &Pod) -> Holder {
        Holder::Unschedulable {
            pod: pod.key.clone(),
            barrier: self.placement.barrier(pod).map(Box::new),
        }
    }

    /// The node of a pod, or the only node on which it can run.
    fn place_of(&self, pod: &'a Pod) -> Option<&'a NodeName> {
        if let Some(node) = &pod.node {
            return Some(node);
        }
        let nodes = || self.cluster.nodes.values();
        let can_run_it = |node: &&Node| belongs_on(self.cluster, pod, node);
        // First the few nodes that take no pods: only such a node can keep the pod down.
        let takes_none = |node: &&Node| !node.ready || node.unschedulable;
        nodes().filter(takes_none).find(can_run_it)?;
        let mut possible = nodes().filter(can_run_it);
        let first = possible.next()?;
        possible.next().is_none().then_some(&first.name)
    }

    fn take_of_implied(
        &self,
        owner: &WorkloadKey,
        key: &BudgetKey,
        pod: &Pod,
        node: &Node,
        policy: &Policy,
    ) -> Result<(), Blocker> {
        if !pod.ready {
            // A pod that is not Ready costs no token.
            return Ok(());
        }
        let Some(implied) = self.implied(owner, policy) else {
            return Ok(());
        };
        let reserved = self.reservations.of_others(key, &node.name);
        if guard::holds(Guard::ImpliedBudget, implied.free() > reserved) {
            return Ok(());
        }
        if implied.available <= 1 && !implied.all_may_leave {
            let (owner, detail) = (
                ObjectRef::Workload(owner.clone()),
                Detail::LastReady(pod.key.clone()),
            );
            return Err(Blocker::new(Reason::ImpliedBudget, owner, detail));
        }
        let unready = self
            .cluster
            .pods_of_owner(owner)
            .filter(|pod| !pod.ready && !pod.terminating);
        if let Some(pod) = unready
            .filter(|pod| pod.node.is_none())
            .find(|pod| pod.fits_nowhere)
        {
            let detail = Detail::ImpliedLost(self.unschedulable(pod));
            let owner = ObjectRef::Workload(owner.clone());
            return Err(Blocker::new(Reason::ReplacementUnschedulable, owner, detail));
        }
        Err(implied.refusal(1))
    }

    /// Why the `need` pinned pods of a node may not leave together, if so. Their owner has no budget. `taken`: tokens
    /// that this plan has reserved.
    pub fn refuse_pinned(
        &self,
        owner: &WorkloadKey,
        need: u32,
        taken: u32,
        node: &Node,
        policy: &Policy,
    ) -> Option<Blocker> {
        let implied = self.implied(owner, policy)?;
        let most = implied.most();
        if need > most {
            let (owner, detail) = (
                ObjectRef::Workload(owner.clone()),
                Detail::PinnedNeverImplied { need, most },
            );
            return Some(Blocker::new(Reason::ImpliedBudget, owner, detail));
        }
        let key = BudgetKey::Implied(owner.clone());
        let held = self.reservations.of_others(&key, &node.name) + taken;
        (implied.free() < need + held).then(|| implied.refusal(need))
    }

    fn implied<'k>(&self, owner: &'k WorkloadKey, policy: &Policy) -> Option<Implied<'k>> {
        let replicas = self.memory.unreplaced.replicas(self.cluster, owner);
        if replicas < 2 {
            return None;
        }
        let limit = policy.drain.unbudgeted_max_unavailable;
        let allowed = u32::try_from(limit.of_rounded_down(replicas as usize).max(1)).unwrap_or(u32::MAX);
        let min_ready = min_ready_of(self.cluster, owner);
        let (mut available, mut long_unready) = (0, 0);
        for other in self
            .cluster
            .pods_of_owner(owner)
            .filter(|pod| pod.phase != PodPhase::Finished && !pod.ends)
        {
            let stays = !other.terminating && !self.memory.tokens.was_accepted(&other.key, &other.uid);
            if stays && self.is_available(other, min_ready) {
                available += 1;
            } else if !other.terminating && self.unready_for_long(other) {
                long_unready += 1;
            }
        }
        Some(Implied {
            owner,
            replicas,
            allowed,
            disrupted: replicas.saturating_sub(available + long_unready),
            available,
            all_may_leave: limit == IntOrPercent::Percent(100),
        })
    }

    fn is_available(&self, pod: &Pod, min_ready: Duration) -> bool {
        if min_ready.is_zero() {
            return pod.ready;
        }
        let at = pod.available_at(min_ready + CONDITION_MARGIN);
        at.zip(self.memory.sightings.wall)
            .is_some_and(|(at, now)| at <= now)
    }

    fn unready_for_long(&self, pod: &Pod) -> bool {
        let since = self.memory.sightings.unready_pods.get(&pod.uid);
        since.is_some_and(|since| self.memory.sightings.at.since(*since) >= UNREADY_COUNTS_FOR)
    }
}

/// The implied budget of an owner, as its pods show it.
struct Implied<'k> {
    owner: &'k WorkloadKey,
    replicas: u32,
    /// How many pods may be disrupted at a time.
    allowed: u32,
    disrupted: u32,
    available: u32,
    /// Whether even the last Ready pod may leave (`maxUnavailable: 100%`).
    all_may_leave: bool,
}

impl Implied<'_> {
    /// How many available pods may leave now.
    fn free(&self) -> u32 {
        let allowed = self.allowed + guard::slip(Slip::Implied);
        let all_except_last = self.available.saturating_sub(1 - guard::slip(Slip::LastPod));
        let may_leave = if self.all_may_leave {
            self.available
        } else {
            all_except_last
        };
        allowed.saturating_sub(self.disrupted).min(may_leave)
    }

    /// How many pods may ever leave together.
    fn most(&self) -> u32 {
        if self.all_may_leave {
            return self.replicas;
        }
        self.allowed.min(self.replicas.saturating_sub(1))
    }

    /// Why `need` pods may not leave now, although they may later.
    fn refusal(&self, need: u32) -> Blocker {
        let object = ObjectRef::Workload(self.owner.clone());
        if self.free() >= need {
            return Blocker::new(Reason::BudgetHeld, object, Detail::ImpliedHeld);
        }
        let detail = Detail::ImpliedUsed {
            disrupted: self.disrupted,
            replicas: self.replicas,
            allowed: self.allowed,
        };
        Blocker::new(Reason::ImpliedBudget, object, detail)
    }
}
