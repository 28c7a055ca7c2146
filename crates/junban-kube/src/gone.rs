//! What is known to be gone, and as of when. The cluster keeps the higher version of what is there; absence has no
//! place in it to keep a version. Without one, a list that was served before a deletion and read after it would put
//! the object back, and no watch would ever say again that it is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use junban_core::ids::Version;
use junban_core::time::Mono;

/// What has shown that an object is gone.
#[derive(Clone, Copy)]
pub(crate) enum Gone<'a> {
    /// A watch said so at this version.
    AsOf(Version),
    /// A call begun when the object with this UID was known, and which did not find it: it will never come back, and
    /// another one that was made under its name since is not meant. Empty: one whose UID was not known.
    Uid(&'a str),
}

impl Gone<'_> {
    pub(crate) fn means(self, uid: &str, version: Version) -> bool {
        match self {
            Self::AsOf(as_of) => version <= as_of,
            Self::Uid(gone) => gone.is_empty() || uid.is_empty() || uid == gone,
        }
    }
}

/// No call lasts so long, and no watch is behind by so much.
const KEPT: Duration = Duration::from_secs(120);

/// By `KIND/NAME`, for a while: the version up to which nothing of that name is there.
#[derive(Default)]
pub(crate) struct Graves {
    graves: BTreeMap<String, (Version, Mono)>,
    swept: Mono,
}

impl Graves {
    pub(crate) fn bury(&mut self, key: &str, as_of: Version, now: Mono) {
        if now.since(self.swept) >= KEPT {
            self.graves.retain(|_, (_, dug)| now.since(*dug) < KEPT);
            self.swept = now;
        }
        let grave = self.graves.entry(key.to_owned()).or_insert((as_of, now));
        *grave = (grave.0.max(as_of), now);
    }

    /// Whether what is shown of that name and version is gone already.
    pub(crate) fn hold(&self, key: &str, version: Version) -> bool {
        self.graves.get(key).is_some_and(|(as_of, _)| version <= *as_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grave_holds_the_highest_version_and_is_forgotten_in_time() {
        let mut graves = Graves::default();
        let second = |second| Mono(Duration::from_secs(second));
        graves.bury("Pod/a", Version(7), second(200));
        graves.bury("Pod/a", Version(5), second(201));
        assert!(graves.hold("Pod/a", Version(7)) && !graves.hold("Pod/a", Version(8)));
        assert!(!graves.hold("Pod/b", Version(1)));
        graves.bury("Pod/b", Version(9), second(330));
        assert!(!graves.hold("Pod/a", Version(7)) && graves.hold("Pod/b", Version(9)));
    }
}
