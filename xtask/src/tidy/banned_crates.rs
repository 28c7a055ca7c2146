//! Crates that Cargo.lock may not contain.

use anyhow::{Context as _, Result};

use super::files::Files;

/// `deny.toml` bans them as well and says why; this check needs no further program.
const BANNED: &[&str] = &["aws-lc-rs", "openssl-sys"];

pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    let lock = files.get("Cargo.lock").context("there is no Cargo.lock")?;
    let is_there = |name: &&&str| lock.lines().any(|line| line == format!("name = \"{name}\""));
    let there = BANNED.iter().filter(is_there);
    Ok(there
        .map(|name| format!("Cargo.lock: {name} is banned (deny.toml says why)"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{Files, check};

    #[test]
    fn a_banned_crate_is_found_in_the_lock_file_by_its_whole_name() {
        let found = |lock: &str| check(&Files::from([("Cargo.lock".to_owned(), lock.to_owned())])).unwrap();
        assert_eq!(found("name = \"aws-lc-rs-like\"\n"), Vec::<String>::new());
        assert_eq!(found("[[package]]\nname = \"openssl-sys\"\n").len(), 1);
    }
}
