//! The turns of a run.

use super::budgets::AppsByNode;

/// Junban waits this many seconds after a cordon before it lists the pods: a scheduler that has not seen the cordon may
/// still bind one (docs/design/drain.md#drained).
const CORDON_SETTLES: f64 = 5.0;

/// One reboot of one node. Times are in seconds since 1970.
#[derive(Default)]
pub(super) struct LoggedTurn {
    pub(super) node: String,
    pub(super) control_plane: bool,
    /// When the node got its slot: a budget that closes after that is no reason to wait.
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
