//! The clock: it takes the events from the queue in their order and calls their handlers.

use crate::api::{Attachment, Ms};
use crate::events::Event;
use crate::truth::Truth;
use crate::world::World;

impl World {
    /// Handles all events until `t`, and sets the clock to `t`.
    pub fn advance_to(&mut self, t: Ms) {
        while let Some((at, event)) = self.queue.pop_until(t) {
            self.now = self.now.max(at);
            self.handle(event);
        }
        self.now = self.now.max(t);
    }

    /// Handles events until one changes an object other than a Lease or adds to the truth, at most until `limit`. It
    /// handles all events of the last millisecond. Returns the time.
    pub fn advance_until_change(&mut self, limit: Ms) -> Ms {
        let (mut seen, told) = (self.store.rv, self.truth.len());
        while let Some((at, event)) = self.queue.pop_until(limit) {
            self.now = self.now.max(at);
            let lease = matches!(event, Event::Lease { .. });
            self.handle(event);
            if lease {
                // The renewal itself is one write. The first one after a boot also adds to the truth.
                seen += u64::from(self.store.rv == seen + 1);
            }
            let changed = self.store.rv != seen || self.truth.len() != told;
            if changed && self.queue.next_at().is_none_or(|next| next > self.now) {
                return self.now;
            }
        }
        self.now = self.now.max(limit);
        self.now
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Lease { node, epoch } => self.on_lease(&node, epoch),
            Event::LeaseCheck { node } => self.on_lease_check(&node),
            Event::Taints { node } => self.on_taints(&node),
            Event::TaintEvict { node, since } => self.on_taint_evict(&node, since),
            Event::Power {
                machine,
                tag,
                again,
                cause,
            } => self.on_power(&machine, tag, again, cause),
            Event::KernelUp { machine, epoch } => self.on_kernel_up(&machine, epoch),
            Event::KubeletUp { machine, epoch } => self.on_kubelet_up(&machine, epoch),
            Event::Pod { key, uid, run, step } => self.on_pod(&key, &uid, run, step),
            Event::Owner(key) => self.on_owner(&key),
            Event::Budget(key) => self.on_budget(&key),
            Event::Schedule => self.on_schedule(),
            Event::Operator(index) => self.on_operator(index),
            Event::Detached { attachment } => {
                if let Some(old) = self.store.remove::<Attachment>(self.now, &attachment) {
                    let node = old.node.to_string();
                    self.emit(Truth::Detached { node });
                }
            }
            Event::Collect { node } => self.on_collect(&node),
        }
    }
}
