//! How long each start waited after a place became free, and for how much of that time budgets forbade every start.

use std::collections::VecDeque;

use super::budgets::Budgets;
use super::turns::LoggedTurn;

/// One start and its wait.
pub(super) struct Start {
    pub(super) node: String,
    /// Seconds since its place was free.
    pub(super) place: f64,
    /// Seconds since its place was free and the budgets of some server allowed a start.
    pub(super) permitted: f64,
}

/// Every start that took a place which another turn had freed. When all places are taken, the k-th start takes the k-th
/// freed place. A start with no other turn under way (a control-plane node must start so) has waited for the last turn.
/// The waits include those for groups and for the control plane.
pub(super) fn proven_to_start(turns: &[LoggedTurn], places: usize, budgets: &Budgets) -> Vec<Start> {
    let mut events: Vec<(f64, bool, &LoggedTurn)> = Vec::new();
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
            let allowed = some_start_allowed_since(budgets, turn, turns).unwrap_or(since);
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

/// Since when the budgets had allowed the start of some server, at the moment at which the slot of `turn` was asked for:
/// of this server, or of the waiting server whose budgets had allowed it longest.
fn some_start_allowed_since(budgets: &Budgets, turn: &LoggedTurn, turns: &[LoggedTurn]) -> Option<f64> {
    let waiting = turns
        .iter()
        .filter(|other| other.cordoned > turn.cordoned && other.control_plane == turn.control_plane);
    let others = waiting.filter_map(|other| budgets.allow_since(turn.apps.get(&other.node)?, turn.granted));
    let itself = turn.apps.get(&turn.node);
    let itself = itself.and_then(|apps| budgets.opened_last(apps, turn.granted));
    others.chain(itself).reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Budgets, LoggedTurn, proven_to_start};

    fn turn(node: &str, cordoned: f64, restored: f64) -> LoggedTurn {
        LoggedTurn {
            node: node.to_owned(),
            granted: cordoned,
            cordoned,
            restored: Some(restored),
            ..LoggedTurn::default()
        }
    }

    fn apps(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_start_waits_from_the_moment_its_place_is_free() {
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
    fn a_start_that_budgets_forbade_waits_from_the_moment_they_allow_it() {
        let mut budgets = Budgets::default();
        budgets.see("web", 0.0, true);
        budgets.see("web", 5.0, false);
        budgets.see("web", 13.0, true);
        let mut turns = [turn("a", 0.0, 10.0), turn("b", 14.0, 30.0), turn("c", 31.0, 40.0)];
        turns[1].apps = [("b", apps(&["web", "free"])), ("c", apps(&["web"]))]
            .map(|(node, apps)| (node.to_owned(), apps))
            .into();
        let start = &proven_to_start(&turns, 1, &budgets)[0];
        assert_eq!((start.place, start.permitted), (4.0, 1.0));

        // A budget that closes between the slot and the cordon does not explain the wait before.
        budgets.see("web", 13.9, false);
        turns[1].granted = 13.8;
        assert_eq!(proven_to_start(&turns, 1, &budgets)[0].permitted, 1.0);

        // The watch shows the open budget later to us than to the controller.
        let mut late = Budgets::default();
        late.see("web", 0.0, true);
        late.see("web", 5.0, false);
        late.see("web", 13.9, true);
        late.see("web", 14.1, false);
        let start = &proven_to_start(&turns, 1, &late)[0];
        assert!((start.permitted - 0.2).abs() < 0.001);

        // Another turn holds one of the budgets; that did not stop this start.
        turns[1].apps.insert("b".to_owned(), apps(&["web", "held"]));
        late.see("held", 0.0, true);
        late.see("held", 13.0, false);
        let start = &proven_to_start(&turns, 1, &late)[0];
        assert!((start.permitted - 0.2).abs() < 0.001);

        // Another server could have started all the time, so the wait is Junban's.
        turns[1].apps.insert("c".to_owned(), apps(&["free"]));
        let start = &proven_to_start(&turns, 1, &budgets)[0];
        assert_eq!(start.permitted, 4.0);
    }
}
