//! The Rust files of the workspace.

use crate::paths;
use anyhow::{Context, Result};
use std::path::Path;

/// One Rust file.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Its path, from the workspace's root.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// Reads all Rust files below some folders of the workspace, in order of their paths.
pub(crate) fn read(folders: &[&str]) -> Result<Vec<SourceFile>> {
    let root = paths::workspace_root();
    let mut files = Vec::new();
    for folder in folders {
        collect(&root, &root.join(folder), &mut files)?;
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let relative = path.strip_prefix(root).unwrap_or(&path);
            files.push(SourceFile {
                path: relative.to_string_lossy().into_owned(),
                text,
            });
        }
    }
    Ok(())
}
