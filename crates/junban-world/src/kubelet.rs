//! Kubelets: they start, stop and restart the pods of their node, and report their status.
//!
//! After a hard reset a pod keeps its UID and its node. The API shows its old status until shortly after the new
//! bootID; then the pod restarts with new containers.

use crate::api::{Attachment, Meta, Ms, Name, ObjKey, Phase, Pod, VolumeKind};
use crate::events::{Event, PodStep};
use crate::rng::{Rng, Span};
use crate::truth::{Removal, Truth};
use crate::world::World;

/// From the deletion of a pod without running containers until its kubelet acts on it.
const KUBELET_REACTION: Span = Span::ms(300, 1200);
/// A pod that needs this long to start or to become Ready has not done so when the cluster is built.
const LATE_MS: Ms = 60_000;
/// The time until the kubelet checks again whether a volume is still attached elsewhere.
const ATTACH_RETRY_MS: Ms = 1000;

impl World {
    /// The machine has lost its operating system and all containers. The API does not show this yet.
    pub(crate) fn containers_lost(&mut self, node: &Name) {
        let pods: Vec<_> = self.store.pods_on(node).cloned().collect();
        for pod in pods {
            let run = self.runs.entry(pod.meta.uid.clone()).or_default();
            run.number += 1;
            run.stopping = false;
            run.serves = false;
            self.emit_services_of(&pod);
        }
    }

    /// The kubelet starts or stops the pods of its node, once it is Ready.
    pub(crate) fn start_pods(&mut self, node: &Name) {
        let pods: Vec<_> = self.store.pods_on(node).filter(|p| !p.ended()).cloned().collect();
        for pod in pods {
            let (step, span) = if pod.terminating() {
                (PodStep::Stopped, KUBELET_REACTION)
            } else {
                (PodStep::ContainersLost, self.config.stale_status)
            };
            let after = self.delay(span);
            self.queue_pod_event(&pod, after, step);
        }
    }

    fn kubelet_runs(&self, pod: &Pod) -> bool {
        pod.node
            .as_ref()
            .and_then(|n| self.machines.get(n))
            .is_some_and(|m| m.kubelet_up && m.kubelet_ready)
    }

    fn queue_pod_event(&mut self, pod: &Pod, after: Ms, step: PodStep) {
        let uid = pod.meta.uid.clone();
        let run = self.runs.entry(uid.clone()).or_default().number;
        self.queue.push(
            self.now + after,
            Event::Pod {
                key: pod.meta.key(),
                uid,
                run,
                step,
            },
        );
    }

    /// Draws a time from the pod's own stream of random numbers. While the cluster is being built, what takes less than
    /// [`LATE_MS`] has happened already.
    fn draw(&mut self, pod: &Pod, span: Span) -> Ms {
        if self.instant && span.min < LATE_MS {
            return 0;
        }
        let seed = self.seed;
        let run = self.runs.entry(pod.meta.uid.clone()).or_default();
        span.draw(run.rng.get_or_insert_with(|| Rng::stream(seed, &pod.meta.uid)))
    }

    /// The pod was bound: its volumes are attached, and its kubelet starts it.
    pub(crate) fn pod_bound(&mut self, key: &ObjKey) {
        let Some(pod) = self.store.pods.get(key).cloned() else {
            return;
        };
        self.attach(&pod);
        if self.kubelet_runs(&pod) {
            let after = self.draw(&pod, pod.template.behaviour.start);
            self.queue_pod_event(&pod, after, PodStep::Started);
        }
    }

    /// A bound pod was deleted: its kubelet stops it.
    fn stop(&mut self, key: &ObjKey) {
        let Some(pod) = self.store.pods.get(key).cloned() else {
            return;
        };
        let run = self.runs.entry(pod.meta.uid.clone()).or_default();
        if run.stopping {
            return;
        }
        run.stopping = true;
        let is_stuck = pod.template.behaviour.never_stops && pod.status.started.is_some();
        if is_stuck || !self.kubelet_runs(&pod) {
            return;
        }
        let grace = pod.deletion_grace_s * 1000;
        let behaviour = &pod.template.behaviour;
        let after = if pod.status.started.is_none() {
            self.draw(&pod, KUBELET_REACTION)
        } else if behaviour.ignores_sigterm {
            grace
        } else {
            self.draw(&pod, behaviour.stop).min(grace)
        };
        self.queue_pod_event(&pod, after, PodStep::Stopped);
    }

