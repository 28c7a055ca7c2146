//! The lower bound of a demo's run. It is computed from the truth of the world: how long the boots really took, and which
//! pods and budgets there were before the run. The engine never sees this.

use std::collections::{BTreeMap, BTreeSet};

use junban_core::bound::{Bound, BoundInput, MovableBudget, NodeTime, PinnedBudget, lower_bound};
use junban_world::api::node::ZONE;
use junban_world::{Metrics, Ms, OwnerKind, Pod, VolumeKind, World};

/// Seconds after a cordon before anybody can know that the node is empty (docs/design/drain.md#drained).
const AFTER_A_CORDON_S: f64 = 5.0;
/// Seconds until a control-plane node has settled (docs/design/proof.md#settle).
const CONTROL_PLANE_SETTLE_S: f64 = 30.0;

/// A pod before the run.
#[derive(Clone, Debug)]
struct PodBefore {
    node: String,
    pinned: bool,
    stop_s: f64,
    start_s: f64,
}

/// The cluster before the run.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusterBefore {
    /// How many pods had to leave.
    pub(super) pods: usize,
    places: usize,
    groups_at_once: Option<u32>,
    /// For each budget its tokens and its pods.
    budgets: BTreeMap<String, (u32, Vec<PodBefore>)>,
    /// For each node whether it is a control-plane node, and its rack.
    nodes: BTreeMap<String, (bool, Option<String>)>,
}

impl ClusterBefore {
    pub(super) fn of(world: &World) -> Self {
        let store = world.store();
        let control_planes: BTreeSet<String> = store
            .nodes()
            .filter(|node| node.is_control_plane())
            .map(|node| node.meta.name.to_string())
            .collect();
        let nodes: BTreeMap<_, _> = store
            .nodes()
            .map(|node| {
                let name = node.meta.name.to_string();
                (
                    name.clone(),
                    (
                        control_planes.contains(&name),
                        node.meta.labels.get(ZONE).cloned(),
                    ),
                )
            })
            .collect();
        let mut before = Self {
            places: nodes.len().div_ceil(10),
            groups_at_once: groups_at_once(world),
            nodes,
            ..Self::default()
        };
        for pod in store.pods() {
            before.add_pod(world, pod, &control_planes);
        }
        before
    }

    fn add_pod(&mut self, world: &World, pod: &Pod, control_planes: &BTreeSet<String>) {
        let Some(node) = pod.node.as_ref().map(ToString::to_string) else {
            return;
        };
        if pod.mirror() || pod.owned_by(OwnerKind::DaemonSet) || pod.ended() {
            return;
        }
        self.pods += 1;
        if control_planes.contains(&node) {
            return;
        }
        let behaviour = &pod.template.behaviour;
        let seconds = |ms: u64| {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run are few")]
            let ms = ms as f64;
            ms / 1_000.0
        };
        let pod_before = PodBefore {
            node,
            pinned: pod
                .template
                .claims
                .iter()
                .any(|(_, kind)| *kind == VolumeKind::Local),
            stop_s: seconds(behaviour.stop.min),
            start_s: seconds(behaviour.start.min + behaviour.ready.min),
        };
        let store = world.store();
        if let [budget] = store.budgets_of(pod).as_slice() {
            let tokens = u32::try_from(budget.status.disruptions_allowed).unwrap_or_default();
            let name = budget.meta.key().to_string();
            self.budgets
                .entry(name)
                .or_insert((tokens, vec![]))
                .1
                .push(pod_before);
        } else if let Some(owner) = store.topmost(pod).filter(|owner| owner.replicas >= 2) {
            let tokens = u32::try_from((owner.replicas / 10).max(1)).unwrap_or(1);
            let name = format!("implied for {}", owner.meta.key());
            self.budgets
                .entry(name)
                .or_insert((tokens, vec![]))
                .1
                .push(pod_before);
        }
    }

    /// The bound for the nodes that were proven, with the time that their boots really took.
    pub(super) fn bound(
        &self,
        world: &World,
        metrics: &Metrics,
        proven: &BTreeMap<String, Ms>,
    ) -> Option<Bound> {
        let boots: BTreeMap<&str, f64> = proven
            .keys()
            .map(|node| (node.as_str(), boot_s(world, metrics, node)))
            .collect();
        let nodes = boots.iter().map(|(name, boot)| {
            let (control_plane, rack) = self.nodes.get(*name).cloned().unwrap_or_default();
            NodeTime {
                name: (*name).to_owned(),
                drain: AFTER_A_CORDON_S,
                boot: boot
                    + if control_plane {
                        CONTROL_PLANE_SETTLE_S
                    } else {
                        0.0
                    },
                control_plane,
                group: rack.filter(|_| !control_plane),
            }
        });
        let mut input = BoundInput {
            nodes: nodes.collect(),
            places: self.places,
            groups_at_once: self.groups_at_once,
            first_proof: true,
            ..BoundInput::default()
        };
        for (name, (allowed, pods)) in &self.budgets {
            let here: Vec<&PodBefore> = pods
                .iter()
                .filter(|pod_before| boots.contains_key(pod_before.node.as_str()))
                .collect();
            let holds: Vec<(f64, f64)> = here
                .iter()
                .filter(|pod_before| pod_before.pinned)
                .map(|pod_before| {
                    (
                        pod_before.stop_s
                            + boots.get(pod_before.node.as_str()).copied().unwrap_or_default()
                            + pod_before.start_s,
                        pod_before.start_s,
                    )
                })
                .collect();
            let moves: Vec<&&PodBefore> = here.iter().filter(|pod_before| !pod_before.pinned).collect();
            if !holds.is_empty() {
                input.pinned.push(PinnedBudget {
                    name: name.clone(),
                    allowed: (*allowed).max(1),
                    holds,
                });
            }
            if let Some(shortest) = moves
                .iter()
                .map(|pod_before| pod_before.start_s)
                .min_by(f64::total_cmp)
            {
                input.movable.push(MovableBudget {
                    name: name.clone(),
                    allowed: (*allowed).max(1),
                    hold: shortest,
                    moves: u32::try_from(moves.len()).unwrap_or(u32::MAX),
                });
            }
        }
        lower_bound(&input)
    }
}

/// Seconds from the power action until the node was Ready with a new bootID. If that was not seen, the shortest time in
/// which the machine boots.
fn boot_s(world: &World, metrics: &Metrics, node: &str) -> f64 {
    let seen = metrics
        .turns
        .get(node)
        .and_then(|turn| turn.booted?.checked_sub(turn.powered?));
    let least = world.machine(node).map_or(0, |machine| machine.boot_time.min);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run are few")]
    let ms = seen.unwrap_or(least) as f64;
    ms / 1_000.0
}

fn groups_at_once(world: &World) -> Option<u32> {
    let policy = world.store().custom(crate::objects::POLICY, "workers")?;
    u32::try_from(policy.spec["groups"]["atOnce"].as_u64()?).ok()
}
