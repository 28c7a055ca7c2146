//! RebootPolicy to and from core.

use std::time::Duration;

use jiff::Timestamp;
use junban_core::ids::PolicyName;
use junban_core::policy::{
    CapacityRule, DrainRules, Groups, Leave, OnTimeout, OpeningBudgets, OpensAt, Policy, PolicySummary,
    RebootRules, Step, StuckTerminating, VerifyRules,
};
use junban_core::selector::Selector;
use kube::core::DynamicObject;
use serde_json::{Map, Value};

use super::fields::{Fields, Unreadable, typed};
use super::{condition, format_span, meta, parse_span, selector};
use crate::names;
use crate::resources::{
    DrainSpec, GroupsSpec, LadderStep, OpeningBudgetsSpec, RebootPolicySpec, RebootSpec, VerifySpec,
};

/// The most characters of a NodeReboot's `spec.reason`.
const REASON_CHARS_MAX: usize = 1_024;
const SPAN_HINT: &str = "write hours, minutes and seconds, for example 1h30m";

/// Reads a policy. A selector that cannot match does not make the policy unreadable: the policy selects nothing, with the
/// condition InvalidSelector.
pub fn read(object: &DynamicObject) -> Result<Policy, Unreadable> {
    let meta = meta::read("RebootPolicy", &object.metadata)
        .map_err(|error| Unreadable::one("metadata", error, ""))?;
    let spec: RebootPolicySpec = typed(&object.data, "spec")?;
    let mut fields = Fields::default();
    let status = object.data.get("status").cloned().unwrap_or_default();
    let policy = Policy {
        name: PolicyName::new(meta.name),
        version: meta.version,
        generation: meta.generation,
        node_selector: selector::own(&spec.node_selector),
        priority: spec.priority,
        booted_after: spec
            .booted_after
            .map(|text| fields.goal("spec.bootedAfter", &text)),
        goal_reason: goal_reason(object),
        min_interval: span(&mut fields, "spec.minInterval", &spec.min_interval),
        max_concurrent: spec
            .max_concurrent
            .map(|count| positive(&mut fields, "spec.maxConcurrent", count)),
        groups: spec.groups.map(|groups| read_groups(&mut fields, groups)),
        drain: drain(&mut fields, spec.drain),
        reboot: reboot(&mut fields, spec.reboot),
        verify: verify(&mut fields, &spec.verify),
        // Nothing is decided from the summary. If it cannot be read, it is written again.
        summary: serde_json::from_value(status).unwrap_or_default(),
    };
    fields.finish(policy)
}

/// The reason for the goal, cut to the length that entries allow.
fn goal_reason(object: &DynamicObject) -> String {
    let annotations = object.metadata.annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(names::REASON));
    text.map_or_else(String::new, |text| text.chars().take(REASON_CHARS_MAX).collect())
}

/// The selector, priority and goal of a policy that cannot be read otherwise: with these the policy still governs its
/// nodes. Else the nodes of a policy with a field of a newer release would fall to another policy and be rebooted by its
/// rules. `None`: not even these can be read.
pub fn outline(object: &DynamicObject) -> Option<Policy> {
    let spec = object.data.get("spec")?;
    let kept = ["nodeSelector", "priority", "bootedAfter"].into_iter();
    let kept: Map<String, Value> = kept
        .filter_map(|field| Some((field.to_owned(), spec.get(field)?.clone())))
        .collect();
    let mut outline = object.clone();
    outline.data["spec"] = Value::Object(kept);
    read(&outline).ok()
}

/// The status to write. A condition that did not change keeps its time from `previous`.
pub fn status(summary: &PolicySummary, previous: &Value, now: Timestamp) -> Value {
    let mut status = serde_json::to_value(summary).unwrap_or_default();
    let ready = summary.problem.is_empty();
    let reason = if ready { names::READY } else { &summary.problem };
    let wanted = [condition::Wanted::new(
        names::READY,
        ready,
        reason,
        &summary.message,
    )];
    status["conditions"] = condition::merge(previous, &wanted, summary.observed_generation, now);
    status
}

fn span(fields: &mut Fields, path: &str, text: &str) -> Duration {
    fields.take(path, parse_span(text), SPAN_HINT, Duration::ZERO)
}

