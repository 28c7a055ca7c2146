//! Control-plane nodes go one at a time and never beside workers. Every API server and etcd member is good before and
//! after (docs/design/control-plane.md#turns).

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
use crate::queue::ControlPlane;
use crate::reason::Reason;

/// A control-plane node starts when no worker has been in flight or able to start for this time.
const WORKERS_IDLE_FOR: Duration = Duration::from_secs(120);
/// Health is read again this often while an entry waits for it.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// A read of health counts this long in a proof. Before a start and a power action it counts as long as evidence.
const COUNTS_FOR: Duration = Duration::from_secs(10);

fn waits_for_turn(detail: Detail) -> Option<Blocker> {
    let object = ObjectRef::ControlPlane;
    Some(Blocker::new(Reason::ControlPlaneTurn, object, detail))
}

/// A worker waits while a control-plane node is in flight. A worker that was released from a drain once also waits if a
/// control-plane node is next.
pub fn before_worker(_: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let Candidate {
        turn, node, tally, ..
    } = candidate;
    if node.is_control_plane() {
        return None;
    }
    if tally.control_plane_active {
        return waits_for_turn(Detail::ControlPlaneInFlight);
    }
    let waits = tally.control_plane_next && was_released(turn.entry);
    waits.then(|| waits_for_turn(Detail::ControlPlaneNext))?
}

/// A control-plane node goes alone: no other control-plane node is down or in a turn, and no worker is in flight.
pub fn alone(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    let Candidate { node, tally, .. } = candidate;
    if !node.is_control_plane() {
        return None;
    }
    if tally.control_plane_active {
        return waits_for_turn(Detail::OtherControlPlaneInFlight);
    }
    if let Some(other) = out_of_service(plan, node) {
        if is_being_freed(plan, &other) {
            return waits_for_turn(Detail::OtherControlPlaneInFlight);
        }
        let (other, detail) = (ObjectRef::Node(other), Detail::OtherControlPlaneAway);
        return Some(Blocker::new(Reason::ControlPlaneUnhealthy, other, detail));
    }
    tally
        .worker_active
        .then(|| waits_for_turn(Detail::WorkersInFlight))?
}

/// Workers that are able to start go first.
pub fn after_workers(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    candidate.policy.as_ref().ok()?;
    if !candidate.node.is_control_plane() || !worker_is_queued(plan) {
        return None;
    }
    let idle = plan.memory.sightings.workers_idle.unwrap_or(plan.now.mono);
    if plan.now.mono.since(idle) >= WORKERS_IDLE_FOR || workers_were_idle(plan) {
        return None;
    }
    plan.wake_at_mono(idle + WORKERS_IDLE_FOR);
    waits_for_turn(Detail::WorkersFirst)
}

/// A retry puts its node back into flight past all other gates: a worker not beside a control-plane node, and a
/// control-plane node beside no other (docs/design/control-plane.md#retries). While it waits, no node of the other kind
/// starts (`PlanBuilder::goes_back`), so it is not overtaken.
pub fn before_retry(plan: &PlanBuilder<'_>, turn: &Turn<'_>, node: &Node) -> Option<Blocker> {
    let derived = &plan.derived;
    let others = derived.turns.values().filter(|other| {
        other.entry.uid != turn.entry.uid && (derived.is_active(other) || plan.is_being_moved(other))
    });
    let mut beside = others
        .filter_map(|other| other.node)
        .filter(|other| node.is_control_plane() || other.is_control_plane());
    let other = beside.find(|_| guard::stands(Guard::RetryAlone))?;
    let other = ObjectRef::Node(other.name.clone());
    Some(Blocker::new(Reason::ControlPlaneTurn, other, Detail::RetryWaits))
}

/// Another control-plane node that is not Ready or in a turn.
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

/// Whether a node is proven and given back, and only its slot is not freed yet.
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

/// Whether the records show that the last turn of a worker ended long enough ago. A process that is killed every 20 s
/// never leads so long that it sees this itself. Only the newest goal that a Queued worker has counts.
fn workers_were_idle(plan: &PlanBuilder<'_>) -> bool {
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
        let idle = plan.now.clock.led_ms.saturating_sub(last);
        Duration::from_millis(idle) >= WORKERS_IDLE_FOR
    })
}

/// Whether the entry was released from a drain, and no person has retried it since.
pub fn was_released(entry: &Entry) -> bool {
    entry.record.back_off.is_some() && entry.spec.retries == entry.record.retries_done
}

