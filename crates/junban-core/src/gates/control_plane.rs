//! Control-plane nodes: one at a time, never beside workers, every API server and etcd member good before and after,
//! none missing (lifecycle.md 7).

use std::time::Duration;

use crate::blocker::Blocker;
use crate::builder::PlanBuilder;
use crate::derived::Turn;
use crate::detail::Detail;
use crate::effect::{Effect, Read};
use crate::entry::{Entry, Phase};
use crate::gates::Candidate;
use crate::guard::{self, Guard};
use crate::ids::NodeName;
use crate::memory::Fresh;
use crate::node::Node;
use crate::object::ObjectRef;
use crate::reason::Reason;

/// Workers that are able to start go first.
const WORKERS_IDLE_FOR: Duration = Duration::from_secs(120);
/// Health is looked at again this often while somebody waits for it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// A proof rests on what was seen within this time; a start and a power action on evidence (4 s).
const SEEN_WITHIN: Duration = Duration::from_secs(10);

fn turn_of(detail: Detail) -> Option<Blocker> {
    let object = ObjectRef::ControlPlane;
    Some(Blocker::new(Reason::ControlPlaneTurn, object, detail))
}

/// A worker waits while a control-plane node is in flight. A worker that was released from a drain once also waits while
/// a control-plane node is the next.
pub fn before_worker(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let Candidate {
        turn, node, tally, ..
    } = candidate;
    if node.control_plane {
        return None;
    }
    if tally.control_plane_active {
        return turn_of(Detail::ControlPlaneInFlight);
    }
    let waits = tally.control_plane_next && was_released(turn.entry);
    waits.then(|| turn_of(Detail::ControlPlaneNext))?
}

/// A control-plane node goes alone: no other control-plane node is away, and no worker is in flight.
pub fn alone(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let Candidate { node, tally, .. } = candidate;
    if !node.control_plane {
        return None;
    }
    if tally.control_plane_active {
        return turn_of(Detail::OtherControlPlaneInFlight);
    }
    if let Some(other) = out_of_service(plan, node) {
        if is_being_freed(plan, &other) {
            return turn_of(Detail::OtherControlPlaneInFlight);
        }
        return Some(Blocker::new(
            Reason::ControlPlaneUnhealthy,
            ObjectRef::Node(other),
            Detail::OtherControlPlaneAway,
        ));
    }
    tally.worker_active.then(|| turn_of(Detail::WorkersInFlight))?
}

/// Workers that are able to start go first.
pub fn after_workers(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    if !candidate.node.control_plane || !worker_is_queued(plan) {
        return None;
    }
    let idle = plan.memory.sightings.workers_idle.unwrap_or(plan.now.mono);
    if plan.now.mono.since(idle) >= WORKERS_IDLE_FOR || workers_have_rested(plan) {
        return None;
    }
    plan.wake_at_mono(idle + WORKERS_IDLE_FOR);
    turn_of(Detail::WorkersFirst)
}

/// A retry puts its node back into flight with no other gate: never beside a turn of the control plane, and a
/// control-plane node beside none. Meanwhile it holds back every start of the other kind (`PlanBuilder::goes_back`), so that
/// it is not waited past.
pub fn before_retry(plan: &PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    let derived = &plan.derived;
    let others = derived.turns.values().filter(|other| {
        other.entry.uid != turn.entry.uid && (derived.is_active(other) || plan.is_being_moved(other))
    });
    let mut beside = others
        .filter_map(|other| other.node)
        .filter(|other| node.control_plane || other.control_plane);
    let other = beside.find(|_| guard::stands(Guard::RetryAlone))?;
    Some(Blocker::new(
        Reason::ControlPlaneTurn,
        ObjectRef::Node(other.name.clone()),
        Detail::RetryWaits,
    ))
}

/// Another control-plane node that is down or under a turn that has not ended well: Failed, or retried.
fn out_of_service(plan: &PlanBuilder<'_>, node: &Node) -> Option<NodeName> {
    let others = plan
        .derived
        .control_planes
        .iter()
        .filter(|name| ***name != node.name);
    others
        .filter_map(|name| plan.cluster.nodes.get(*name))
        .find(|other| {
            let holds_slot = plan
                .derived
                .ledger
                .is_some_and(|ledger| ledger.slots.contains_key(&other.name));
            holds_slot || other.mark.is_some() || !other.ready
        })
        .map(|other| other.name.clone())
}

/// Its turn has ended well and it was given back: the next write of the ledger frees its slot.
fn is_being_freed(plan: &PlanBuilder<'_>, name: &NodeName) -> bool {
    let given_back = plan
        .cluster
        .nodes
        .get(name)
        .is_some_and(|node| node.ready && node.mark.is_none());
    let ended = plan
        .derived
        .turns
        .get(name)
        .is_some_and(|turn| turn.phase() == Phase::Succeeded);
    given_back && ended
}