/// A span of at least `minimum`.
fn span_from(fields: &mut Fields, path: &str, text: &str, minimum: Duration, hint: &str) -> Duration {
    let span = span(fields, path, text);
    if parse_span(text).is_ok() && span < minimum {
        fields.wrong(
            path,
            format_args!("{text} is below {}", format_span(minimum)),
            hint,
        );
    }
    span
}

fn positive(fields: &mut Fields, path: &str, count: i32) -> u32 {
    let read = u32::try_from(count).ok().filter(|count| *count >= 1);
    fields.take(
        path,
        read.ok_or_else(|| format!("{count} is below 1")),
        "write a number from 1",
        1,
    )
}

fn one_of<T>(fields: &mut Fields, path: &str, text: &str, words: [(&str, T); 2]) -> T {
    let [first, second] = words;
    let hint = format!("write {} or {}", first.0, second.0);
    if text == second.0 {
        return second.1;
    }
    let read = if text == first.0 {
        Ok(())
    } else {
        Err(format!("{text:?} is not known"))
    };
    fields.take(path, read, &hint, ());
    first.1
}

fn read_groups(fields: &mut Fields, groups: GroupsSpec) -> Groups {
    if let Err(problem) = selector::check_key(&groups.by) {
        fields.wrong(
            "spec.groups.by",
            problem,
            "write the key of a label, for example topology.kubernetes.io/zone",
        );
    }
    Groups {
        by: groups.by,
        at_once: positive(fields, "spec.groups.atOnce", groups.at_once),
    }
}

fn drain(fields: &mut Fields, drain: DrainSpec) -> DrainRules {
    let unbudgeted = &drain.unbudgeted.max_unavailable;
    fields.set(
        "spec.drain.deleteAfterDenial",
        &drain.delete_after_denial,
        selector::is_namespace,
        "cannot be a namespace",
        "name namespaces one by one",
    );
    let timeout = parse_span(&drain.timeout).unwrap_or_default();
    let budgets = drain.budgets.into_iter().enumerate();
    let budgets = budgets
        .map(|(index, rule)| opening(fields, &format!("spec.drain.budgets[{index}]"), rule, timeout))
        .collect();
    fields.set(
        "spec.drain.capacityReportOnly",
        &drain.capacity_report_only,
        selector::is_resource,
        "cannot be the name of a resource",
        "write names as nodes list them in status.allocatable, for example nvidia.com/gpu",
    );
    let leave = |evict, block| [("Evict", evict), ("Block", block)];
    DrainRules {
        timeout: span_from(
            fields,
            "spec.drain.timeout",
            &drain.timeout,
            DrainRules::TIMEOUT_MIN,
            "a node counts as drained five seconds after its cordon at the earliest: give its pods time to leave",
        ),
        load_balancer_wait: span(fields, "spec.drain.loadBalancerWait", &drain.load_balancer_wait),
        unbudgeted_max_unavailable: fields.share("spec.drain.unbudgeted.maxUnavailable", unbudgeted, 1),
        delete_after_denial: drain.delete_after_denial,
        jobs_evict: drain.jobs.evict.map(|labels| {
            let hint = "write labels of the pods to evict";
            let path = "spec.drain.jobs.evict";
            fields.take(path, selector::own(&labels), hint, Selector::default())
        }),
        jobs_deadline: span(fields, "spec.drain.jobs.deadline", &drain.jobs.deadline),
        empty_dir: one_of(
            fields,
            "spec.drain.emptyDir",
            &drain.empty_dir,
            leave(Leave::Evict, Leave::Block),
        ),
        bare: one_of(
            fields,
            "spec.drain.bare",
            &drain.bare,
            leave(Leave::Evict, Leave::Block),
        ),
        on_timeout: one_of(
            fields,
            "spec.drain.onTimeout",
            &drain.on_timeout,
            [("Release", OnTimeout::Release), ("Hold", OnTimeout::Hold)],
        ),
        budgets,
        stuck_terminating: one_of(
            fields,
            "spec.drain.stuckTerminating",
            &drain.stuck_terminating,
            [
                ("Release", StuckTerminating::Release),
                ("Reboot", StuckTerminating::Reboot),
            ],
        ),
        capacity: CapacityRule {
            is_required: one_of(
                fields,
                "spec.drain.capacity",
                &drain.capacity,
                [("Require", true), ("Report", false)],
            ),
            report_only: drain.capacity_report_only,
        },
    }
}

