//! Services of two or more replicas are never without a serving pod, as long as no machine fell over
//! by itself.

use std::collections::BTreeSet;

use super::params::Params;
use super::rule::Checker;
use super::view::ClusterView;
use crate::truth::{Truth, TruthEvent};

/// The rule.
#[derive(Debug, Default)]
pub struct Services {
    /// Services that have served.
    served: BTreeSet<String>,
}

impl Checker for Services {
    fn rule(&self) -> &'static str {
        "services"
    }

    fn observe(&mut self, event: &TruthEvent, _: &ClusterView, _: &Params) -> Vec<String> {
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
                "service {service} of {wanted} replicas has no serving pod"
            )];
        }
        vec![]
    }
}
