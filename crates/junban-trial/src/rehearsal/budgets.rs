//! When each budget allowed a disruption, and when none.

use std::collections::{BTreeMap, BTreeSet};

/// A watch may show a status to us this many seconds later than to the controller.
const SEEN_LATE: f64 = 0.5;

/// For each node the apps whose pods run on it.
pub(super) type AppsByNode = BTreeMap<String, BTreeSet<String>>;

/// For each app the changes of its budget: when the status began to allow a disruption (`true`) or stopped to.
#[derive(Default)]
pub(super) struct Budgets(BTreeMap<String, Vec<(f64, bool)>>);

impl Budgets {
    /// Takes in the status of an app's budget.
    pub(super) fn see(&mut self, app: &str, at: f64, allows: bool) {
        let changes = self.0.entry(app.to_owned()).or_default();
        if changes.last().is_none_or(|(_, before)| *before != allows) {
            changes.push((at, allows));
        }
    }

    #[cfg(test)]
    pub(super) fn last(&self, app: &str) -> Option<bool> {
        self.0.get(app)?.last().map(|(_, allows)| *allows)
    }

    /// Since when all budgets of these apps have allowed a disruption; `None` if one of them allows none.
    pub(super) fn allow_since(&self, apps: &BTreeSet<String>, at: f64) -> Option<f64> {
        let mut since = f64::NEG_INFINITY;
        for changes in apps.iter().filter_map(|app| self.0.get(app)) {
            since = since.max(open_since(changes, at)?);
        }
        Some(since)
    }

    /// When the last of these apps' open budgets opened. A budget that is closed at a start did not forbid that start:
    /// Junban's own drains hold it (docs/design/drain.md#deadlocks).
    pub(super) fn opened_last(&self, apps: &BTreeSet<String>, at: f64) -> Option<f64> {
        let budgets = apps.iter().filter_map(|app| self.0.get(app));
        budgets
            .filter_map(|changes| open_since(changes, at))
            .reduce(f64::max)
    }
}

/// Since when a budget has allowed a disruption; `None` if it allows none. A watch may show the budget open only
/// after the controller has used it, and then the budget may be closed again.
fn open_since(changes: &[(f64, bool)], at: f64) -> Option<f64> {
    let opens = |(changed, allows): &(f64, bool)| *allows && *changed <= at + SEEN_LATE;
    let last = changes.iter().rposition(opens)?;
    let closed = changes.get(last + 1).is_some_and(|(closed, _)| *closed <= at);
    (!closed).then(|| changes[last].0.min(at))
}
