//! Resource quantities as integers: cpu in millicores, everything else in base units (bytes, devices, pods).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Amounts by resource name.
pub(super) type Amounts = BTreeMap<String, i64>;

const NANO: i128 = 1_000_000_000;

/// How a fraction is rounded: requests up, what a node offers down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Round {
    Up,
    Down,
}

/// All quantities of a list. A quantity that cannot be read is left out.
pub(super) fn amounts(list: Option<&BTreeMap<String, Quantity>>, round: Round) -> Amounts {
    list.into_iter()
        .flatten()
        .filter_map(|(name, quantity)| Some((name.clone(), amount(name, &quantity.0, round)?)))
        .collect()
}

/// The amounts that a node offers, rounded down.
pub fn resources(list: &BTreeMap<String, Quantity>) -> Amounts {
    amounts(Some(list), Round::Down)
}

/// One quantity in base units, rounded up, for example `1.5Gi`, `100m` or `12e3`. `None`: it is not a quantity.
pub fn bytes_or_units(text: &str) -> Option<i64> {
    amount("", text, Round::Up)
}

/// One quantity of CPU in millicores, rounded up. `None`: it is not a quantity.
pub fn millicores(text: &str) -> Option<i64> {
    amount("cpu", text, Round::Up)
}

fn amount(name: &str, text: &str, round: Round) -> Option<i64> {
    let unit = if name == "cpu" { NANO / 1000 } else { NANO };
    let nanos = nanos(text)?;
    let whole = match round {
        Round::Up => nanos.div_euclid(unit) + i128::from(nanos.rem_euclid(unit) != 0),
        Round::Down => nanos.div_euclid(unit),
    };
    // Kubernetes also limits quantities to 2^63-1.
    Some(i64::try_from(whole).unwrap_or(if whole > 0 { i64::MAX } else { i64::MIN }))
}

/// The quantity times 10^9. Smaller parts are rounded up, as in Kubernetes.
fn nanos(text: &str) -> Option<i128> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (multiplier, divisor) = scale(suffix)?;
    let top = digits.checked_mul(NANO)?.checked_mul(multiplier)?;
    let bottom = 10i128
        .checked_pow(u32::try_from(fraction.len()).ok()?)?
        .checked_mul(divisor)?;
    Some(sign * (top / bottom + i128::from(top % bottom != 0)))
}

/// The multiplier and the divisor of a suffix.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1i128 << (10 * power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, NANO)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "k" => Some((1_000, 1)),
        "M" => Some((1_000_000, 1)),
        "G" => Some((1_000_000_000, 1)),
        "T" => Some((1_000_000_000_000, 1)),
        "P" => Some((1_000_000_000_000_000, 1)),
        "E" => Some((1_000_000_000_000_000_000, 1)),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let factor = 10i128.checked_pow(power.unsigned_abs())?;
    Some(if power < 0 { (1, factor) } else { (factor, 1) })
}

pub(super) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let entry = sum.entry(name.clone()).or_default();
        *entry = entry.saturating_add(*amount);
    }
}

/// Keeps the larger amount of each resource.
pub(super) fn raise(sum: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let entry = sum.entry(name.clone()).or_default();
        *entry = (*entry).max(*amount);
    }
}

#[cfg(test)]
mod tests;
