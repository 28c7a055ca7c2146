//! The interface of a checker, and the violations that it finds.

use serde::{Deserialize, Serialize};

use super::params::Params;
use super::view::ClusterView;
use crate::api::Ms;
use crate::truth::TruthEvent;

/// One violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub at: Ms,
    /// `S1` to `S29`, or `services`.
    pub rule: String,
    pub text: String,
}

/// The checker of one rule.
pub trait Checker: Send {
    /// The rule's id.
    fn rule(&self) -> &'static str;

    /// One text for each way in which `event` breaks the rule. `view` is the cluster before the event.
    fn observe(&mut self, event: &TruthEvent, view: &ClusterView, params: &Params) -> Vec<String>;
}
