//! Taints of nodes, and the tolerations of pods.

use std::fmt;

/// The taint of a cordoned node.
pub const CORDON_TAINT: &str = "node.kubernetes.io/unschedulable";

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

impl Taint {
    /// Whether it keeps pods out that do not tolerate it.
    pub fn keeps_out(&self) -> bool {
        self.effect != "PreferNoSchedule"
    }
}

/// `pool=gpu:NoSchedule`, as `kubectl taint` writes it.
impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.is_empty() {
            true => write!(f, "{}:{}", self.key, self.effect),
            false => write!(f, "{}={}:{}", self.key, self.value, self.effect),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Toleration {
    /// Empty without a value: it tolerates every key.
    pub key: String,
    /// `None`: the operator is `Exists`.
    pub value: Option<String>,
    /// Empty: it tolerates every effect.
    pub effect: String,
}

impl Toleration {
    pub fn tolerates(&self, taint: &Taint) -> bool {
        (self.effect.is_empty() || self.effect == taint.effect)
            && (self.key.is_empty() && self.value.is_none() || self.key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
    }
}
