//! Operators of databases and virtual machines, as far as a drain meets them: what makes them move a pod, and how. Each
//! does what the source that it names does.

use std::collections::BTreeMap;

use crate::api::operator::{Operator, OperatorKind};
use crate::api::{
    ApiError, Budget, BudgetStatus, Demand, IntOrPercent, Meta, Ms, Name, ObjKey, Pod, Selector,
    UnhealthyPolicy,
};
use crate::events::Event;
use crate::truth::Removal;
use crate::world::World;

/// An operator looks at its pods this often.
const LOOKS_EVERY_MS: Ms = 1_000;
/// From the eviction until the operator moves the pod: a live migration, or the look at the other brokers.
const MOVES_AFTER_MS: Ms = 3_000;

impl World {
    /// Installs an operator of the pods with the label `app: NAME`. It makes its budgets and labels its pods.
    pub fn install_operator(&mut self, kind: OperatorKind, namespace: &str, name: &str) {
        let pods = Selector::label("app", name);
        let with = |role: &str, value: &str| {
            let mut selector = pods.clone();
            selector.match_labels.insert(role.into(), value.into());
            selector
        };
        let one = Demand::MinAvailable(IntOrPercent::Int(1));
        let budgets = match (kind, kind.role()) {
            (OperatorKind::Zalando, Some((role, primary, _))) => {
                vec![(format!("postgres-{name}-pdb"), with(role, primary), one)]
            }
            (_, Some((role, primary, replica))) => {
                let instances = self.pods_of_app(namespace, name).len();
                let mut budgets = vec![(format!("{name}-primary"), with(role, primary), one)];
                // One replica may be away; with two instances the replica has no budget.
                if let Some(needed) = instances.checked_sub(2).filter(|needed| *needed > 0) {
                    let needed = IntOrPercent::Int(i64::try_from(needed).unwrap_or(1));
                    budgets.push((name.to_owned(), with(role, replica), Demand::MinAvailable(needed)));
                }
                budgets
            }
            (OperatorKind::StrimziLegacy, None) => {
                vec![(
                    name.to_owned(),
                    pods,
                    Demand::MaxUnavailable(IntOrPercent::Int(0)),
                )]
            }
            (OperatorKind::Strimzi, None) => {
                vec![(
                    name.to_owned(),
                    pods,
                    Demand::MaxUnavailable(IntOrPercent::Int(1)),
                )]
            }
            (_, None) => vec![(name.to_owned(), pods, one)],
        };
        self.operators.push(Operator {
            kind,
            namespace: namespace.to_owned(),
            app: name.to_owned(),
            to_move: BTreeMap::new(),
        });
        self.on_operator(self.operators.len() - 1);
        for (budget, selector, demand) in budgets {
            self.apply_budget(Budget {
                meta: Meta {
                    name: budget.into(),
                    namespace: namespace.into(),
                    ..Meta::default()
                },
                selector: Some(selector),
                demand,
                unhealthy: UnhealthyPolicy::default(),
                status: BudgetStatus::default(),
            });
        }
    }

    /// The operator of a pod sees that its eviction is asked for. Its webhook may deny it.
    pub(crate) fn operator_sees_eviction(&mut self, pod: &Pod) -> Result<(), ApiError> {
        let now = self.now;
        let is_own = |operator: &&mut Operator| {
            *operator.namespace == *pod.meta.namespace && pod.meta.labels.get("app") == Some(&operator.app)
        };
        let Some(operator) = self.operators.iter_mut().find(is_own) else {
            return Ok(());
        };
        if operator.kind.role().is_some() {
            return Ok(());
        }
        operator
            .to_move
            .entry(pod.meta.uid.clone())
            .or_insert(now + MOVES_AFTER_MS);
        if operator.kind == OperatorKind::Strimzi {
            return Err(ApiError::Forbidden {
                cause: String::new(),
                text: "admission webhook denied the request: The pod will be rolled by the Strimzi Cluster Operator".into(),
            });
        }
        Ok(())
    }

    pub(crate) fn on_operator(&mut self, index: usize) {
        self.queue.push(self.now + LOOKS_EVERY_MS, Event::Operator(index));
        let Some(operator) = self.operators.get(index) else {
            return;
        };
        let (namespace, app) = (operator.namespace.clone(), operator.app.clone());
        let kind = operator.kind;
        let pods = self.pods_of_app(&namespace, &app);
        match kind.role() {
            Some(role) => self.place_primary(&pods, role),
            None => self.move_one(index, &pods),
        }
    }

    fn pods_of_app(&self, namespace: &str, app: &str) -> Vec<Pod> {
        let is_own = |pod: &&std::sync::Arc<Pod>| {
            let label = pod.meta.labels.get("app").map(String::as_str);
            *pod.meta.namespace == *namespace && label == Some(app) && !pod.ended()
        };
        let pods = self.store.pods.values().filter(is_own);
        pods.map(|pod| (**pod).clone()).collect()
    }

    /// Gives the role of the primary to a pod that may have it.
    fn place_primary(
        &mut self,
        pods: &[Pod],
        (role, primary, replica): (&'static str, &'static str, &'static str),
    ) {
        let nodes = &self.store.nodes;
        let node_of = |pod: &Pod| nodes.get(pod.node.as_ref()?);
        let is_schedulable =
            |pod: &Pod| node_of(pod).is_some_and(|node| !node.unschedulable && node.is_ready());
        let can_lead = |pod: &Pod| pod.status.ready && !pod.terminating();
        let leads = |pod: &&Pod| pod.meta.labels.get(role).is_some_and(|value| value == primary);
        let present = pods.iter().find(leads).filter(|pod| can_lead(pod));
        let next = match present {
            Some(pod) if is_schedulable(pod) => Some(pod),
            // It stays where it is until somebody can take over.
            Some(pod) => pods
                .iter()
                .find(|other| can_lead(other) && is_schedulable(other))
                .or(Some(pod)),
            None => pods.iter().find(|pod| can_lead(pod)),
        };
        let next: Option<Name> = next.map(|pod| pod.meta.uid.clone());
        for pod in pods {
            let value = if Some(&pod.meta.uid) == next.as_ref() {
                primary
            } else {
                replica
            };
            self.update_pod(&pod.meta.key(), |pod| {
                pod.meta.labels.insert(role.into(), value.into());
            });
        }
    }

    /// Deletes the first pod that is to move, if all others are Ready: its controller makes it again on another node.
    fn move_one(&mut self, index: usize, pods: &[Pod]) {
        let now = self.now;
        let Some(operator) = self.operators.get_mut(index) else {
            return;
        };
        operator
            .to_move
            .retain(|uid, _| pods.iter().any(|pod| pod.meta.uid == *uid && !pod.terminating()));
        let due = operator
            .to_move
            .iter()
            .find(|(_, at)| **at <= now)
            .map(|(uid, _)| uid.clone());
        let others_ready = |uid: &Name| {
            let mut others = pods.iter().filter(|pod| pod.meta.uid != *uid);
            others.all(|pod| pod.status.ready && !pod.terminating())
        };
        let Some(uid) = due.filter(others_ready) else {
            return;
        };
        let key: Option<ObjKey> = pods
            .iter()
            .find(|pod| pod.meta.uid == uid)
            .map(|pod| pod.meta.key());
        if let Some(key) = key {
            self.remove_pod(&key, None, Removal::Controller);
        }
    }
}
