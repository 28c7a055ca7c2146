//! From a place that became free to the start that took it, and how much of that wait budgets forbade.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::figures::Turn;

/// How much later than the controller the watcher may see a status, in seconds.
const SEEN_LATE: f64 = 0.5;

/// Nodes, and the apps of the pods that run on each.
pub(super) type Homes = BTreeMap<String, BTreeSet<String>>;

/// Since when each budget allows something, or nothing, as its status told: changes in the order of time.
#[derive(Default)]
pub(super) struct Budgets(BTreeMap<String, Vec<(f64, bool)>>);

impl Budgets {
    /// The status of an app's budget was seen.
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

    /// Since when an app's budget has allowed something; `None`: it allows nothing. The watcher may see it open only
    /// after the controller has used it, and by then it may be closed again.
    fn open_since(changes: &[(f64, bool)], at: f64) -> Option<f64> {
        let opens = |(changed, allows): &(f64, bool)| *allows && *changed <= at + SEEN_LATE;
        let last = changes.iter().rposition(opens)?;
        let closed = changes.get(last + 1).is_some_and(|(closed, _)| *closed <= at);
        (!closed).then(|| changes[last].0.min(at))
    }

    /// Since when all budgets of these apps have allowed something; `None`: one of them allows nothing.
    fn allow_since(&self, apps: &BTreeSet<String>, at: f64) -> Option<f64> {
        let mut since = f64::NEG_INFINITY;
        for changes in apps.iter().filter_map(|app| self.0.get(app)) {
            since = since.max(Self::open_since(changes, at)?);
        }
        Some(since)
    }

    /// When the last of these apps' budgets opened that are open. What is closed at a start did not forbid it: Junban's
    /// own drains hold it (drain.md, deadlocks).
    fn opened_last(&self, apps: &BTreeSet<String>, at: f64) -> Option<f64> {
        let open = apps.iter().filter_map(|app| self.0.get(app));
        open.filter_map(|changes| Self::open_since(changes, at))
            .reduce(f64::max)
    }

    /// Since when some server could have been started instead of nothing: of those that were still to come when the slot
    /// of `turn` was asked for the one whose budgets have allowed it longest, and the one that was started.
    fn some_could_start(&self, turn: &Turn, turns: &[Turn]) -> Option<f64> {
        let to_come = turns
            .iter()
            .filter(|other| other.cordoned > turn.cordoned && other.control_plane == turn.control_plane);
        let others = to_come.filter_map(|other| self.allow_since(turn.homes.get(&other.node)?, turn.granted));
        let itself = turn.homes.get(&turn.node);
        let itself = itself.and_then(|apps| self.opened_last(apps, turn.granted));
        others.chain(itself).reduce(f64::min)
    }
}

/// One start and its wait.
pub(super) struct Start {
    pub(super) node: String,
    /// Since its place was free, in seconds.
    pub(super) place: f64,
    /// Since its place was free and the budgets of some server allowed a start.
    pub(super) permitted: f64,
}

/// Every start that took a place which somebody had freed: the k-th that is freed is taken by the k-th that starts
/// once all are taken; who starts when nobody else is under way (a control plane must) has waited for the last one.
/// Includes waits for groups and for the control plane's turn.
pub(super) fn proven_to_start(turns: &[Turn], places: usize, budgets: &Budgets) -> Vec<Start> {
    let mut events: Vec<(f64, bool, &Turn)> = Vec::new();
    for turn in turns {
        events.push((turn.cordoned, true, turn));
        if let Some(at) = turn.restored {
            events.push((at, false, turn));
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free: VecDeque<Option<f64>> = vec![None; places].into();
    let mut under_way = 0_usize;
    let mut starts = Vec::new();
    for (at, start, turn) in events {
        if !start {
            under_way = under_way.saturating_sub(1);
            free.push_back(Some(at));
            continue;
        }
        let longest = free.pop_front().flatten();
        let last = free.back().copied().flatten().or(longest);
        if let Some(since) = if under_way == 0 { last } else { longest } {
            let allowed = budgets.some_could_start(turn, turns).unwrap_or(since);
            starts.push(Start {
                node: turn.node.clone(),
                place: at - since,
                permitted: at - since.max(allowed),
            });
        }
        under_way += 1;
    }
    starts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Budgets, proven_to_start};
    use crate::rehearsal::figures::Turn;

    fn turn(node: &str, cordoned: f64, restored: f64) -> Turn {
        Turn {
            node: node.to_owned(),
            granted: cordoned,
            cordoned,
            restored: Some(restored),
            ..Turn::default()
        }
    }

    fn apps(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_start_is_counted_from_the_place_that_it_takes() {
        let turns = [
            turn("a", 0.0, 10.0),
            turn("b", 1.0, 12.0),
            turn("c", 10.5, 20.0),
            turn("d", 14.0, 30.0),
        ];
        let waits: Vec<f64> = proven_to_start(&turns, 2, &Budgets::default())
            .into_iter()
            .map(|start| start.place)
            .collect();
        assert_eq!(waits, [0.5, 2.0]);
    }

    #[test]
    fn a_start_that_budgets_forbade_is_counted_from_the_moment_they_allowed_it() {
        let mut budgets = Budgets::default();
        budgets.see("web", 0.0, true);
        budgets.see("web", 5.0, false);
        budgets.see("web", 13.0, true);
        let mut turns = [turn("a", 0.0, 10.0), turn("b", 14.0, 30.0), turn("c", 31.0, 40.0)];
        turns[1].homes = [("b", apps(&["web", "free"])), ("c", apps(&["web"]))]
            .map(|(node, apps)| (node.to_owned(), apps))
            .into();
        let start = &proven_to_start(&turns, 1, &budgets)[0];
        assert_eq!((start.place, start.permitted), (4.0, 1.0));

        // A budget that was used up between slot and cordon is no reason for the wait before.
        budgets.see("web", 13.9, false);
        turns[1].granted = 13.8;
        assert_eq!(proven_to_start(&turns, 1, &budgets)[0].permitted, 1.0);

        // The watcher saw it open after the controller had.
        let mut late = Budgets::default();
        late.see("web", 0.0, true);
        late.see("web", 5.0, false);
        late.see("web", 13.9, true);
        late.see("web", 14.1, false);
        let start = &proven_to_start(&turns, 1, &late)[0];
        assert!((start.permitted - 0.2).abs() < 0.001);

        // Of what it needs something is held by another turn, and did not keep it from its start.
        turns[1].homes.insert("b".to_owned(), apps(&["web", "held"]));
        late.see("held", 0.0, true);
        late.see("held", 13.0, false);
        let start = &proven_to_start(&turns, 1, &late)[0];
        assert!((start.permitted - 0.2).abs() < 0.001);

        // Another server was free to start all the time: that it did not is Junban's wait.
        turns[1].homes.insert("c".to_owned(), apps(&["free"]));
        let start = &proven_to_start(&turns, 1, &budgets)[0];
        assert_eq!(start.permitted, 4.0);
    }
}
