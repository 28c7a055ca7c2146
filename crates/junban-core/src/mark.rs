//! The mark: an annotation on the Node that says whose cordon this is and what was done to it (lifecycle.md 6).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format::MarkFormat;
use crate::guard::{self, Guard};
use crate::ids::{BootId, EntryName, EntryUid, MarkId, NodeUid, PolicyName, SystemUuid};
use crate::pod::Pod;
use crate::time::Timestamp;
use crate::workload::WorkloadKind;

/// As it stands in the annotation, as compact JSON.
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
    /// The entry's goal, so that an entry that was deleted can be made again.
    pub booted_after: Timestamp,
    pub prior: Prior,
    /// At the start of the turn.
    #[serde(rename = "bootID")]
    pub boot_id: BootId,
    #[serde(rename = "systemUUID")]
    pub system_uuid: SystemUuid,
    /// DaemonSet pods that were Ready here at the start of the turn, and again just before its power action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub daemons: Vec<Daemon>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<MarkPower>,
}

/// How the node was before: only what Junban changed itself is restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prior {
    /// Somebody else had cordoned it: it stays cordoned afterwards.
    pub cordoned: bool,
    /// The exclude-from-external-load-balancers label was there already: it stays.
    pub excluded_from_load_balancers: bool,
}

/// A DaemonSet's pod before the reboot; ids cut to [`Mark::DIGITS`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Daemon {
    /// `namespace/name` of the DaemonSet.
    pub set: String,
    /// First digits of the pod's UID.
    pub pod: String,
    /// First digits of the IDs of its running containers.
    pub containers: Vec<String>,
}

/// The attempt that the node may be under.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkPower {
    pub attempt: u32,
    #[serde(rename = "bootIDBefore")]
    pub boot_id_before: BootId,
    /// On the cluster clock's time led, in milliseconds.
    pub deadline_led_ms: u64,
    /// `void: ATTEMPT`: surely nothing was started by this attempt and nothing will be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub void: bool,
    /// An attempt before this one may have been started and is not proven: voiding this one does not undo that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier: bool,
}

impl Daemon {
    /// A pod of a DaemonSet that is Ready.
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
    /// The DaemonSets' pods as they are just before the power action. Of a set without a Ready pod now, the one at the
    /// start of the turn is remembered.
    pub fn daemons_before_power<'a>(&self, pods: impl Iterator<Item = &'a Pod>) -> Vec<Daemon> {
        let mut daemons: Vec<Daemon> = pods.filter_map(Daemon::of).collect();
        let is_missing = |known: &&Daemon| daemons.iter().all(|daemon| daemon.set != known.set);
        let missing: Vec<Daemon> = self.daemons.iter().filter(is_missing).cloned().collect();
        daemons.extend(missing);
        daemons
    }

    /// Digits of a containerID or pod UID that a mark keeps.
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

    /// The attempt that may have been started, if there is one.
    pub fn live_attempt(&self) -> Option<&MarkPower> {
        self.power
            .as_ref()
            .filter(|power| guard::stands(Guard::LiveAttempt) && (!power.void || power.earlier))
    }

    /// The bootID from which a changed one is told: the one before the attempt that may have been started, else the
    /// one at the start of the turn.
    pub fn boot_id_before(&self) -> &BootId {
        self.live_attempt()
            .map_or(&self.boot_id, |power| &power.boot_id_before)
    }

    /// The first digits of an ID, without its `containerd://`.
    pub fn digits(id: &str) -> String {
        let bare = id.rsplit("//").next().unwrap_or(id);
        bare.chars().take(Self::DIGITS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    fn mark() -> Mark {
        Mark {
            format: Format,
            id: "id".into(),
            entry: "node-1-abc".into(),
            entry_uid: "e1".into(),
            node_uid: "n1".into(),
            policy: "workers".into(),
            booted_after: Timestamp::UNIX_EPOCH,
            prior: Prior {
                cordoned: false,
                excluded_from_load_balancers: true,
            },
            boot_id: "b1".into(),
            system_uuid: "s1".into(),
            daemons: Vec::new(),
            power: None,
        }
    }

    #[test]
    fn a_mark_is_read_with_the_current_format_and_without_one() {
        let text = mark().to_annotation();
        assert!(text.starts_with(r#"{"format":1,"id":"id","#), "{text}");
        assert_eq!(Mark::parse(&text), Ok(mark()));
        assert_eq!(Mark::parse(&text.replace(r#""format":1,"#, "")), Ok(mark()));
    }

    #[test]
    fn a_mark_of_a_newer_release_is_not_read_whatever_its_other_fields_are() {
        let expected = "the mark cannot be read: written by a newer release of Junban \
             (format 2, this release reads up to 1): use that release";
        let text = mark().to_annotation().replace(r#""format":1"#, r#""format":2"#);
        for text in [text.as_str(), r#"{"id":5,"format":2}"#] {
            assert_eq!(Mark::parse(text).unwrap_err(), expected, "{text}");
        }
        let error = Mark::parse(r#"{"format":"new"}"#).unwrap_err();
        assert!(
            error.starts_with("the mark cannot be read: invalid type"),
            "{error}"
        );
    }
}
