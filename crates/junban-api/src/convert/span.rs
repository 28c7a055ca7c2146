//! Durations as people write them: hours, minutes, seconds, in this order (docs/design/overview.md#objects).

use std::time::Duration;

pub use junban_core::time::format_span;

/// Reads a duration, for example `1h30m` or `45s`. Accepts what the pattern of the schema accepts.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration");
    let mut rest = text;
    let mut seconds = 0u64;
    for (unit, worth) in [('h', 3600), ('m', 60), ('s', 1)] {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if rest[digits..].starts_with(unit) {
            if !(1..=6).contains(&digits) {
                return Err(wrong());
            }
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            seconds += number * worth;
            rest = &rest[digits + 1..];
        }
    }
    if text.is_empty() || !rest.is_empty() {
        return Err(wrong());
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_pattern_accepts_and_nothing_else() {
        for (text, seconds) in [
            ("30m", 1800),
            ("1h30m", 5400),
            ("720h", 2_592_000),
            ("0s", 0),
            ("2h0m5s", 7205),
        ] {
            assert_eq!(parse_span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in [
            "", "30", "h", "5m1h", "1h 30m", "48hxyz", "30d", "-5s", "1.5h", "1234567s", "5s5s", "é5s",
        ] {
            assert!(parse_span(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn writes_a_span_as_it_was_read() {
        for text in ["30m", "1h30m", "2h5s", "0s"] {
            assert_eq!(format_span(parse_span(text).unwrap()), text);
        }
    }
}
