//! Watches of Junban's own objects, for commands that go on until something changes.

use std::sync::Arc;
use std::time::Duration;

use junban_kube::Store;
use junban_kube::cache::{self, Caches};

use super::problem::Problem;
use super::session::Session;

/// The time for the first lists.
const LISTED_WITHIN: Duration = Duration::from_secs(30);

/// Watches queue, policies and entries until the returned value is dropped.
pub(crate) async fn follow(session: &Session, store: &Arc<Store>) -> Result<Caches, Problem> {
    let listed = cache::start_own(&session.connection, store);
    tokio::time::timeout(LISTED_WITHIN, listed).await.map_err(|_| {
        Problem::failed(
            "queue, policies and entries cannot be watched",
            "kubectl auth can-i watch nodereboots",
        )
    })
}

/// Why the watched objects may be old, as the last note said.
#[derive(Default)]
pub(crate) struct Staleness(Option<String>);

impl Staleness {
    /// The note to print, if something has changed since the last note.
    pub(crate) fn note(&mut self, stale: Option<&String>) -> Option<String> {
        if self.0.as_ref() == stale {
            return None;
        }
        self.0 = stale.cloned();
        Some(match stale {
            Some(why) => format!("note: {why}: what is shown may be old"),
            None => "note: the API server answers again".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_note_says_that_the_objects_may_be_old_and_one_that_they_are_not() {
        let (mut staleness, old) = (Staleness::default(), "no answer to watches for 10 s".to_owned());
        let said = [None, Some(&old), Some(&old), None, None].map(|stale| staleness.note(stale));
        expect_test::expect![[r#"
            note: no answer to watches for 10 s: what is shown may be old
            note: the API server answers again"#]]
        .assert_eq(&said.into_iter().flatten().collect::<Vec<_>>().join("\n"));
    }
}
