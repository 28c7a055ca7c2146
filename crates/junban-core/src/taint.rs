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
    /// Whether a pod that does not tolerate it cannot come to the node. The taint of a cordon is left aside: the cordon
    /// itself is known.
    pub fn keeps_pods_out(&self) -> bool {
        self.effect != "PreferNoSchedule" && self.key != CORDON_TAINT
    }
}

/// As kubectl writes it: `key=value:effect`.
impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.value.is_empty() {
            write!(f, "={}", self.value)?;
        }
        write!(f, ":{}", self.effect)
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
