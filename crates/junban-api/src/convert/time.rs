//! Times of goals and waivers: UTC with Z and whole seconds (docs/design/overview.md#objects).

use jiff::Timestamp;

/// Reads a time, for example `2026-11-23T09:00:00Z`. Accepts only what the pattern of the schema accepts.
pub fn parse_goal(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is not a time in UTC with whole seconds");
    let time: Timestamp = text.parse().map_err(|_| wrong())?;
    if format_goal(time) == text {
        Ok(time)
    } else {
        Err(wrong())
    }
}

/// Writes what [`parse_goal`] reads. Fractions of a second are dropped.
pub fn format_goal(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_has_one_spelling() {
        let text = "2026-11-23T09:00:00Z";
        assert_eq!(format_goal(parse_goal(text).unwrap()), text);
        for wrong in [
            "2026-11-23T10:00:00+01:00",
            "2026-11-23T09:00:00.5Z",
            "2026-11-23T09:00:00z",
            "2026-11-23 09:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-23",
            "",
        ] {
            assert!(parse_goal(wrong).is_err(), "{wrong}");
        }
    }
}