/// Whether a control-plane node is next: this blocker of it only waits for its turn, and no worker is Queued.
pub fn is_next(plan: &PlanBuilder<'_>, node: &Node, blocker: &Blocker) -> bool {
    let waits = matches!(
        blocker.reason,
        Reason::ControlPlaneTurn | Reason::ControlPlaneChecking
    );
    node.is_control_plane() && waits && !worker_is_queued(plan)
}

/// Whether a worker is Queued. A worker that was released from a drain does not count: it goes after the control plane.
fn worker_is_queued(plan: &PlanBuilder<'_>) -> bool {
    plan.derived.turns.values().any(|turn| {
        let worker = turn.node.is_some_and(|node| !node.is_control_plane());
        worker && turn.phase() == Phase::Queued && turn.entry.record.back_off.is_none()
    })
}

/// Before a control-plane node is started or powered, evidence shows that every member is good.
pub fn health(plan: &mut PlanBuilder<'_>, candidate: &Candidate<'_>) -> Option<Blocker> {
    const AGE_MAX: Duration = Fresh::<()>::EVIDENCE_AGE_MAX;
    let node = candidate.node;
    node.is_control_plane()
        .then(|| members(plan, node, AGE_MAX, AGE_MAX))?
}

/// After the boot of a control-plane node every member is good again.
pub fn health_after_boot(plan: &mut PlanBuilder<'_>, node: &Node) -> Option<Blocker> {
    members(plan, node, READ_AGAIN, COUNTS_FOR)
}

/// Why the control plane cannot be judged, or why it cannot spare `node`. The queue must name an API server for each node
/// that runs one, and an etcd member for each node that carries etcd.
fn unknown(plan: &PlanBuilder<'_>, spec: &ControlPlane, node: &Node) -> Option<Detail> {
    let members = plan.derived.control_planes.iter();
    let members: Vec<&Node> = members.filter_map(|name| plan.cluster.nodes.get(*name)).collect();
    let count = |runs: fn(&Node) -> bool| members.iter().filter(|member| runs(member)).count();
    let api_servers = count(|member| member.control_plane);
    // Without the label etcd an installer has put etcd on the nodes that run the API servers, as kubeadm does.
    let carries_etcd: fn(&Node) -> bool = match count(|member| member.etcd) {
        0 => |member| member.control_plane,
        _ => |member| member.etcd,
    };
    let etcd = count(carries_etcd);
    if spec.api_servers.len() < api_servers {
        let named = spec.api_servers.len();
        return Some(Detail::ApiServersMissing {
            nodes: api_servers,
            named,
        });
    }
    if spec.etcd.len() < etcd {
        let named = spec.etcd.len();
        return Some(Detail::EtcdMissing { nodes: etcd, named });
    }
    let loses_quorum = carries_etcd(node) && etcd < 3 || node.control_plane && api_servers < 2;
    (loses_quorum && !spec.allow_quorum_loss).then_some(Detail::FewControlPlanes { api_servers, etcd })
}

/// Whether every API server and etcd member is good, and the queue names enough of them. They are read again after
/// `read_again`, and a read counts for `counts_for` (docs/design/control-plane.md#health).
fn members(
    plan: &mut PlanBuilder<'_>,
    node: &Node,
    read_again: Duration,
    counts_for: Duration,
) -> Option<Blocker> {
    let queue = plan.derived.queue?;
    let spec = &queue.control_plane;
    if let Some(detail) = unknown(plan, spec, node) {
        return Some(Blocker::new(
            Reason::ControlPlaneUnknown,
            ObjectRef::Queue,
            detail,
        ));
    }
    let read = plan.memory.reads.control_plane.as_ref();
    let age = read.map(|read| plan.now.mono.since(read.begun));
    if age.is_none_or(|age| age >= read_again) {
        plan.emit(Effect::Read(Read::ControlPlane {
            api_servers: spec.api_servers.clone(),
            etcd: spec.etcd.clone(),
            etcd_client_secret: spec.etcd_client_secret.clone(),
        }));
    }
    plan.wake_in(read_again);
    // The last read counts while the next one is under way. Otherwise each read would end a settle time.
    let Some(read) = read.filter(|_| age.is_some_and(|age| age < counts_for)) else {
        let (object, detail) = (ObjectRef::ControlPlane, Detail::HealthBeingRead);
        return Some(Blocker::new(Reason::ControlPlaneChecking, object, detail));
    };
    let bad = read
        .value
        .iter()
        .find_map(|member| Some((&member.url, member.state.as_ref().err()?)));
    bad.map(|(url, text)| {
        let (member, detail) = (ObjectRef::Member(url.clone()), Detail::MemberBad(text.clone()));
        Blocker::new(Reason::ControlPlaneUnhealthy, member, detail)
    })
}
