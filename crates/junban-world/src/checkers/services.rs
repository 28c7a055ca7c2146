//! A Service with two or more replicas always has a serving pod, unless a machine failed by itself.

use std::collections::BTreeSet;

use crate::truth::{Truth, TruthEvent};

#[derive(Debug, Default)]
pub(super) struct Services {
    /// Services that have had a serving pod.
    served: BTreeSet<String>,
}

impl Services {
    pub(super) fn judge(&mut self, event: &TruthEvent) -> Vec<String> {
        let Truth::Serving {
            service,
            serving,
            wanted,
            lost,
        } = &event.what
        else {
            return vec![];
        };
        if *serving > 0 {
            self.served.insert(service.clone());
            return vec![];
        }
        if *wanted >= 2 && *lost == 0 && self.served.contains(service) {
            return vec![format!(
                "Service {service} with {wanted} replicas has no serving pod"
            )];
        }
        vec![]
    }
}
