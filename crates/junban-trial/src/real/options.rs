//! What a run on the real control plane needs.

use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub exit_after_writes: Option<u64>,
    /// The testbed's program (`cargo xtask testbed path`).
    pub testbed: PathBuf,
    /// The `junban` program.
    pub junban: PathBuf,
    /// The checkout's `manifests/`.
    pub manifests: PathBuf,
}
