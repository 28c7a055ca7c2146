use super::*;
use crate::scenario::parse;
use junban_api::convert;

fn policy(world: &World) -> Value {
    world.store().custom(POLICY, "workers").unwrap().spec.clone()
}

#[test]
fn an_apply_writes_the_fields_of_the_file_and_leaves_those_of_others() {
    let text = "scenario: an apply\nnodes: 1\npolicy workers: drain.timeout 20s\ndo: reboot --all\n\
                do: edit policy workers: drain.timeout 5m, maxConcurrent 1\ndo: apply policy workers";
    let scenario = parse("apply", text).unwrap();
    let mut world = build::world(&scenario, 1);
    for at in &scenario.steps {
        act(&mut world, &scenario, at.what.act.as_ref().unwrap()).unwrap();
    }
    let spec = policy(&world);
    assert_eq!(spec["drain"]["timeout"], "20s");
    assert_eq!(spec["maxConcurrent"], 1);
    assert!(spec["bootedAfter"].is_string(), "{spec}");
}

#[test]
fn a_relative_goal_counts_from_the_apply() {
    let text = "scenario: a goal\nnodes: 1\npolicy workers: bootedAfter +10m\ndo: apply policy workers";
    let scenario = parse("goal", text).unwrap();
    let mut world = build::world(&scenario, 1);
    world.advance_to(60_000);
    act(&mut world, &scenario, &Act::ApplyPolicy("workers".into())).unwrap();
    let goal = convert::format_goal(wall(660_000));
    assert_eq!(policy(&world)["bootedAfter"], goal.as_str());
}

#[test]
fn reboot_all_does_not_overwrite_a_goal_of_the_file() {
    let text = "scenario: a goal in the file\nnodes: 1\npolicy workers: bootedAfter +1m\ndo: reboot --all\n\
                eventually: node-1 is Queued";
    let scenario = parse("goal", text).unwrap();
    let mut world = build::world(&scenario, 1);
    let refused = reboot(&mut world, &scenario, &Target::All, true, "").unwrap_err();
    assert_eq!(refused.to_string(), "the file sets the goal of policy workers");
}
