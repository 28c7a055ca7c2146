//! The mark: an annotation on the Node that says whose cordon it is and what was done to the machine
//! (docs/design/ledger.md#ledger-mark-and-record).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format::MarkFormat;
use crate::guard::{self, Guard};
use crate::ids::{BootId, EntryName, EntryUid, MarkId, NodeUid, PolicyName, SystemUuid};
use crate::pod::Pod;
use crate::time::Timestamp;
use crate::workload::WorkloadKind;

/// The annotation is this as compact JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    #[serde(default)]
    pub format: MarkFormat,
    /// Random, so that two controllers that mark the same node for the same entry can be told apart.
    pub id: MarkId,
    pub entry: EntryName,
    #[serde(rename = "entryUID")]
    pub entry_uid: EntryUid,
    #[serde(rename = "nodeUID")]
    pub node_uid: NodeUid,
    pub policy: PolicyName,
    /// The entry's goal: an entry that was deleted is made again with it.
    pub booted_after: Timestamp,
    pub prior: Prior,
    /// The bootID at the start of the turn.
    #[serde(rename = "bootID")]
    pub boot_id: BootId,
    #[serde(rename = "systemUUID")]
    pub system_uuid: SystemUuid,
    /// DaemonSet pods that were Ready here at the start of the turn, and again just before its power action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub daemons: Vec<Daemon>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<MarkPower>,
    /// The quorum groups of which the node was a member at the start of the turn. A group that is named by its pods would
    /// forget the node when its pod has left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quorum_groups: Vec<String>,
    /// `None`: an earlier release wrote the mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// What the node had at the start of the turn, and must have when it comes back (docs/design/proof.md#as-it-went).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// The taints that keep pods out, as kubectl writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<String>,
    /// For each resource its amount: cpu in millicores, all others in their base unit.
    pub allocatable: BTreeMap<String, i64>,
}

/// How the node was before the turn: only what Junban changed is restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prior {
    /// The node was cordoned already: it stays cordoned.
    pub cordoned: bool,
    /// The load balancer label was there already: it stays.
    pub excluded_from_load_balancers: bool,
}

/// A DaemonSet's pod before the reboot. IDs are cut to [`Mark::DIGITS`] digits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Daemon {
    /// `namespace/name` of the DaemonSet.
    pub set: String,
    /// The UID of the pod.
    pub pod: String,
    /// The IDs of its running containers.
    pub containers: Vec<String>,
}

/// The last attempt of a power action.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkPower {
    pub attempt: u32,
    #[serde(rename = "bootIDBefore")]
    pub boot_id_before: BootId,
    /// A `led_ms` of the cluster clock.
    pub deadline_led_ms: u64,
    /// This attempt has surely started nothing, and will start nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub void: bool,
    /// An attempt before this one may have been started and is not proven. So the node may boot even if this one is
    /// void.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier: bool,
}

impl Daemon {
    /// `None` if the pod is not Ready or not of a DaemonSet.
    pub fn of(pod: &Pod) -> Option<Self> {
        let owner = pod
            .owner
            .as_ref()
            .filter(|owner| owner.kind == WorkloadKind::DaemonSet)?;
        (pod.ready && !pod.terminating).then(|| Self {
            set: format!("{}/{}", owner.namespace, owner.name),
            pod: Mark::digits(pod.uid.as_str()),
            containers: pod.running_containers.iter().map(|id| Mark::digits(id)).collect(),
        })
    }
}

impl Mark {
    /// The DaemonSets' pods just before the power action. If a DaemonSet has no Ready pod now, its pod from the start
    /// of the turn is kept.
    pub fn daemons_before_power<'a>(&self, pods: impl Iterator<Item = &'a Pod>) -> Vec<Daemon> {
        let mut daemons: Vec<Daemon> = pods.filter_map(Daemon::of).collect();
        let is_missing = |known: &&Daemon| daemons.iter().all(|daemon| daemon.set != known.set);
        let missing: Vec<Daemon> = self.daemons.iter().filter(is_missing).cloned().collect();
        daemons.extend(missing);
        daemons
    }

    /// How many digits of a container ID or pod UID a mark keeps.
    pub const DIGITS: usize = 12;

    /// Parses the annotation's value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unreadable = |error: &dyn fmt::Display| format!("the mark cannot be read: {error}");
        let stored = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        MarkFormat::check(&stored).map_err(|error| unreadable(&error))?;
        serde_json::from_str(text).map_err(|error| unreadable(&error))
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        // A struct of strings and numbers always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The attempt, if it or an earlier one may have been started.
    pub fn live_attempt(&self) -> Option<&MarkPower> {
        self.power
            .as_ref()
            .filter(|power| guard::stands(Guard::LiveAttempt) && (!power.void || power.earlier))
    }

    /// The bootID before the attempt that may have been started, else the one at the start of the turn. Another bootID
    /// means that the machine has booted.
    pub fn boot_id_before(&self) -> &BootId {
        self.live_attempt()
            .map_or(&self.boot_id, |power| &power.boot_id_before)
    }

    /// The first digits of an ID, without a prefix like `containerd://`.
    pub fn digits(id: &str) -> String {
        let bare = id.rsplit("//").next().unwrap_or(id);
        bare.chars().take(Self::DIGITS).collect()
    }
}

#[cfg(test)]
mod tests;
