//! Splits a line into words, and makes errors that name the nearest word.

use std::time::Duration;

use junban_api::convert::{bytes_or_units, millicores, parse_span};
use strsim::levenshtein;

use super::values::{Key, Quantity, Span};

/// The words of one part of a line, read from the left.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

/// What is wrong with a line; the line's number is kept apart.
pub(super) type Mistake = String;

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            words: text.split_whitespace().collect(),
            at: 0,
        }
    }

    /// Reads a whole text with `read`. It is a mistake if words are left.
    pub(super) fn all<T>(
        text: &'a str,
        read: impl FnOnce(&mut Self) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        let mut words = Self::of(text);
        let value = read(&mut words)?;
        words.end()?;
        Ok(value)
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    /// Takes the next word. `expected` says what it should be.
    pub(super) fn next(&mut self, expected: &str) -> Result<&'a str, Mistake> {
        let word = self
            .peek()
            .ok_or_else(|| format!("the line ends where {expected} is expected"))?;
        self.at += 1;
        Ok(word)
    }

    /// Takes these words if they come next.
    pub(super) fn eat(&mut self, phrase: &str) -> bool {
        let wanted: Vec<&str> = phrase.split(' ').collect();
        let comes = self.words[self.at..].starts_with(&wanted);
        if comes {
            self.at += wanted.len();
        }
        comes
    }

    /// Takes the first phrase of `phrases` that comes next.
    pub(super) fn eat_one<T: Copy>(&mut self, phrases: &[(&str, T)], expected: &str) -> Result<T, Mistake> {
        for (phrase, value) in phrases {
            if self.eat(phrase) {
                return Ok(*value);
            }
        }
        let names: Vec<&str> = phrases.iter().map(|(phrase, _)| *phrase).collect();
        match self.peek() {
            None => Err(format!("the line ends where {expected} is expected")),
            Some(_) => Err(unknown(&self.rest_peek(), expected, &names)),
        }
    }

    /// Takes the first of these phrases that comes next.
    pub(super) fn one_of<'p>(&mut self, phrases: &[&'p str], expected: &str) -> Result<&'p str, Mistake> {
        let phrases: Vec<(&str, &str)> = phrases.iter().map(|phrase| (*phrase, *phrase)).collect();
        self.eat_one(&phrases, expected)
    }

    /// Takes all words that are left.
    pub(super) fn rest(&mut self) -> Vec<&'a str> {
        let rest = self.words[self.at..].to_vec();
        self.at = self.words.len();
        rest
    }

    /// All words that are left; they stay.
    pub(super) fn rest_peek(&self) -> String {
        self.words[self.at..].join(" ")
    }

    /// It is a mistake if words are left.
    pub(super) fn end(&self) -> Result<(), Mistake> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(format!("nothing is expected after this: `{}`", self.rest_peek())),
        }
    }

    pub(super) fn duration(&mut self) -> Result<Duration, Mistake> {
        let word = self.next("a time such as 20s")?;
        parse_duration(word).ok_or_else(|| format!("`{word}` is not a time: write 500ms, 20s, 5m, 1h30m"))
    }

    /// `20s..30s`, or `20s` for both ends.
    pub(super) fn span(&mut self) -> Result<Span, Mistake> {
        let word = self.next("a time such as 20s or 20s..30s")?;
        let (from, to) = word.split_once("..").unwrap_or((word, word));
        match (parse_duration(from), parse_duration(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Span { from, to }),
            (Some(_), Some(_)) => Err(format!("the first time of `{word}` is longer than the second")),
            _ => Err(format!("`{word}` is not a time: write 20s, or 20s..30s")),
        }
    }

    /// `500m`, `1.5`.
    pub(super) fn cpu(&mut self) -> Result<Quantity, Mistake> {
        self.quantity(millicores)
    }

    /// `64Mi`, `1G`.
    pub(super) fn memory(&mut self) -> Result<Quantity, Mistake> {
        self.quantity(bytes_or_units)
    }

    fn quantity(&mut self, read: fn(&str) -> Option<i64>) -> Result<Quantity, Mistake> {
        let text = self.next("a quantity such as 500m or 8Gi")?;
        let amount = read(text).filter(|amount| (0..i64::MAX).contains(amount));
        Ok(Quantity {
            text: text.to_owned(),
            amount: amount
                .ok_or_else(|| format!("`{text}` is not a quantity: write 500m, 1.5, 64Mi, 8Gi"))?,
        })
    }

    pub(super) fn number<N: std::str::FromStr>(&mut self, expected: &str) -> Result<N, Mistake> {
        let word = self.next(expected)?;
        word.parse()
            .map_err(|_| format!("`{word}` is not a number; {expected} is expected"))
    }

    /// Takes `shop/cart`.
    pub(super) fn key(&mut self, expected: &str) -> Result<Key, Mistake> {
        let word = self.next(expected)?;
        split_key(word)
            .ok_or_else(|| format!("`{word}` is not written NAMESPACE/NAME; {expected} is expected"))
    }
}

pub(super) fn split_key(word: &str) -> Option<Key> {
    let (namespace, name) = word.split_once('/')?;
    let good = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
    };
    (good(namespace) && good(name)).then(|| Key {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

/// `1h30m`, `20s`, `500ms`, `0s`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    if let Some(digits) = text.strip_suffix("ms") {
        return digits.parse().ok().map(Duration::from_millis);
    }
    parse_span(text).ok()
}

/// The mistake of a text that is none of `names`.
pub(super) fn unknown(found: &str, expected: &str, names: &[&str]) -> Mistake {
    let hint = hint(found, names);
    let names = if names.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    format!("`{found}` is not {expected}{hint} ({names})")
}

/// The question for the nearest name; empty if no name is near.
pub(super) fn hint(found: &str, names: &[&str]) -> String {
    nearest(found, names).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// The most similar name, if it is similar enough. If `found` has more words than a name, only its first words are
/// compared.
fn nearest<'n>(found: &str, names: &[&'n str]) -> Option<&'n str> {
    names
        .iter()
        .map(|name| {
            let count = name.split(' ').count();
            let head: Vec<&str> = found.split(' ').take(count).collect();
            (
                levenshtein(&head.join(" ").to_lowercase(), &name.to_lowercase()),
                *name,
            )
        })
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_api_reads_them() {
        let read = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(read("1h30m"), Some(5_400_000));
        assert_eq!(read("500ms"), Some(500));
        assert_eq!(read("90s"), Some(90_000));
        for wrong in ["", "5", "s5", "5s5m", "5x", "m"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        let cpu = |text| Words::of(text).cpu().map(|cpu| cpu.amount);
        let memory = |text| Words::of(text).memory().map(|memory| memory.amount);
        assert_eq!((cpu("1.5"), cpu("100u")), (Ok(1_500), Ok(1)));
        assert_eq!((memory("64Mi"), memory("1500m")), (Ok(64 << 20), Ok(2)));
        for wrong in ["", "m", "1.2.3", "1GB", "-1", "1mi", "99999999E"] {
            assert!(cpu(wrong).is_err() && memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_nearest_word_is_named() {
        assert_eq!(nearest("Drainin", &["Draining", "Rebooting"]), Some("Draining"));
        assert_eq!(nearest("elephant", &["Draining", "Rebooting"]), None);
    }
}
