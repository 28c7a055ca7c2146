//! Operators of databases and virtual machines: data. `crate::operators` does what they do.

use std::collections::BTreeMap;

use super::meta::{Ms, Name};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorKind {
    /// cloudnative-pg `internal/controller/replicas.go` at bd73544: if the primary's node is unschedulable, another Ready
    /// instance on a schedulable node becomes the primary.
    CloudNativePg,
    /// zalando/postgres-operator `pkg/controller/node.go` at 9936d24: when a node becomes unschedulable, its master pods
    /// are switched over to a replica.
    Zalando,
    /// strimzi/drain-cleaner `src/main/java/io/strimzi/ValidatingWebhook.java` at 321ea70: the webhook denies the eviction
    /// and annotates the pod, and the cluster operator rolls the annotated pods one by one.
    Strimzi,
    /// The same with `STRIMZI_DENY_EVICTION=false`: the webhook lets the eviction through, and a budget with
    /// `maxUnavailable: 0` denies it.
    StrimziLegacy,
    /// kubevirt `pkg/virt-api/webhooks/validating-webhook/admitters/pod-eviction-admitter.go` at 0827137: the webhook marks
    /// the virtual machine for evacuation, its budget denies the eviction, and a live migration ends the pod.
    KubeVirt,
}

#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) kind: OperatorKind,
    pub(crate) namespace: String,
    /// The label `app` of its pods.
    pub(crate) app: String,
    /// The pods whose eviction was asked for, by UID, and when they are moved.
    pub(crate) to_move: BTreeMap<Name, Ms>,
}

impl OperatorKind {
    /// The label that says who the primary is, with its value for the primary and for the others.
    pub(crate) fn role(self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            Self::CloudNativePg => Some(("cnpg.io/instanceRole", "primary", "replica")),
            Self::Zalando => Some(("spilo-role", "master", "replica")),
            Self::Strimzi | Self::StrimziLegacy | Self::KubeVirt => None,
        }
    }
}
