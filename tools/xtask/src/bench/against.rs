//! The hypervisor's image of another commit, for a comparison.

use crate::images::{self, HYPERVISOR, Image};
use crate::setup::rust_target::RustTarget;
use crate::{elf, paths, process};
use anyhow::{Context, Result};

/// Builds another commit in a tree of its own in the cache, where the next comparison finds it.
pub(super) fn build(target: &RustTarget, revision: &str) -> Result<Image> {
    let mut rev_parse = paths::program("git");
    rev_parse.args(["rev-parse", "--verify", "--quiet"]);
    rev_parse.arg(format!("{revision}^{{commit}}"));
    let commit = process::capture(&mut rev_parse)
        .with_context(|| format!("there is no commit {revision}"))?;
    let commit = commit.trim();
    let tree = paths::cache_dir()?.join("bench").join(commit);
    if !tree.join("Cargo.toml").is_file() {
        process::run(
            paths::program("git")
                .args(["worktree", "add", "--force", "--detach"])
                .arg(&tree)
                .arg(commit),
        )?;
    }
    let built = tree.join("target");
    let mut cargo = images::cargo(target);
    cargo
        .current_dir(&tree)
        .env("CARGO_TARGET_DIR", &built)
        .args(images::build_arguments(HYPERVISOR.package, HYPERVISOR.bin));
    process::run(&mut cargo).with_context(|| format!("cannot build {commit}"))?;
    let elf_path = images::folder_in(&built).join(HYPERVISOR.bin);
    let bytes =
        std::fs::read(&elf_path).with_context(|| format!("cannot read {}", elf_path.display()))?;
    let raw = elf_path.with_extension("bin");
    std::fs::write(&raw, elf::to_raw(&bytes)?)
        .with_context(|| format!("cannot write {}", raw.display()))?;
    Ok(Image { elf: elf_path, raw })
}