/// What the records say, for a process that has not led for so long: one that is killed every 20 s never would. A turn
/// of a goal that still has a worker Queued ended so long ago, and no worker is in flight now.
fn workers_have_rested(plan: &PlanBuilder<'_>) -> bool {
    let is_worker = |name: &NodeName| !plan.derived.control_planes.contains(name);
    let turns = plan.derived.turns.values();
    let goal = turns
        .filter(|turn| turn.phase() == Phase::Queued && is_worker(&turn.entry.spec.node))
        .map(|turn| turn.entry.spec.booted_after)
        .max();
    let of_goal = plan
        .cluster
        .entries
        .values()
        .filter(|entry| Some(entry.spec.booted_after) == goal && is_worker(&entry.spec.node));
    let last = of_goal
        .filter_map(|entry| entry.record.phase_at)
        .map(|at| at.led_ms)
        .max();
    last.is_some_and(|last| {
        let rested = plan.now.clock.led_ms.saturating_sub(last);
        Duration::from_millis(rested) >= WORKERS_IDLE_FOR
    })
}

/// Whether a drain was given up once, and nobody has asked for it again since.
pub fn was_released(entry: &Entry) -> bool {
    entry.record.back_off.is_some() && entry.spec.retries == entry.record.retries_done
}

/// Whether a blocker of a control-plane node says that it goes next: it waits for its turn alone, and for no worker
/// that has yet to go.
pub fn is_next(plan: &PlanBuilder<'_>, node: &Node, blocker: &Blocker) -> bool {
    let waits = matches!(
        blocker.reason,
        Reason::ControlPlaneTurn | Reason::ControlPlaneChecking
    );
    node.control_plane && waits && !worker_is_queued(plan)
}

/// A worker that was released from a drain once does not go before the control plane.
fn worker_is_queued(plan: &PlanBuilder<'_>) -> bool {
    plan.derived.turns.values().any(|turn| {
        let worker = turn.node.is_some_and(|node| !node.control_plane);
        worker && turn.phase() == Phase::Queued && turn.entry.record.back_off.is_none()
    })
}

/// Before a start and before a power action of a control-plane node: every member is good, by evidence.
pub fn health(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    const AGE_MAX: Duration = Fresh::<()>::EVIDENCE_AGE_MAX;
    candidate
        .node
        .control_plane
        .then(|| members(plan, AGE_MAX, AGE_MAX))?
}

/// After the boot of a control-plane node: every member is good again.
pub fn after(plan: &mut PlanBuilder<'_>) -> Option<Blocker> {
    members(plan, LOOK_AGAIN, SEEN_WITHIN)
}

/// Whether every API server and etcd member is good, and as many of them as there are control-plane nodes. What was
/// seen within `stands` counts; it is looked at again after `again`.
fn members(plan: &mut PlanBuilder<'_>, again: Duration, stands: Duration) -> Option<Blocker> {
    let queue = plan.derived.queue?;
    let spec = &queue.control_plane;
    let nodes = plan.derived.control_planes.len();
    let unknown = |detail| {
        Some(Blocker::new(
            Reason::ControlPlaneUnknown,
            ObjectRef::Queue,
            detail,
        ))
    };
    if spec.api_servers.is_empty() || spec.etcd.is_empty() {
        return unknown(Detail::NoMembersNamed);
    }
    if spec.api_servers.len() < nodes || spec.etcd.len() < nodes {
        return unknown(Detail::MembersMissing {
            nodes,
            api_servers: spec.api_servers.len(),
            etcd: spec.etcd.len(),
        });
    }
    if nodes < 3 && !spec.allow_quorum_loss {
        return unknown(Detail::FewControlPlanes(nodes));
    }
    let age = plan
        .memory
        .reads
        .control_plane
        .as_ref()
        .map(|read| plan.now.mono.since(read.begun));
    if age.is_none_or(|age| age >= again) {
        plan.emit(Effect::Read(Read::ControlPlane {
            api_servers: spec.api_servers.clone(),
            etcd: spec.etcd.clone(),
            etcd_client_secret: spec.etcd_client_secret.clone(),
        }));
    }
    plan.wake_in(again);
    // What was seen stands while it is looked at again: a look that is under way ends no settle time.
    let seen = plan
        .memory
        .reads
        .control_plane
        .as_ref()
        .filter(|read| plan.now.mono.since(read.begun) < stands);
    let Some(seen) = seen else {
        return Some(Blocker::new(
            Reason::ControlPlaneChecking,
            ObjectRef::ControlPlane,
            Detail::HealthBeingRead,
        ));
    };
    let bad = seen
        .value
        .iter()
        .find_map(|member| Some((&member.url, member.state.as_ref().err()?)));
    bad.map(|(url, text)| {
        Blocker::new(
            Reason::ControlPlaneUnhealthy,
            ObjectRef::Member(url.clone()),
            Detail::MemberBad(text.clone()),
        )
    })
}
