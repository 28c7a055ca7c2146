//! The boot journal: an annotation on the Node that says when its boot began. A bootID carries no time
//! (docs/design/life-cycle.md#boot-journal).

use std::fmt;

use crate::ids::BootId;
use crate::time::Timestamp;

/// `BOOTID NOT-BEFORE FIRST-SEEN`, in the time of the API server's clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Journal {
    pub boot_id: BootId,
    /// The boot began at this time or later. `None` (`-`): unknown, which counts as "not booted".
    pub not_before: Option<Timestamp>,
    pub first_seen: Timestamp,
}

impl Journal {
    /// Parses the annotation's value. A value that is no journal counts as none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let boot_id = BootId::reported(words.next()?)?;
        let not_before = match words.next()? {
            "-" => None,
            time => Some(time.parse().ok()?),
        };
        let first_seen = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self {
            boot_id,
            not_before,
            first_seen,
        })
    }

    /// The journal of a new boot. `previous`: the journal as it is. `old_seen`: when *this process* last saw the
    /// previous bootID. `recorded`: the time of the write-ahead record, if this boot ends a turn.
    pub fn of_boot(
        boot_id: BootId,
        previous: Option<&Journal>,
        old_seen: Option<Timestamp>,
        recorded: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        // A process that did not see the previous boot takes the journal's FIRST-SEEN: this boot began later.
        let not_before = recorded
            .or(old_seen)
            .or(previous.map(|journal| journal.first_seen));
        Self {
            boot_id,
            not_before,
            first_seen: now,
        }
    }

    /// Whether the boot began at or after `goal`, as far as is known.
    pub fn booted_since(&self, goal: Timestamp) -> bool {
        self.not_before.is_some_and(|not_before| not_before >= goal)
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.boot_id)?;
        match self.not_before {
            Some(time) => write!(f, "{time} ")?,
            None => write!(f, "- ")?,
        }
        write!(f, "{}", self.first_seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn unknown_is_not_booted() {
        let first = Journal::of_boot("b1".into(), None, None, None, at(100));
        assert_eq!(first.to_string(), "b1 - 1970-01-01T00:01:40Z");
        assert!(!first.booted_since(at(0)));
        assert_eq!(Journal::parse(&first.to_string()), Some(first));
    }

    #[test]
    fn a_process_that_did_not_see_the_old_boot_takes_the_journals_first_seen() {
        let first = Journal::of_boot("b1".into(), None, None, None, at(100));
        let second = Journal::of_boot("b2".into(), Some(&first), None, None, at(900));
        assert_eq!(second.not_before, Some(at(100)));
        let seen = Journal::of_boot("b2".into(), Some(&first), Some(at(800)), None, at(900));
        assert!(seen.booted_since(at(800)) && !seen.booted_since(at(801)));
    }

    #[test]
    fn a_text_that_is_no_journal_counts_as_none() {
        for text in [
            "",
            "b1",
            "b1 -",
            "b1 x 1970-01-01T00:01:40Z",
            "b1 - 1970-01-01T00:01:40Z more",
        ] {
            assert_eq!(Journal::parse(text), None, "{text:?}");
        }
    }
}
