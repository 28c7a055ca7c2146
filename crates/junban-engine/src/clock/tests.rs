use super::*;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn the_clock_advances_between_two_headers() {
    let clock = ServerClock::default();
    assert_eq!(clock.at(Mono::from_millis(5)), None);
    clock.observe(second(100), Mono::from_millis(1_000));
    assert_eq!(clock.at(Mono::from_millis(4_000)), Some(second(103)));
}

#[test]
fn a_header_cut_to_the_second_does_not_set_the_clock_back() {
    let clock = ServerClock::default();
    clock.observe(second(100), Mono::from_millis(1_000));
    clock.observe(second(100), Mono::from_millis(1_900));
    assert_eq!(clock.at(Mono::from_millis(2_000)), Some(second(101)));
}

#[test]
fn a_server_clock_that_is_set_is_followed_in_both_directions() {
    let clock = ServerClock::default();
    clock.observe(second(100), Mono::from_millis(1_000));
    clock.observe(second(50), Mono::from_millis(2_000));
    assert_eq!(clock.at(Mono::from_millis(2_000)), Some(second(50)));
    clock.observe(second(500), Mono::from_millis(3_000));
    assert_eq!(clock.at(Mono::from_millis(3_000)), Some(second(500)));
}

#[test]
fn the_machines_clock_counts_until_the_first_header() {
    let clock = ServerClock::on_machine_ahead(SignedDuration::from_secs(-50));
    assert_eq!(clock.read(Mono::from_millis(0), second(100)), second(50));
    clock.observe(second(103), Mono::from_millis(1_000));
    assert_eq!(clock.read(Mono::from_millis(1_000), second(100)), second(103));
}

#[test]
fn boottime_moves_forward() {
    let before = boottime();
    assert!(boottime() >= before && before.0 > Duration::ZERO);
}
