//! Cargo as a shell would call it.

use std::process::Command;

/// Cargo without what the cargo that runs this program has set.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    as_from_a_shell(&mut command);
    command
}

/// Takes CARGO_MANIFEST_DIR and its like out of a child's environment. A build script that reads them (ring's does)
/// would run anew in each checkout and after each change between this program and a shell, and everything that is
/// built on it would be compiled again.
pub(crate) fn as_from_a_shell(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let of_our_package = ["CARGO_MANIFEST_", "CARGO_PKG_"];
        if of_our_package
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
}
