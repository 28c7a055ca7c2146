use super::super::imports::imports;
use super::{Files, check};

/// A crate of these files.
fn krate(sources: &[(&str, &str)]) -> Files {
    let sources = sources
        .iter()
        .map(|(name, text)| (format!("crates/x/src/{name}"), (*text).to_owned()));
    sources
        .chain([("crates/x/Cargo.toml".to_owned(), String::new())])
        .collect()
}

fn found(sources: &[(&str, &str)]) -> Vec<String> {
    check(&krate(sources)).unwrap()
}

/// `from -> to (names)` for each import.
fn edges(sources: &[(&str, &str)]) -> Vec<String> {
    let imports = imports(&krate(sources), "crates/x").unwrap();
    imports
        .iter()
        .map(|((from, to), names)| format!("{from} -> {to} {names:?}").replace('"', ""))
        .collect()
}

#[test]
fn a_circle_is_found_with_its_files_and_names() {
    let problems = found(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "use crate::b::{B, run as go}; pub struct A(B); fn f() { go() }",
        ),
        ("b.rs", "pub struct B; pub fn run() { crate::c::stop() }"),
        ("c.rs", "pub fn stop() { let _: super::a::A; }"),
    ]);
    let expected = "crates/x/src: b.rs -> c.rs (stop) -> a.rs (A) -> b.rs (B, run)";
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        expected
            .split(": ")
            .nth(1)
            .unwrap()
            .split(" -> ")
            .all(|part| problems[0].contains(part)),
        "{problems:?}"
    );
}

#[test]
fn a_parent_and_a_child_that_use_each_other_are_a_circle_and_mod_alone_is_none() {
    let child = ("a/b.rs", "use super::A; pub fn f(_: A) {}");
    let parent = |text: &str| found(&[("main.rs", "mod a;"), ("a.rs", text), child]);
    assert_eq!(parent("mod b; pub struct A;"), Vec::<String>::new());
    assert_eq!(parent("mod b; pub struct A; pub use b::f;"), Vec::<String>::new());
    for user in [
        "use b::f;",
        "fn g() { b::f(A) }",
        "fn g() { assert!(x, 1 + b::f(A)) }",
        "pub use b::f as g; fn h() { g(A) }",
    ] {
        let problems = parent(&format!("mod b; pub struct A; {user}"));
        assert_eq!(
            problems,
            ["crates/x/src: a/b.rs -> a.rs (A) -> a/b.rs (f)"],
            "{user}"
        );
    }
}

#[test]
fn code_for_tests_alone_counts_for_nothing() {
    let text = "#[cfg(test)] mod tests { use super::b; } #[cfg(test)] use crate::b::B; pub struct A;
        #[cfg(all(test, feature = \"x\"))] fn f() { crate::b::f() }
        impl A { #[cfg(test)] fn g() { crate::b::f() } }
        #[cfg(test)] mod no_file;";
    let b = ("b.rs", "use crate::a::A; pub struct B(A); pub fn f() {}");
    assert_eq!(
        found(&[("lib.rs", "mod a; mod b;"), ("a.rs", text), b]),
        Vec::<String>::new()
    );
    let with_feature = "#[cfg(any(test, feature = \"x\"))] fn f() { crate::b::f() } pub struct A;";
    assert_eq!(
        found(&[("lib.rs", "mod a; mod b;"), ("a.rs", with_feature), b]).len(),
        1
    );
}

#[test]
fn a_path_leads_to_the_file_that_defines_the_item() {
    let lib = "mod a; mod b; pub mod prelude; pub use a::{self as renamed, *}; mod user;";
    for (user, expected) in [
        ("use crate::a::A;", "a.rs {A}"),
        ("use crate::A;", "a.rs {A}"),
        ("use crate::renamed::A as Other;", "a.rs {A}"),
        ("use crate::prelude::*; fn f(_: A) {}", "a.rs {A}"),
        ("use crate::prelude::B;", "b/mod.rs {B}"),
        ("use super::b; fn f() { b::inner::deep() }", "b/inner.rs {deep}"),
        (
            "use crate::b::inner::{self}; fn f() -> inner::Deep { x() }",
            "b/inner.rs {Deep}",
        ),
        ("fn f() { use crate::a; match x { a::A::One => {} } }", "a.rs {A}"),
        ("#[serde(with = \"crate::a::A\")] struct C;", "a.rs {A}"),
        ("fn f() { format!(\"{}\", crate::b::B::new()) }", "b/mod.rs {B}"),
        (
            "mod inside { fn f() { super::super::b::inner::deep() } }",
            "b/inner.rs {deep}",
        ),
        ("use crate::a::A::*;", "a.rs {A}"),
        ("use crate::traits_only::*;", "traits_only.rs {*}"),
        ("use crate::time::Timestamp;", "time.rs {Timestamp}"),
        ("fn f() -> crate::time::Made { x() }", "time.rs {Made}"),
    ] {
        let edges = edges(&[
            ("lib.rs", &format!("{lib} mod traits_only; mod time;")),
            ("a.rs", "pub enum A { One }"),
            ("b/mod.rs", "pub mod inner; pub struct B;"),
            ("b/inner.rs", "pub fn deep() {} pub struct Deep;"),
            ("prelude.rs", "pub use crate::a::*; pub use super::b::B;"),
            ("traits_only.rs", "pub trait T {}"),
            ("time.rs", "pub use jiff::Timestamp; make! { Made }"),
            ("user.rs", user),
        ]);
        assert_eq!(edges, [format!("user.rs -> {expected}")], "{user}");
    }
}

#[test]
fn what_is_not_of_this_crate_or_not_a_path_is_no_import() {
    let user = "use std::fmt::{self, Display as _}; use ::a::A; use serde::*; fn f(x: X) { x.a.b(); fmt::f(x.a); m!(x.a) }";
    let files = [
        ("lib.rs", "mod a; mod user; pub use a::a;"),
        ("a.rs", "pub fn a() {}"),
        ("user.rs", user),
    ];
    assert_eq!(edges(&files), Vec::<String>::new());
}

#[test]
fn modules_that_re_export_each_other_end() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub use crate::b::*; fn f() { gone() }"),
        ("b.rs", "pub use crate::a::*;"),
    ];
    assert_eq!(edges(&files), Vec::<String>::new());
}
