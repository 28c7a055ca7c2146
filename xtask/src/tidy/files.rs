//! The text files of the checkout, read once for all checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The text of each file, by its path from the root of the checkout.
pub(super) type Files = BTreeMap<String, String>;

const ENDINGS: &[&str] = &["rs", "go", "md", "yaml", "txt", "sh", "toml", "lock"];

pub(super) fn read(root: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = item?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ending = path.extension().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.is_file() && ENDINGS.contains(&&*ending) {
                let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                files.insert(path.strip_prefix(root)?.to_string_lossy().into_owned(), text);
            }
        }
    }
    Ok(files)
}

/// The files below a folder whose names have this ending.
pub(super) fn below<'a>(
    files: &'a Files,
    folder: &'a str,
    ending: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_wanted = move |path: &str| path.starts_with(folder) && path.ends_with(ending);
    let files = files.iter().filter(move |(path, _)| is_wanted(path));
    files.map(|(path, text)| (path.as_str(), text.as_str()))
}
