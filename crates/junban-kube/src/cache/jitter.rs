//! Jitter: without it, requests that begin together would be repeated together, by every controller at once.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// A random number from three quarters of `number` up to `number`.
pub(super) fn jittered(number: u32) -> u32 {
    let random = RandomState::new().build_hasher().finish();
    let quarter = u64::from(number / 4) + 1;
    u32::try_from(random % quarter).map_or(number, |less| number - less)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_that_begin_together_end_apart_and_never_late() {
        let ends: Vec<u32> = (0..200).map(|_| jittered(30)).collect();
        assert!(ends.iter().all(|end| (23..=30).contains(end)), "{ends:?}");
        assert!(ends.iter().any(|end| *end != ends[0]));
        assert_eq!(jittered(1), 1);
    }
}
