//! Calls cargo as a person would from a shell.

use std::process::Command;

/// Cargo, without the variables that the cargo which runs this program has set.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    as_from_a_shell(&mut command);
    command
}

/// Removes CARGO_MANIFEST_DIR and similar variables from a child's environment. A build script that reads them (ring
/// has one) would run again in each checkout, and each time that a person calls cargo after this program did. Every
/// crate that depends on it would be compiled again.
pub(crate) fn as_from_a_shell(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let prefixes = ["CARGO_MANIFEST_", "CARGO_PKG_"];
        if prefixes
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
}
