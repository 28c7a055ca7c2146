//! Power actions and boots of machines, and the faults that a test injects.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Map, Ms, Name, NodeOp, Taint};
use crate::events::Event;
use crate::machine::{Fault, FaultRule, Machine, PowerRequest, PowerState};
use crate::rng::{Rng, Span};
use crate::truth::{DownCause, PowerOutcome, PowerTag, Truth};
use crate::world::World;

/// From a driver's answer until the machine loses its operating system.
const POWER_DELAY: Span = Span::ms(100, 600);
/// The last part of the boot time: from the running kernel until the kubelet reports.
const KUBELET_DELAY_MS: u64 = 3000;

impl World {
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.get(name)
    }

    /// Adds a fault to this machine. It happens `times` times (`None`: always).
    pub fn inject(&mut self, machine: &str, fault: Fault, times: Option<u32>) {
        if let Some(m) = self.machines.get_mut(machine) {
            m.faults.push(FaultRule { fault, times });
        }
    }

    /// Replaces all faults of this machine with `fault`.
    pub fn set_fault(&mut self, machine: &str, fault: Fault) {
        if let Some(m) = self.machines.get_mut(machine) {
            m.faults = vec![FaultRule { fault, times: None }];
        }
    }

    /// From its next boot on the machine has this amount of a resource.
    pub fn next_boot_allocatable(&mut self, machine: &str, resource: &str, amount: i64) {
        if let Some(m) = self.machines.get_mut(machine) {
            m.next_allocatable.insert(resource.into(), amount);
        }
    }

    /// From its next boot on an agent adds this taint to the Node after each boot.
    pub fn next_boot_taint(&mut self, machine: &str, taint: Taint) {
        if let Some(m) = self.machines.get_mut(machine) {
            m.boot_taints.push(taint);
        }
    }

    /// Repairs the machine: its faults end, it has what it had at the beginning, it boots if it is dead, and its kubelet
    /// reports Ready.
    pub fn heal(&mut self, machine: &str) {
        let Some(m) = self.machines.get_mut(machine) else {
            return;
        };
        m.faults.clear();
        m.next_allocatable.clear();
        m.allocatable.clone_from(&m.built);
        m.boot_taints.clear();
        if m.state == PowerState::Dead {
            let name = m.name.clone();
            self.boot(&name);
        } else if m.kubelet_up && !m.kubelet_ready {
            m.kubelet_ready = true;
            let name = m.name.clone();
            self.report_node(&name);
            self.start_pods(&name);
        } else if m.kubelet_up {
            let name = m.name.clone();
            self.report_node(&name);
        }
    }

    /// The machine loses power and stays down until [`World::heal`].
    pub fn kill(&mut self, machine: &str) {
        self.set_fault(machine, Fault::NeverReturns);
        self.schedule_down(machine, 0, None, false, DownCause::Spontaneous);
    }

    /// The machine reboots, but not through a power action of the caller.
    pub fn reboot_by(&mut self, machine: &str, cause: DownCause) {
        self.schedule_down(machine, 0, None, false, cause);
    }

    /// Calls a power driver. The truth gets every call, and its effect if it has one.
    pub fn power(&mut self, request: &PowerRequest) -> PowerOutcome {
        let Some(m) = self.machines.get_mut(request.node.as_str()) else {
            return PowerOutcome::NothingStarted;
        };
        let refused = request.only_boot_id.as_ref().is_some_and(|b| *b != m.boot_id)
            || request
                .only_system_uuid
                .as_ref()
                .is_some_and(|u| *u != m.system_uuid);
        let (outcome, delays) = if refused {
            (PowerOutcome::NothingStarted, vec![])
        } else {
            driver_answer(m)
        };
        let called = Truth::PowerCalled {
            node: request.node.clone(),
            machine: m.name.to_string(),
            boot_id: m.boot_id.clone(),
            tag: request.tag.clone(),
            outcome,
        };
        self.emit(called);
        for (n, delay) in delays.into_iter().enumerate() {
            self.schedule_down(
                &request.node,
                delay,
                Some(request.tag.clone()),
                n > 0,
                DownCause::Power,
            );
        }
        outcome
    }

    fn schedule_down(
        &mut self,
        machine: &str,
        after: Ms,
        tag: Option<PowerTag>,
        again: bool,
        cause: DownCause,
    ) {
        let at = self.now() + after;
        self.queue.push(
            at,
            Event::Power {
                machine: machine.into(),
                tag,
                again,
                cause,
            },
        );
    }

    pub(crate) fn on_power(&mut self, name: &Name, tag: Option<PowerTag>, again: bool, cause: DownCause) {
        let now = self.now();
        let Some(m) = self.machines.get_mut(name) else {
            return;
        };
        let boot_id = m.boot_id.clone();
        m.epoch += 1;
        m.state = PowerState::Dead;
        m.kubelet_up = false;
        m.kubelet_ready = false;
        m.down_cause = cause;
        m.down_at = now;
        if let Some(tag) = tag {
            let (node, machine) = (name.to_string(), name.to_string());
            self.emit(Truth::PowerEffect {
                node,
                machine,
                boot_id: boot_id.clone(),
                tag,
                again,
            });
        }
        self.emit(Truth::MachineDown {
            machine: name.to_string(),
            boot_id,
            cause,
        });
        self.containers_lost(name);
        let stays_down = self
            .machines
            .get_mut(name)
            .and_then(|m| m.take(|f| f == Fault::NeverReturns))
            .is_some();
        if !stays_down {
            self.boot(name);
        }
    }

    fn boot(&mut self, name: &Name) {
        let now = self.now();
        let Some(m) = self.machines.get_mut(name) else {
            return;
        };
        m.state = PowerState::Down;
        let slow = match m.take(|f| matches!(f, Fault::Slow(_))) {
            Some(Fault::Slow(factor)) => factor,
            _ => 1,
        };
        let took = m.boot_time.draw(&mut m.rng) * slow;
        let kernel = took.saturating_sub(KUBELET_DELAY_MS);
        let epoch = m.epoch;
        self.queue.push(
            now + kernel,
            Event::KernelUp {
                machine: name.clone(),
                epoch,
            },
        );
        self.queue.push(
            now + took,
            Event::KubeletUp {
                machine: name.clone(),
                epoch,
            },
        );
    }

    pub(crate) fn on_kernel_up(&mut self, name: &Name, epoch: u64) {
        let Some(m) = self.machines.get_mut(name).filter(|m| m.epoch == epoch) else {
            return;
        };
        m.state = PowerState::Up;
        m.boots += 1;
        if m.take(|f| f == Fault::SameBootId).is_none() {
            m.boot_id = m.rng.uuid();
        }
        let (machine, boot_id) = (name.to_string(), m.boot_id.clone());
        self.emit(Truth::MachineUp { machine, boot_id });
    }

    pub(crate) fn on_kubelet_up(&mut self, name: &Name, epoch: u64) {
        let Some(m) = self.machines.get_mut(name).filter(|m| m.epoch == epoch) else {
            return;
        };
        m.kubelet_up = true;
        m.allocatable.extend(m.next_allocatable.clone());
        m.kubelet_ready = m.take(|f| f == Fault::NotReady).is_none();
        self.kubelet_started(name);
    }

    /// The kubelet has booted: it reports its Node, renews the Lease and starts its pods.
    fn kubelet_started(&mut self, node: &Name) {
        let Some(epoch) = self.machines.get(node).map(|m| m.epoch) else {
            return;
        };
        if let Some(known) = self.store.nodes.get(node) {
            let mut taints = known.taints.clone();
            let new = self.machines.get(node).map(|m| m.boot_taints.clone());
            let new = new
                .into_iter()
                .flatten()
                .filter(|taint| !known.taints.contains(taint));
            taints.extend(new);
            // The Node exists, so the patch cannot fail.
            drop(self.patch_node(node, &[NodeOp::SetTaints(taints)], "agent"));
            self.report_node(node);
            self.start_lease(node, epoch);
        } else {
            self.register_node(node);
        }
        self.start_pods(node);
    }

    /// Adds a machine that is up. [`World::register_node`] registers its Node.
    pub(crate) fn add_machine(
        &mut self,
        name: &str,
        labels: Map,
        allocatable: BTreeMap<String, i64>,
        boot_time: Span,
    ) {
        let name: Name = Arc::from(name);
        let mut rng = Rng::stream(self.seed, &format!("machine {name}"));
        let machine = Machine {
            name: name.clone(),
            system_uuid: rng.uuid(),
            boot_id: rng.uuid(),
            state: PowerState::Up,
            boots: 1,
            down_cause: DownCause::Person,
            down_at: 0,
            boot_time,
            kubelet_up: true,
            leased_boot: String::new(),
            kubelet_ready: true,
            faults: Vec::new(),
            labels,
            built: allocatable.clone(),
            allocatable,
            taints: Vec::new(),
            next_allocatable: BTreeMap::new(),
            boot_taints: Vec::new(),
            epoch: 0,
            rng,
        };
        self.machines.insert(name, machine);
    }
}

/// The driver's answer, and the times after it when the machine loses its operating system.
fn driver_answer(m: &mut Machine) -> (PowerOutcome, Vec<Ms>) {
    if m.take(|f| f == Fault::Refuse).is_some() {
        return (PowerOutcome::NothingStarted, vec![]);
    }
    let delay = POWER_DELAY.draw(&mut m.rng);
    if m.take(|f| f == Fault::PowerLost).is_some() {
        return (PowerOutcome::Started, vec![]);
    }
    if m.take(|f| f == Fault::PowerUnknownLost).is_some() {
        return (PowerOutcome::Unknown, vec![]);
    }
    let outcome = match m.take(|f| f == Fault::PowerUnknown) {
        Some(_) => PowerOutcome::Unknown,
        None => PowerOutcome::Started,
    };
    let late = match m.take(|f| matches!(f, Fault::PowerLate(_))) {
        Some(Fault::PowerLate(ms)) => ms,
        _ => 0,
    };
    let mut delays = vec![delay + late];
    if let Some(Fault::PowerTwice(again)) = m.take(|f| matches!(f, Fault::PowerTwice(_))) {
        delays.push(delay + late + again);
    }
    (outcome, delays)
}
