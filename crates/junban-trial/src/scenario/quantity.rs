//! Quantities as Kubernetes writes them: `500m`, `1.5`, `64Mi`, `1G`, `2e3`.

use super::words::Mistake;

/// An amount of CPU or memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quantity {
    /// As written in the file: a real API server gets this text.
    pub text: String,
    /// In thousandths of a CPU or of a byte, rounded up.
    pub milli: i64,
}

impl Quantity {
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        let milli = nano(text).and_then(|nano| i64::try_from((nano + 999_999) / 1_000_000).ok());
        Ok(Self {
            text: text.to_owned(),
            milli: milli.ok_or_else(|| format!("`{text}` is not a quantity: write 500m, 1.5, 64Mi, 8Gi"))?,
        })
    }

    /// In whole CPUs or bytes, rounded up.
    pub fn whole(&self) -> i64 {
        (self.milli + 999) / 1_000
    }
}

/// In billionths, rounded down.
fn nano(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let tens = u32::try_from(fraction.len()).ok()?;
    digits
        .checked_mul(factor(suffix)?)?
        .checked_div(10_i128.checked_pow(tens)?)
}

/// How many billionths a unit with this suffix has.
fn factor(suffix: &str) -> Option<i128> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    let power = |base: i128, index: usize| base.checked_pow(u32::try_from(index).ok()?);
    if let Some(index) = BINARY.iter().position(|name| *name == suffix) {
        return power(1_024, index + 1)?.checked_mul(1_000_000_000);
    }
    if let Some(index) = DECIMAL.iter().position(|name| *name == suffix) {
        return power(1_000, index);
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<usize>().ok()?;
    power(10, exponent)?.checked_mul(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, milli) in [
            ("4", 4_000),
            ("500m", 500),
            ("1.5", 1_500),
            ("0.1", 100),
            ("1G", 1_000_000_000_000),
            ("64Mi", 64 * 1_024 * 1_024 * 1_000),
            ("1.5Ki", 1_536_000),
            ("2e3", 2_000_000),
            ("100u", 1),
        ] {
            assert_eq!(
                Quantity::parse(text).map(|quantity| quantity.milli),
                Ok(milli),
                "{text}"
            );
        }
        for wrong in ["", "m", "1.2.3", "1GB", "4 ", "-1", "1mi", "99999999E"] {
            assert!(Quantity::parse(wrong).is_err(), "{wrong}");
        }
    }
}
