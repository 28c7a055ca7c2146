//! The turns of a run, put together from the watches, the audit logs and the power log.

use super::budgets::AppsByNode;
use super::logs::Audit;
use super::seen::CordonChange;
use crate::watched::PowerLine;

/// Junban waits this many seconds after a cordon before it lists the pods: a scheduler that has not seen the cordon may
/// still bind one (docs/design/drain.md#drained).
const CORDON_SETTLES: f64 = 5.0;

/// One reboot of one node as the logs show it. Times are in seconds since 1970.
#[derive(Default)]
pub(super) struct LoggedTurn {
    pub(super) node: String,
    pub(super) control_plane: bool,
    /// When the controller asked for the slot: a budget that closes after that is no reason to wait.
    pub(super) granted: f64,
    pub(super) cordoned: f64,
    /// Where the apps ran when the node was cordoned.
    pub(super) apps: AppsByNode,
    pub(super) powered: Option<f64>,
    /// When the node became schedulable again.
    pub(super) restored: Option<f64>,
    /// When the last pod or volume left the node before the power action.
    pub(super) last_gone: Option<f64>,
}

pub(super) fn turns(
    audit: &Audit,
    cordon_changes: &[CordonChange],
    power: &[PowerLine],
    detached: &[(String, f64)],
) -> Vec<LoggedTurn> {
    let mut turns: Vec<LoggedTurn> = Vec::new();
    for change in cordon_changes {
        let at = audit.patched(&change.node, change.seen);
        if change.cordoned {
            turns.push(LoggedTurn {
                node: change.node.clone(),
                control_plane: change.control_plane,
                granted: audit.granted(at),
                cordoned: at,
                apps: change.apps.clone(),
                ..LoggedTurn::default()
            });
        } else if let Some(turn) = turns.iter_mut().rev().find(|turn| turn.node == change.node) {
            turn.restored = Some(at);
        }
    }
    for turn in &mut turns {
        let end = turn.restored.unwrap_or(f64::INFINITY);
        let of_turn = |node: &str, at: f64| node == turn.node && at >= turn.cordoned && at <= end;
        let powered = power.iter().find(|line| of_turn(&line.node, line.at));
        turn.powered = powered.map(|line| line.at);
        let before = turn.powered.unwrap_or(end);
        let gone = audit.removed.iter().chain(detached);
        turn.last_gone = gone
            .filter(|(node, at)| of_turn(node, *at) && *at <= before)
            .map(|(_, at)| *at)
            .reduce(f64::max);
    }
    turns.sort_by(|a, b| a.cordoned.total_cmp(&b.cordoned));
    turns
}

/// For each turn the seconds from drained to the power action. A node that was drained before `first_proof` waits for
/// that moment on purpose.
pub(super) fn drained_to_power(turns: &[LoggedTurn], first_proof: f64) -> Vec<(f64, String)> {
    let wait = |turn: &LoggedTurn| {
        let powered = turn.powered?;
        let settled = turn.cordoned + CORDON_SETTLES;
        let mut ready = turn.last_gone.map_or(settled, |gone| gone.max(settled));
        if powered > first_proof {
            ready = ready.max(first_proof);
        }
        Some((powered - ready, turn.node.clone()))
    };
    turns.iter().filter_map(wait).collect()
}

/// How many turns there were at one time, at most.
pub(super) fn most_at_once(turns: &[LoggedTurn]) -> usize {
    let is_open = |turn: &LoggedTurn, at| turn.cordoned <= at && turn.restored.is_none_or(|end| end > at);
    let at = |moment: f64| turns.iter().filter(|turn| is_open(turn, moment)).count();
    turns.iter().map(|turn| at(turn.cordoned)).max().unwrap_or(0)
}
