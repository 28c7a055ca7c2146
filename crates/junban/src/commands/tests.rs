pub(crate) mod fixture;

use super::*;
use std::os::unix::ffi::OsStringExt as _;

#[test]
fn a_word_that_is_no_text_gets_the_help_of_all() {
    assert_eq!(help(Some("pause".into())), "junban pause --help");
    for word in [None, Some("paus".into()), Some(OsString::from_vec(vec![0xff]))] {
        assert_eq!(help(word), "junban --help");
    }
}
