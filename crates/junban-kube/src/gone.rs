//! Tombstones: which objects are gone, and as of which version.
//!
//! The cluster keeps the highest version of each object that exists, but it has no place for the version at which an
//! object was deleted. Without tombstones, a list that the server made before a deletion, and that is read after it, would
//! put the object back; and no watch would report the deletion again.

use std::collections::BTreeMap;
use std::time::Duration;

use junban_core::ids::Version;
use junban_core::time::Mono;

/// How we know that an object is gone.
#[derive(Clone, Copy)]
pub(crate) enum Gone<'a> {
    /// A watch reported the deletion, at this version.
    AsOf(Version),
    /// We knew the object with this UID, and a later call did not find it. An object that was created later under the
    /// same name is another one. Empty: we did not know the UID.
    Uid(&'a str),
}

impl Gone<'_> {
    /// Whether the object with this UID and version is the one that is gone.
    pub(crate) fn covers(self, uid: &str, version: Version) -> bool {
        match self {
            Self::AsOf(as_of) => version <= as_of,
            Self::Uid(gone) => gone.is_empty() || uid.is_empty() || uid == gone,
        }
    }
}

/// No call takes longer than this, and no watch is further behind.
const KEPT: Duration = Duration::from_secs(120);

/// For each `KIND/NAME` that was deleted lately: the version up to which it is gone.
#[derive(Default)]
pub(crate) struct Tombstones {
    gone: BTreeMap<String, (Version, Mono)>,
    last_cleanup: Mono,
}

impl Tombstones {
    pub(crate) fn add(&mut self, key: &str, as_of: Version, now: Mono) {
        if now.since(self.last_cleanup) >= KEPT {
            self.gone.retain(|_, (_, added)| now.since(*added) < KEPT);
            self.last_cleanup = now;
        }
        let known = self.gone.entry(key.to_owned()).or_insert((as_of, now));
        *known = (known.0.max(as_of), now);
    }

    /// Whether the object of this name and version is gone already.
    pub(crate) fn cover(&self, key: &str, version: Version) -> bool {
        self.gone.get(key).is_some_and(|(as_of, _)| version <= *as_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_keeps_the_highest_version_and_is_removed_after_two_minutes() {
        let mut tombstones = Tombstones::default();
        let second = |second| Mono(Duration::from_secs(second));
        tombstones.add("Pod/a", Version(7), second(200));
        tombstones.add("Pod/a", Version(5), second(201));
        assert!(tombstones.cover("Pod/a", Version(7)) && !tombstones.cover("Pod/a", Version(8)));
        assert!(!tombstones.cover("Pod/b", Version(1)));
        tombstones.add("Pod/b", Version(9), second(330));
        assert!(!tombstones.cover("Pod/a", Version(7)) && tombstones.cover("Pod/b", Version(9)));
    }
}