/// `longest`: drain.timeout.
fn opening(fields: &mut Fields, path: &str, rule: OpeningBudgetsSpec, longest: Duration) -> OpeningBudgets {
    if rule.selector.is_none() && rule.namespace.is_none() {
        let hint = "write selector (labels of the PodDisruptionBudgets) or namespace";
        fields.wrong(path, "names no budgets", hint);
    }
    if let Some(namespace) = rule
        .namespace
        .as_ref()
        .filter(|name| !selector::is_namespace(name))
    {
        let problem = format!("{namespace:?} cannot be a namespace");
        fields.wrong(&format!("{path}.namespace"), problem, "write one name");
    }
    let selector = rule.selector.map(|labels| {
        let hint = "write labels of the PodDisruptionBudgets";
        fields.take(
            &format!("{path}.selector"),
            selector::own(&labels),
            hint,
            Selector::default(),
        )
    });
    let timeout = rule.timeout.map_or(longest, |text| {
        let path = format!("{path}.timeout");
        let least = Duration::from_secs(10);
        let timeout = span_from(
            fields,
            &path,
            &text,
            least,
            "an operator needs time to move its pod",
        );
        if timeout > longest {
            let problem = format!("{text} is longer than drain.timeout ({})", format_span(longest));
            fields.wrong(&path, problem, "write a shorter time, or raise drain.timeout");
        }
        timeout
    });
    OpeningBudgets {
        selector,
        namespace: rule.namespace,
        opens_at: one_of(
            fields,
            &format!("{path}.opensAt"),
            &rule.opens_at,
            [("Cordon", OpensAt::Cordon), ("Eviction", OpensAt::Eviction)],
        ),
        at_once: positive(fields, &format!("{path}.atOnce"), rule.at_once),
        timeout,
    }
}

fn reboot(fields: &mut Fields, reboot: RebootSpec) -> RebootRules {
    let boot_timeout = span_from(
        fields,
        "spec.reboot.bootTimeout",
        &reboot.boot_timeout,
        RebootRules::BOOT_TIMEOUT_MIN,
        "the power action may begin 10 s after it is recorded: give a server enough time to boot",
    );
    RebootRules {
        ladder: reboot
            .ladder
            .into_iter()
            .enumerate()
            .map(|(index, step)| ladder_step(fields, index, step))
            .collect(),
        boot_timeout,
        attempts: positive(fields, "spec.reboot.attempts", reboot.attempts),
    }
}

fn ladder_step(fields: &mut Fields, index: usize, step: LadderStep) -> Step {
    let path = format!("spec.reboot.ladder[{index}]");
    if step.driver != "command" {
        fields.wrong(
            &format!("{path}.driver"),
            format_args!("{:?} is not known", step.driver),
            "write command",
        );
    }
    if step.command.first().is_none_or(String::is_empty) {
        fields.wrong(
            &format!("{path}.command"),
            "names no program",
            "write the program and its arguments",
        );
    }
    Step::Command {
        command: step.command,
    }
}

fn verify(fields: &mut Fields, verify: &VerifySpec) -> VerifyRules {
    let is_key = |text: &str| text == "*" || selector::check_key(text).is_ok();
    let hint = "write the key alone, for example example.com/network, or \"*\" for all";
    let taints = &verify.ignore_taints;
    fields.set(
        "spec.verify.ignoreTaints",
        taints,
        is_key,
        "cannot be the key of a taint",
        hint,
    );
    let hint = "write for example memory or nvidia.com/gpu, or \"*\" for all";
    let resources = &verify.ignore_resources;
    fields.set(
        "spec.verify.ignoreResources",
        resources,
        is_key,
        "cannot be a resource",
        hint,
    );
    VerifyRules {
        timeout: span_from(
            fields,
            "spec.verify.timeout",
            &verify.timeout,
            VerifyRules::TIMEOUT_MIN,
            "a kubelet renews its Lease every ten seconds: give a server enough time to come back",
        ),
        daemon_sets: verify.daemon_sets,
        settle: verify
            .settle
            .as_ref()
            .map(|text| span(fields, "spec.verify.settle", text)),
        ignore_taints: taints.clone(),
        ignore_resources: resources.clone(),
    }
}
