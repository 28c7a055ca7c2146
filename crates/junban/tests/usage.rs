//! The program itself, where no cluster is needed: exit codes, and what goes to stdout and stderr.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::Command;

/// Exit code, stdout and stderr.
fn junban(arguments: &[impl AsRef<OsStr>]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_junban"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_argument_that_is_not_utf8_is_a_usage_error() {
    let (code, _, said) = junban(&[OsString::from_vec(vec![0xff])]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.ends_with("hint: junban --help\n"), "{said}");
}

#[test]
fn the_controller_prints_errors_as_every_verb_does() {
    for verb in ["status", "controller"] {
        let (code, _, said) = junban(&[verb, "--kubeconfig", "/does/not/exist"]);
        assert_eq!(code, Some(2), "{verb}: {said}");
        assert!(
            said.starts_with("error: the kubeconfig /does/not/exist cannot be read")
                && said.ends_with("hint: name another file: --kubeconfig FILE\n"),
            "{verb}: {said}"
        );
    }
}

#[test]
fn a_port_in_use_is_an_error_with_a_hint() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let kubeconfig = "apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
current-context: c
";
    let kubeconfig = file("usage-kubeconfig.yaml", kubeconfig);
    let kubeconfig = kubeconfig.to_string_lossy();
    let (code, _, said) = junban(&["controller", "--kubeconfig", &kubeconfig, "--listen", &address]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("error: cannot listen on {address}")) && said.contains("\nhint: "),
        "{said}"
    );
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_being_checked() {
    let bad = file(
        "usage-bad.yaml",
        "apiVersion: junban.dev/v1alpha1\nkind: RebootQueue\n",
    );
    let (code, found, said) = junban(&["lint", "/does/not/exist", &bad.to_string_lossy()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(found.contains("metadata.name"), "{found}");
    assert!(said.contains("/does/not/exist cannot be read"), "{said}");
}

#[test]
fn a_file_without_an_object_of_junban_is_not_called_good() {
    let empty = file("usage-empty.yaml", "");
    let (code, found, said) = junban(&["lint", &empty.to_string_lossy()]);
    assert_eq!((code, found.as_str()), (Some(1), ""));
    assert!(
        said.contains("contains no object of Junban") && !said.contains("may be applied"),
        "{said}"
    );
}

#[test]
fn a_folder_is_checked_file_by_file() {
    let queue = "apiVersion: junban.dev/v1alpha1\nkind: RebootQueue\nmetadata: {name: default}\nspec: {}\n";
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("usage-folder");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("queue.yaml"), queue).unwrap();
    std::fs::write(folder.join("README.md"), "words").unwrap();
    let (code, found, said) = junban(&["lint", &folder.to_string_lossy()]);
    assert_eq!((code, found.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("1 files may be applied"), "{said}");
}
