use super::*;
use crate::format::Format;

fn mark() -> Mark {
    Mark {
        format: Format,
        id: "id".into(),
        entry: "node-1-abc".into(),
        entry_uid: "e1".into(),
        node_uid: "n1".into(),
        policy: "workers".into(),
        booted_after: Timestamp::UNIX_EPOCH,
        prior: Prior {
            cordoned: false,
            excluded_from_load_balancers: true,
        },
        boot_id: "b1".into(),
        system_uuid: "s1".into(),
        daemons: Vec::new(),
        power: None,
        quorum_groups: Vec::new(),
        found: None,
    }
}

#[test]
fn a_mark_is_read_with_the_current_format_and_without_one() {
    let text = mark().to_annotation();
    assert!(text.starts_with(r#"{"format":1,"id":"id","#), "{text}");
    assert_eq!(Mark::parse(&text), Ok(mark()));
    assert_eq!(Mark::parse(&text.replace(r#""format":1,"#, "")), Ok(mark()));
}

#[test]
fn a_mark_of_a_newer_release_is_not_read_whatever_its_other_fields_are() {
    let expected = "the mark cannot be read: written by a newer release of Junban \
         (format 2, this release reads up to 1): use that release";
    let text = mark().to_annotation().replace(r#""format":1"#, r#""format":2"#);
    for text in [text.as_str(), r#"{"id":5,"format":2}"#] {
        assert_eq!(Mark::parse(text).unwrap_err(), expected, "{text}");
    }
    let error = Mark::parse(r#"{"format":"new"}"#).unwrap_err();
    assert!(
        error.starts_with("the mark cannot be read: invalid type"),
        "{error}"
    );
}