    pub(crate) fn on_pod(&mut self, key: &ObjKey, uid: &Name, run: u64, step: PodStep) {
        let Some(pod) = self.store.pods.get(key).filter(|p| p.meta.uid == *uid).cloned() else {
            return;
        };
        let current = self.runs.get(uid).is_some_and(|r| r.number == run);
        if !current || !self.kubelet_runs(&pod) {
            return;
        }
        match step {
            PodStep::ContainersLost => self.on_containers_lost(key, &pod),
            PodStep::Started => self.on_started(key, &pod),
            PodStep::Ready => self.on_ready(key, &pod),
            PodStep::Finished => self.on_finished(key, &pod),
            PodStep::Stopped => self.on_stopped(key, &pod),
        }
    }

    fn on_containers_lost(&mut self, key: &ObjKey, pod: &Pod) {
        let now = self.now;
        if pod.template.restarts_never {
            // The pod fails, and its controller makes another one.
            self.update_pod(key, |p| {
                p.status.end(Phase::Failed, now);
            });
            self.detach(pod);
            return;
        }
        self.update_pod(key, |p| {
            if p.status.ready {
                p.status.ready_since = now;
            }
            p.status.ready = false;
            p.status.restarts += u32::from(p.status.started.is_some());
            p.status.container_ids.clear();
        });
        if !pod.terminating() {
            let after = self.draw(pod, pod.template.behaviour.start);
            self.queue_pod_event(pod, after, PodStep::Started);
        }
    }

    fn on_started(&mut self, key: &ObjKey, pod: &Pod) {
        if pod.terminating() {
            return;
        }
        if self.volume_elsewhere(pod) {
            self.queue_pod_event(pod, ATTACH_RETRY_MS, PodStep::Started);
            return;
        }
        let now = self.now;
        let seed = self.seed;
        let run = self.runs.entry(pod.meta.uid.clone()).or_default();
        let rng = run.rng.get_or_insert_with(|| Rng::stream(seed, &pod.meta.uid));
        let id = format!("containerd://{:016x}{:016x}", rng.u64(), rng.u64());
        self.update_pod(key, |p| {
            p.status.phase = Phase::Running;
            p.status.started.get_or_insert(now);
            p.status.container_ids = vec![id];
            p.status.reason.clear();
        });
        let behaviour = &pod.template.behaviour;
        if !behaviour.never_ready {
            let after = self.draw(pod, behaviour.ready);
            self.queue_pod_event(pod, after, PodStep::Ready);
        }
        if let Some(span) = behaviour.runs_for {
            // Draw this also while the cluster is being built: else the Job would end at once.
            let after = span.draw(&mut self.rng);
            self.queue_pod_event(pod, after, PodStep::Finished);
        }
    }

    fn on_ready(&mut self, key: &ObjKey, pod: &Pod) {
        if pod.terminating() || pod.ended() {
            return;
        }
        let now = self.now;
        self.runs.entry(pod.meta.uid.clone()).or_default().serves = true;
        self.update_pod(key, |p| {
            p.status.ready = true;
            p.status.ready_since = now;
        });
        self.emit_services_of(pod);
    }

    fn on_finished(&mut self, key: &ObjKey, pod: &Pod) {
        let now = self.now;
        self.runs.entry(pod.meta.uid.clone()).or_default().serves = false;
        self.update_pod(key, |p| {
            p.status.end(Phase::Succeeded, now);
        });
        self.detach(pod);
        if pod.terminating() {
            self.on_stopped(key, pod);
        }
    }

