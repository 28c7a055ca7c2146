//! Judges a run: says which act is due, and whether the claims hold. It sees only facts, so it works for both runners.

use std::collections::BTreeMap;
use std::time::Duration;

use super::condition::Condition;
use super::facts::Facts;
use super::model::{Act, At, Order, Scenario, ScenarioStep, Wait};

/// The claims about the end must hold within this time after the last step.
const END_WITHIN: Duration = Duration::from_secs(60);
/// `eventually` waits this long after an act. Before, it could still see the state from before the act.
const AFTER_AN_ACT: Duration = Duration::from_secs(1);
/// The claims about the end must hold for this long.
const END_HOLDS: Duration = Duration::from_secs(5);

/// A claim that does not hold, or a rule that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// 0 for a rule of every scenario.
    pub line: usize,
    pub text: String,
    /// What was seen instead.
    pub seen: String,
    /// The time since the run began.
    pub at: Duration,
}

impl Failure {
    /// `FILE:LINE: ...`.
    pub fn describe(&self, file: &str) -> String {
        let seconds = self.at.as_secs_f64();
        if self.line == 0 {
            return format!("{file}: after {seconds:.1} s: {}: {}", self.text, self.seen);
        }
        format!(
            "{file}:{}: after {seconds:.1} s: `{}`\n    seen: {}",
            self.line, self.text, self.seen
        )
    }
}

/// Follows one run.
pub struct Judge<'s> {
    scenario: &'s Scenario,
    /// Added to every time limit, because a crash costs time.
    leniency: Duration,
    step: usize,
    /// When the last step was done.
    since: Duration,
    /// When each repeated act is due next.
    repeated: Vec<Duration>,
    /// For each entry, by UID: its node, and its phases in order.
    histories: BTreeMap<String, (String, Vec<String>)>,
    failures: Vec<Failure>,
    end_began: Option<Duration>,
    end_held_since: Option<Duration>,
    over: bool,
    never_suspended: bool,
    rules_only: bool,
}

impl<'s> Judge<'s> {
    pub fn new(scenario: &'s Scenario, leniency: Duration) -> Self {
        Self {
            scenario,
            leniency,
            step: 0,
            since: Duration::ZERO,
            repeated: scenario.repeated.iter().map(|at| at.what.0).collect(),
            histories: BTreeMap::new(),
            failures: Vec::new(),
            end_began: None,
            end_held_since: None,
            over: false,
            never_suspended: false,
            rules_only: false,
        }
    }

    /// Stops judging the `never` lines of the file. After a crash that left a power action in doubt, one more server may be
    /// down than the file expects (docs/design/life-cycle.md#limits). The rules of every scenario are still judged.
    pub fn suspend_never(&mut self) {
        self.never_suspended = true;
    }

