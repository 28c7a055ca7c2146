//! A number or a percentage.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number or a percentage, as the IntOrString of Kubernetes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "IntOrString", into = "IntOrString")]
pub enum IntOrPercent {
    Count(u32),
    /// 1 to 100.
    Percent(u8),
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is neither a number from 0 nor a percentage from 1% to 100%")]
pub struct NotACountOrPercent(pub String);

impl IntOrPercent {
    /// The share of `whole`, rounded up. Limits of nodes use it (docs/design/life-cycle.md#limits).
    pub fn of_rounded_up(self, whole: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (whole * usize::from(percent)).div_ceil(100),
        }
    }

    /// The share of `whole`, rounded down. Implied budgets use it (docs/design/drain.md#implied-budgets).
    pub fn of_rounded_down(self, whole: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => whole * usize::from(percent) / 100,
        }
    }

    /// `28` or `10%`.
    pub fn parse(text: &str) -> Result<Self, NotACountOrPercent> {
        let wrong = || NotACountOrPercent(text.to_owned());
        match text.strip_suffix('%') {
            Some(digits) => {
                let percent: u8 = digits.parse().map_err(|_| wrong())?;
                // The pattern of the CRD: no sign, no leading zero, 1 to 100.
                let canonical = percent.to_string() == digits;
                (canonical && (1..=100).contains(&percent))
                    .then_some(Self::Percent(percent))
                    .ok_or_else(wrong)
            }
            None => text.parse().map(Self::Count).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for IntOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum IntOrString {
    Int(u32),
    String(String),
}

impl TryFrom<IntOrString> for IntOrPercent {
    type Error = NotACountOrPercent;
    fn try_from(raw: IntOrString) -> Result<Self, Self::Error> {
        match raw {
            IntOrString::Int(count) => Ok(Self::Count(count)),
            // The pattern of the CRD refuses a number in quotes.
            IntOrString::String(text) if text.ends_with('%') => Self::parse(&text),
            IntOrString::String(text) => Err(NotACountOrPercent(text)),
        }
    }
}

impl From<IntOrPercent> for IntOrString {
    fn from(value: IntOrPercent) -> Self {
        match value {
            IntOrPercent::Count(count) => Self::Int(count),
            percent => Self::String(percent.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_nodes_round_up_and_implied_budgets_round_down() {
        assert_eq!(IntOrPercent::Percent(10).of_rounded_up(11), 2);
        assert_eq!(IntOrPercent::Percent(10).of_rounded_down(19), 1);
        assert_eq!(IntOrPercent::Count(3).of_rounded_up(1), 3);
    }

    #[test]
    fn a_percentage_is_1_to_100_in_plain_digits() {
        assert_eq!(IntOrPercent::parse("100%"), Ok(IntOrPercent::Percent(100)));
        for wrong in ["0%", "101%", "007%", "+5%", "-1", "", "%", "10 %", "1.5%"] {
            assert!(IntOrPercent::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_is_an_int_or_a_percent_string() {
        let read = |json| serde_json::from_str::<IntOrPercent>(json);
        assert_eq!(read("5").unwrap(), IntOrPercent::Count(5));
        assert_eq!(read("\"5%\"").unwrap(), IntOrPercent::Percent(5));
        assert!(read("\"5\"").is_err());
        assert_eq!(
            serde_json::to_string(&IntOrPercent::Percent(7)).unwrap(),
            "\"7%\""
        );
    }
}
