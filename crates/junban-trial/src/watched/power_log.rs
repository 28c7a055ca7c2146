//! The log of the simulated machines: one line for each power action that reached a machine.

use std::path::Path;

use anyhow::{Context as _, Result};
use junban_sim::objects::ENTRY;
use junban_world::{DownCause, Mirror, Ms, PowerOutcome, PowerTag, Truth};
use serde::{Deserialize, Deserializer};

use crate::json::text;

/// A watch may show a write this long after it was done. So a power action counts this much later than its line says: the
/// record that was written before it must be seen before it.
pub(crate) const WATCHES_LATE_MS: Ms = 300;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PowerLine {
    /// In seconds since 1970.
    #[serde(rename = "time", deserialize_with = "seconds")]
    at: f64,
    node: String,
    #[serde(rename = "bootIDBefore")]
    boot_id_before: String,
    /// `reset` by the power program, or `self` by the machine.
    #[serde(default)]
    action: String,
    effect: String,
}

pub(super) fn power_lines(log: &Path) -> Result<Vec<PowerLine>> {
    let text = match std::fs::read_to_string(log) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context("read the power log"),
    };
    text.lines()
        .map(|line| serde_json::from_str(line).context("a line of the power log"))
        .collect()
}

impl PowerLine {
    /// When the checkers hear of it.
    pub(super) fn told_at(&self) -> Ms {
        (self.at * 1_000.0) as Ms + WATCHES_LATE_MS
    }

    pub(super) fn tell(&self, mirror: &mut Mirror) {
        let (at, node, machine) = (self.told_at(), self.node.clone(), self.node.clone());
        let boot_id = self.boot_id_before.clone();
        let has_effect = self.effect != "lost";
        let is_power = self.action != "self";
        if is_power {
            let tag = tag(mirror, &node);
            let called = Truth::PowerCalled {
                node: node.clone(),
                machine: machine.clone(),
                boot_id: boot_id.clone(),
                tag: tag.clone(),
                outcome: PowerOutcome::Started,
            };
            mirror.tell(at, called);
            if has_effect {
                let effect = Truth::PowerEffect {
                    node,
                    machine: machine.clone(),
                    boot_id: boot_id.clone(),
                    tag,
                    again: false,
                };
                mirror.tell(at, effect);
            }
        }
        let cause = match (is_power, self.effect.as_str()) {
            (true, _) => DownCause::Power,
            (false, "dead") => DownCause::Spontaneous,
            (false, _) => DownCause::Person,
        };
        if has_effect {
            let down = Truth::MachineDown {
                machine,
                boot_id,
                cause,
            };
            mirror.tell(at, down);
        }
    }
}

/// The line does not name an entry: it belongs to the one that records a power action on this node.
fn tag(mirror: &Mirror, node: &str) -> PowerTag {
    let mut entries = mirror.store().customs().filter(|custom| custom.kind == ENTRY);
    let recorded =
        entries.find(|entry| entry.spec["nodeName"] == node && text(&entry.status["phase"]) == "Rebooting");
    recorded.map_or_else(PowerTag::default, |entry| PowerTag {
        entry: entry.meta.uid.to_string(),
        attempt: entry.status["attempt"].as_u64().unwrap_or_default(),
    })
}

/// Reads `2026-11-23T17:56:19.353816Z` as seconds since 1970.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let text = String::deserialize(from)?;
    let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(time.as_duration().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::PowerLine;

    #[test]
    fn times_of_the_logs_are_read() {
        let at = |time: &str| {
            let line = serde_json::json!({"time": time, "node": "", "bootIDBefore": "", "effect": ""});
            serde_json::from_value(line).ok().map(|line: PowerLine| line.at)
        };
        assert_eq!(at("2024-02-29T12:00:00.500Z"), Some(1_709_208_000.5));
        assert_eq!(at("yesterday"), None);
    }
}