    /// Judges the rules of every scenario only, and no claim of the file. A step that waits too long is skipped, so that the
    /// run goes on to its end.
    pub fn judge_rules_only(&mut self) {
        self.rules_only = true;
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Empty if everything held.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// A rule of every scenario was broken.
    pub fn fail(&mut self, at: Duration, text: impl Into<String>, seen: impl Into<String>) {
        self.failures.push(Failure {
            line: 0,
            text: text.into(),
            seen: seen.into(),
            at,
        });
        self.over = true;
    }

    /// An act of the file failed.
    pub fn not_done(&mut self, at: Duration, line: usize, text: &str, why: impl Into<String>) {
        self.broken(vec![Failure {
            line,
            text: text.to_owned(),
            seen: format!("it could not be done: {}", why.into()),
            at,
        }]);
    }

    /// Claims of the file do not hold.
    fn broken(&mut self, failures: Vec<Failure>) {
        if !self.rules_only && !failures.is_empty() {
            self.failures.extend(failures);
            self.over = true;
        }
    }

    /// When to look again if nothing changes before.
    pub fn next_look(&self, now: Duration) -> Option<Duration> {
        let step = self.scenario.steps.get(self.step).map(|at| match &at.what.wait {
            Wait::For(span) => self.since + *span,
            Wait::Until(..) if self.is_too_soon(now, &at.what) => self.since + AFTER_AN_ACT,
            Wait::Until(within, _) => self.since + *within + self.leniency,
        });
        let repeated = step.and(self.repeated.iter().min().copied());
        let end = self.end_began.map(|began| {
            self.end_held_since
                .map_or(began + END_WITHIN + self.leniency, |held| held + END_HOLDS)
        });
        [step, repeated, end].into_iter().flatten().min()
    }

    /// Looks at the facts of `now`. Returns an act that is due: do it, then read the facts again, then look again.
    pub fn look(&mut self, now: Duration, facts: &Facts) -> Option<At<Act>> {
        if self.over {
            return None;
        }
        self.remember(facts);
        self.check_never(now, facts);
        if self.over {
            return None;
        }
        if let Some(act) = self.repeated_act(now) {
            return Some(act);
        }
        while let Some(at) = self.scenario.steps.get(self.step) {
            let is_done = match &at.what.wait {
                Wait::For(span) => now >= self.since + *span,
                Wait::Until(within, condition) => {
                    !self.is_too_soon(now, &at.what) && self.is_reached(now, facts, at, *within, condition)
                }
            };
            if !is_done {
                return None;
            }
            self.step += 1;
            self.since = now;
            if let Some(act) = &at.what.act {
                return Some(at.with(act.clone()));
            }
        }
        self.look_at_the_end(now, facts);
        None
    }

    /// Whether `eventually` could still see the state from before the last act.
    fn is_too_soon(&self, now: Duration, step: &ScenarioStep) -> bool {
        step.act.is_none() && now < self.since + AFTER_AN_ACT
    }

    fn remember(&mut self, facts: &Facts) {
        for entry in &facts.entries {
            let (_, phases) = self
                .histories
                .entry(entry.uid.clone())
                .or_insert_with(|| (entry.node.clone(), Vec::new()));
            if phases.last() != Some(&entry.phase) {
                phases.push(entry.phase.clone());
            }
        }
    }

    fn check_never(&mut self, now: Duration, facts: &Facts) {
        if self.never_suspended {
            return;
        }
        self.broken(failures(&self.scenario.never, facts, now, true));
    }

    fn repeated_act(&mut self, now: Duration) -> Option<At<Act>> {
        if self.step >= self.scenario.steps.len() {
            return None;
        }
        let index = self.repeated.iter().position(|due| *due <= now)?;
        let at = &self.scenario.repeated[index];
        self.repeated[index] = now + at.what.0;
        Some(at.with(at.what.1.clone()))
    }

    fn is_reached<T>(
        &mut self,
        now: Duration,
        facts: &Facts,
        at: &At<T>,
        within: Duration,
        condition: &Condition,
    ) -> bool {
        let verdict = condition.judge(facts);
        if verdict.holds {
            return true;
        }
        let is_too_late = now >= self.since + within + self.leniency;
        if is_too_late {
            self.broken(vec![failure(at, verdict.seen, now)]);
        }
        is_too_late && self.rules_only
    }

    fn look_at_the_end(&mut self, now: Duration, facts: &Facts) {
        let began = *self.end_began.get_or_insert(now);
        let wrong = failures(&self.scenario.at_the_end, facts, now, false);
        if wrong.is_empty() {
            let held = *self.end_held_since.get_or_insert(now);
            if now >= held + END_HOLDS || self.scenario.at_the_end.is_empty() {
                self.finish(now);
            }
        } else {
            self.end_held_since = None;
            if now >= began + END_WITHIN + self.leniency {
                self.broken(wrong);
                self.over = true;
            }
        }
    }

    fn finish(&mut self, now: Duration) {
        self.over = true;
        let orders = self.scenario.orders.iter();
        let wrong = orders.filter_map(|at| Some(failure(at, self.out_of_order(&at.what)?, now)));
        self.broken(wrong.collect());
    }

    /// What was seen, if the phases had another order than the line says.
    fn out_of_order(&self, order: &Order) -> Option<String> {
        let histories: Vec<&(String, Vec<String>)> = self
            .histories
            .values()
            .filter(|(node, _)| order.node.as_ref().is_none_or(|wanted| wanted == node))
            .collect();
        let in_words = |(node, phases): &(String, Vec<String>)| format!("{node}: {}", phases.join(", "));
        if histories.is_empty() {
            return Some("there is no entry".into());
        }
        // For one node, one of its entries must have the order. For every node, all entries must have it.
        let good = |history: &&&(String, Vec<String>)| is_within(&order.phases, &history.1);
        let wrong: Vec<String> = match order.node {
            Some(_) if histories.iter().any(|history| good(&history)) => vec![],
            Some(_) => histories.iter().map(|history| in_words(history)).collect(),
            None => {
                let wrong = histories.iter().filter(|history| !good(history));
                wrong.map(|history| in_words(history)).collect()
            }
        };
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }
}

/// Whether `wanted` is a subsequence of `phases`.
fn is_within(wanted: &[String], phases: &[String]) -> bool {
    let mut rest = phases.iter();
    wanted.iter().all(|phase| rest.any(|seen| seen == phase))
}

/// The conditions that hold, or those that do not hold, as failures.
fn failures(conditions: &[At<Condition>], facts: &Facts, now: Duration, that_hold: bool) -> Vec<Failure> {
    let verdicts = conditions.iter().map(|at| (at, at.what.judge(facts)));
    let wrong = verdicts.filter(|(_, verdict)| verdict.holds == that_hold);
    wrong
        .map(|(at, verdict)| failure(at, verdict.seen, now))
        .collect()
}

fn failure<T>(at: &At<T>, seen: String, now: Duration) -> Failure {
    Failure {
        line: at.line,
        text: at.text.clone(),
        seen,
        at: now,
    }
}

#[cfg(test)]
mod tests;
