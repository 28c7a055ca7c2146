//! The lower bound of a demo's run, from the world's truth: the boots that really were, the pods and budgets that
//! were there before it began. What is read here is never shown to the engine.

use std::collections::{BTreeMap, BTreeSet};

use junban_core::bound::{Bound, BoundInput, MovableBudget, NodeTime, PinnedBudget, lower_bound};
use junban_world::api::node::ZONE;
use junban_world::{Metrics, Ms, OwnerKind, Pod, VolumeKind, World};

/// Any scheduler waits so long after a cordon before it knows that a node is empty (drain.md, which pods).
const AFTER_A_CORDON_S: f64 = 5.0;
/// And so long until a control-plane server counts as settled (lifecycle.md 7).
const CONTROL_PLANE_SETTLE_S: f64 = 30.0;

/// A pod as it was.
#[derive(Clone, Debug)]
struct Seat {
    node: String,
    pinned: bool,
    stop_s: f64,
    start_s: f64,
}

/// The cluster before the run.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// Pods that had to leave.
    pub(super) pods: usize,
    places: usize,
    groups_at_once: Option<u32>,
    /// By budget: tokens, and the pods that it counts.
    budgets: BTreeMap<String, (u32, Vec<Seat>)>,
    nodes: BTreeMap<String, (bool, Option<String>)>,
}

impl Before {
    pub(super) fn look(world: &World) -> Self {
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
            before.sit(world, pod, &control_planes);
        }
        before
    }

    fn sit(&mut self, world: &World, pod: &Pod, control_planes: &BTreeSet<String>) {
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
        let seat = Seat {
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
            self.budgets.entry(name).or_insert((tokens, vec![])).1.push(seat);
        } else if let Some(owner) = store.topmost(pod).filter(|owner| owner.replicas >= 2) {
            let tokens = u32::try_from((owner.replicas / 10).max(1)).unwrap_or(1);
            let name = format!("implied for {}", owner.meta.key());
            self.budgets.entry(name).or_insert((tokens, vec![])).1.push(seat);
        }
    }

    /// The bound for the nodes that were proven, with the boots that they really had.
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
        for (name, (allowed, seats)) in &self.budgets {
            let here: Vec<&Seat> = seats
                .iter()
                .filter(|seat| boots.contains_key(seat.node.as_str()))
                .collect();
            let holds: Vec<(f64, f64)> = here
                .iter()
                .filter(|seat| seat.pinned)
                .map(|seat| {
                    (
                        seat.stop_s
                            + boots.get(seat.node.as_str()).copied().unwrap_or_default()
                            + seat.start_s,
                        seat.start_s,
                    )
                })
                .collect();
            let moves: Vec<&&Seat> = here.iter().filter(|seat| !seat.pinned).collect();
            if !holds.is_empty() {
                input.pinned.push(PinnedBudget {
                    name: name.clone(),
                    allowed: (*allowed).max(1),
                    holds,
                });
            }
            if let Some(shortest) = moves.iter().map(|seat| seat.start_s).min_by(f64::total_cmp) {
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

/// From the power action to Ready with a new bootID; where that was not seen, the least that the machine needs.
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
