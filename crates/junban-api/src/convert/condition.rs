//! Conditions. The time of a condition changes only when its status changes.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A condition to write.
pub struct Wanted<'a> {
    name: &'static str,
    holds: bool,
    reason: &'a str,
    message: &'a str,
}

impl<'a> Wanted<'a> {
    pub fn new(name: &'static str, holds: bool, reason: &'a str, message: &'a str) -> Self {
        Self {
            name,
            holds,
            reason,
            message,
        }
    }
}

/// The `conditions` of a status. The times come from `previous`, the current status (or null).
pub fn merge(previous: &Value, wanted: &[Wanted<'_>], observed_generation: i64, now: Timestamp) -> Value {
    let known = previous.get("conditions").and_then(Value::as_array);
    let conditions = wanted.iter().map(|wanted| {
        let status = if wanted.holds { "True" } else { "False" };
        let unchanged = known
            .into_iter()
            .flatten()
            .find(|known| known["type"] == wanted.name && known["status"] == status);
        let since = unchanged
            .and_then(|known| known["lastTransitionTime"].as_str())
            .map_or_else(|| super::format_goal(now), str::to_owned);
        json!({
            "type": wanted.name,
            "status": status,
            // Kubernetes requires a reason.
            "reason": if wanted.reason.is_empty() { "Unknown" } else { wanted.reason },
            "message": wanted.message,
            "lastTransitionTime": since,
            "observedGeneration": observed_generation,
        })
    });
    conditions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_while_its_status_is_the_same() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = json!({"conditions": merge(&Value::Null, &[Wanted::new("Paused", true, "Paused", "")], 1, at(0))});
        let second = merge(&first, &[Wanted::new("Paused", true, "Paused", "why")], 2, at(60));
        assert_eq!(second[0]["lastTransitionTime"], "1970-01-01T00:00:00Z");
        assert_eq!(second[0]["message"], "why");
        let third = merge(
            &json!({"conditions": second}),
            &[Wanted::new("Paused", false, "", "")],
            3,
            at(120),
        );
        assert_eq!(third[0]["lastTransitionTime"], "1970-01-01T00:02:00Z");
        assert_eq!(third[0]["reason"], "Unknown");
    }
}