    fn on_stopped(&mut self, key: &ObjKey, pod: &Pod) {
        self.runs.entry(pod.meta.uid.clone()).or_default().serves = false;
        if pod.meta.finalizers.is_empty() {
            self.drop_pod(key);
        } else {
            // The object stays. Whether it succeeded or failed depends on the exit codes of its containers.
            let now = self.now;
            let killed = pod.template.behaviour.ignores_sigterm || pod.status.started.is_none();
            let phase = if killed { Phase::Failed } else { Phase::Succeeded };
            self.update_pod(key, |p| {
                p.status.end(phase, now);
            });
        }
        self.detach(pod);
    }

    /// Deletes a pod. `grace_s` replaces the pod's own grace period; 0 removes it at once.
    pub(crate) fn remove_pod(&mut self, key: &ObjKey, grace_s: Option<u64>, why: Removal) {
        let Some(pod) = self.store.pods.get(key).cloned() else {
            return;
        };
        if pod.terminating() && grace_s != Some(0) {
            return;
        }
        self.emit_removal(key, why);
        let now = self.now;
        let at_once = pod.node.is_none() || pod.ended() || grace_s == Some(0);
        if at_once && pod.meta.finalizers.is_empty() {
            self.drop_pod(key);
            self.detach(&pod);
            return;
        }
        let grace = grace_s.unwrap_or(pod.template.grace_s);
        self.update_pod(key, |p| {
            p.meta.deleted = Some(now);
            p.meta.generation += 1;
            p.deletion_grace_s = grace;
        });
        if pod.node.is_some() && !pod.ended() {
            self.stop(key);
        }
    }

    /// Removes the pod's finalizers.
    pub fn release_finalizers(&mut self, namespace: &str, name: &str) {
        let key = ObjKey::new(namespace, name);
        self.update_pod(&key, |p| p.meta.finalizers.clear());
        let gone = self
            .store
            .pods
            .get(&key)
            .is_some_and(|p| p.terminating() && p.status.container_ids.is_empty());
        if gone {
            self.drop_pod(&key);
        }
    }

    pub(crate) fn emit_removal(&mut self, key: &ObjKey, why: Removal) {
        let Some(pod) = self.store.pods.get(key) else {
            return;
        };
        let (uid, ready) = (pod.meta.uid.to_string(), pod.status.ready && !pod.terminating());
        self.emit(Truth::PodRemoval {
            pod: key.to_string(),
            uid,
            ready,
            why,
        });
    }

    fn network_volumes(&self, pod: &Pod) -> Vec<Name> {
        let claims = self.store.claims_of(pod);
        claims
            .filter(|c| c.kind == VolumeKind::Network)
            .filter_map(|c| c.volume.clone())
            .collect()
    }

    fn attach(&mut self, pod: &Pod) {
        let Some(node) = pod.node.clone() else { return };
        for volume in self.network_volumes(pod) {
            let name: Name = format!("csi-{volume}-{node}").into();
            let uid = self.new_uid();
            let meta = Meta {
                name,
                uid,
                created: self.now,
                ..Meta::default()
            };
            let attachment = Attachment {
                meta,
                node: node.clone(),
                volume,
                attached: true,
            };
            self.store.put(self.now, attachment);
        }
    }

    fn detach(&mut self, pod: &Pod) {
        let Some(node) = pod.node.clone() else { return };
        for volume in self.network_volumes(pod) {
            let attachment: Name = format!("csi-{volume}-{node}").into();
            let span = pod.template.behaviour.detach.unwrap_or(self.config.detach);
            let after = self.delay(span);
            self.queue.push(self.now + after, Event::Detached { attachment });
        }
    }

    fn volume_elsewhere(&self, pod: &Pod) -> bool {
        let volumes = self.network_volumes(pod);
        !volumes.is_empty()
            && self
                .store
                .attachments
                .values()
                .any(|a| volumes.contains(&a.volume) && Some(&a.node) != pod.node.as_ref())
    }
}
