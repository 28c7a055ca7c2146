use super::*;
use crate::verbs::fixture;

#[test]
fn only_what_failed_or_backs_off_is_retried() {
    let mut entry = fixture::entry("node-1", 100, Phase::Queued);
    let node = || "node-1".into();
    let refusal = |entry: &Entry| {
        let mut cluster = fixture::cluster(None, &["node-1"]);
        cluster.apply_entry(entry.clone());
        decide(&cluster, fixture::now(200), &[node()], true).err()
    };
    assert_eq!(
        refusal(&entry),
        Some(Refusal::NothingToRetry(node(), Phase::Queued))
    );
    assert_eq!(decide_entry(&entry), EntryDecision::TooLate(Phase::Queued));
    entry.record.phase = Phase::Failed;
    assert_eq!(refusal(&entry), None);
    assert_eq!(decide_entry(&entry), EntryDecision::SetRetries(1));
    entry.spec.retries = 1;
    assert_eq!(refusal(&entry), None, "whoever asks twice is asked once");
    assert_eq!(decide_entry(&entry), EntryDecision::AskedBefore);
    entry.spec.cancel = true;
    assert_eq!(decide_entry(&entry), EntryDecision::Cancelled);
    entry.record.phase = Phase::Succeeded;
    assert_eq!(refusal(&entry), Some(Refusal::Ended(node(), Phase::Succeeded)));
}

#[test]
fn a_node_without_an_entry_is_told_from_one_that_is_not_there() {
    let cluster = fixture::cluster(None, &["node-1"]);
    let refusal =
        |node: &str, has_nodes| decide(&cluster, fixture::now(200), &[node.into()], has_nodes).unwrap_err();
    assert_eq!(refusal("node-1", true), Refusal::NoEntry("node-1".into()));
    assert_eq!(refusal("node-9", true), Refusal::NoSuchNode("node-9".into()));
    assert_eq!(refusal("node-9", false), Refusal::NoEntry("node-9".into()));
}
