pub(crate) mod fixture;

use super::*;
use std::os::unix::ffi::OsStringExt as _;

#[test]
fn the_hint_names_the_help_of_the_verb_if_there_is_such_a_verb() {
    assert_eq!(help_command(Some("pause".into())), "junban pause --help");
    for word in [None, Some("paus".into()), Some(OsString::from_vec(vec![0xff]))] {
        assert_eq!(help_command(word), "junban --help");
    }
}
