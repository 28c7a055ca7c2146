use super::*;

#[test]
fn cpu_is_in_millicores_and_the_rest_in_base_units() {
    for (name, text, expected) in [
        ("cpu", "2", 2_000),
        ("cpu", "100m", 100),
        ("cpu", "0.5", 500),
        ("cpu", "1e3m", i64::MIN), // an exponent has no suffix
        ("memory", "1Gi", 1 << 30),
        ("memory", "1.5Gi", 3 << 29),
        ("memory", "128974848000m", 128_974_848),
        ("memory", "123M", 123_000_000),
        ("memory", "12e3", 12_000),
        ("memory", "1E", 1_000_000_000_000_000_000),
        ("memory", "16Ei", i64::MAX),
        ("pods", "110", 110),
        ("example.com/gpu", "4", 4),
        ("memory", ".5k", 500),
    ] {
        let read = amount(name, text, Round::Up);
        assert_eq!(read.unwrap_or(i64::MIN), expected, "{name} {text}");
    }
}

#[test]
fn requests_round_up_and_what_a_node_offers_rounds_down() {
    assert_eq!(amount("cpu", "1500u", Round::Up), Some(2));
    assert_eq!(amount("cpu", "1500u", Round::Down), Some(1));
    assert_eq!(amount("memory", "1500m", Round::Up), Some(2));
    assert_eq!(amount("memory", "-1500m", Round::Down), Some(-2));
}

#[test]
fn a_text_that_is_no_quantity_is_none() {
    for text in ["", "x", "1x", "1..2", ".", "-", "1.2.3", "1 Gi", "e3", "1e", "é"] {
        assert_eq!(nanos(text), None, "{text:?}");
    }
}
