use super::*;
use crate::fixture;

fn limits(max_unavailable: &str, failures_max: &str) -> Queue {
    let parse = |text| IntOrPercent::parse(text).unwrap();
    Queue {
        max_unavailable: parse(max_unavailable),
        failures_max: parse(failures_max),
        ..fixture::queue()
    }
}

#[test]
fn without_failures_the_limit_is_max_unavailable() {
    let queue = limits("10%", "5%");
    assert_eq!([3, 10, 11, 30].map(|nodes| queue.places(nodes, 0)), [1, 1, 2, 3]);
}

#[test]
fn beside_tolerated_failures_there_is_always_one_place_more() {
    let queue = limits("10%", "5%");
    assert_eq!(queue.places(3, 1), 2);
    // Failures above failures.max add no further place.
    assert_eq!(queue.places(3, 2), 2);
    assert_eq!(limits("50%", "5%").places(30, 1), 15);
}

#[test]
fn failures_max_in_percent_is_at_least_one_and_the_number_zero_stops_at_the_first() {
    assert_eq!(limits("1", "5%").failures_tolerated(3), 1);
    assert_eq!(limits("1", "0").failures_tolerated(3), 0);
    assert_eq!(
        limits("1", "100%").failures_tolerated(7),
        3,
        "never more than half of the nodes"
    );
}
