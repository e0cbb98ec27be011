//! Every crate of pure logic and every role has the workspace's lints, which forbid unsafe code.

use super::Findings;
use crate::paths;
use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use toml::Table;

/// The folders whose packages must inherit.
const FOLDERS: [&str; 2] = ["crates", "roles"];

/// Checks the manifests of crates and roles, and the workspace's own.
pub(crate) fn check(metadata: &Metadata) -> Result<Findings> {
    let mut findings = Findings::default();
    let root = paths::workspace_root();
    let workspace = read(&root.join("Cargo.toml"))?;
    if !forbids_unsafe(&workspace) {
        findings
            .violations
            .push("the workspace's lints no longer forbid unsafe code".to_owned());
    }
    let mut count = 0;
    for package in metadata.workspace_packages() {
        let path = package.manifest_path.as_std_path();
        let folder = path.strip_prefix(&root).unwrap_or(path);
        if !FOLDERS.iter().any(|parent| folder.starts_with(parent)) {
            continue;
        }
        count += 1;
        if !has_all_lints(&read(path)?, &workspace) {
            findings.violations.push(format!(
                "{} must say `[lints]` `workspace = true`, or repeat every lint of the workspace",
                folder.display()
            ));
        }
    }
    findings
        .notes
        .push(format!("{count} crates and roles forbid unsafe code"));
    Ok(findings)
}

fn read(path: &std::path::Path) -> Result<Table> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse()
        .with_context(|| format!("{} is not TOML", path.display()))
}

fn forbids_unsafe(workspace: &Table) -> bool {
    let lint = workspace
        .get("workspace")
        .and_then(|table| table.get("lints"))
        .and_then(|table| table.get("rust"))
        .and_then(|table| table.get("unsafe_code"));
    lint.and_then(|value| value.as_str()) == Some("forbid")
}

/// A package that needs a lint of its own can't inherit: cargo knows no mixture. It repeats.
fn has_all_lints(package: &Table, workspace: &Table) -> bool {
    let common = workspace.get("workspace").and_then(|it| it.get("lints"));
    let own = package.get("lints");
    inherits(package)
        || common
            .zip(own)
            .is_some_and(|(common, own)| contains(own, common))
}

fn contains(own: &toml::Value, common: &toml::Value) -> bool {
    match common {
        toml::Value::Table(table) => table
            .iter()
            .all(|(key, value)| own.get(key).is_some_and(|own| contains(own, value))),
        value => own == value,
    }
}

fn inherits(package: &Table) -> bool {
    let lints = package
        .get("lints")
        .and_then(|table| table.get("workspace"));
    lints.and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_inherits_only_by_saying_so() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        assert!(inherits(&table("[lints]\nworkspace = true\n")));
        assert!(!inherits(&table("[lints]\nworkspace = false\n")));
        assert!(!inherits(&table("[lints.rust]\nunsafe_code = \"allow\"\n")));
        assert!(!inherits(&table("[package]\nname = \"x\"\n")));
    }

    #[test]
    fn a_package_with_lints_of_its_own_repeats_all_of_the_workspace() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let workspace = table(
            "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[workspace.lints.clippy]\nall = { level = \"deny\", priority = -1 }\n",
        );
        let full = "[lints.rust]\nunsafe_code = \"forbid\"\nextra = \"warn\"\n[lints.clippy]\nall = { level = \"deny\", priority = -1 }\n";
        assert!(has_all_lints(&table(full), &workspace));
        assert!(!has_all_lints(
            &table(&full.replace("forbid", "deny")),
            &workspace
        ));
        assert!(!has_all_lints(
            &table("[lints.rust]\nunsafe_code = \"forbid\"\n"),
            &workspace
        ));
        assert!(!has_all_lints(&table("[package]\n"), &workspace));
    }

    #[test]
    fn the_workspace_must_forbid_not_deny() {
        let table = |level: &str| {
            format!("[workspace.lints.rust]\nunsafe_code = \"{level}\"\n")
                .parse::<Table>()
                .unwrap()
        };
        assert!(forbids_unsafe(&table("forbid")));
        assert!(!forbids_unsafe(&table("deny")));
    }
}
