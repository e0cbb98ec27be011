//! What tests of the program share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// Runs the tool on a project.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cargo-match-audit"))
        .arg("match-audit")
        .args(arguments)
        .arg("--manifest-path")
        .arg(root)
        .output()
        .expect("the tool starts")
}

/// Runs the tool on a project and reads its answer.
pub(crate) fn json(root: &Path, arguments: &[&str]) -> Value {
    let output = run(root, &[arguments, &["--format", "json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A folder of a test's own, removed at its end. Libraries that make such folders would turn on
/// features that the front end, minutes of building, would be built anew for.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("match-audit-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody needs it; what is left is in the folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A published crate, copied to where it can be changed.
pub(crate) struct Published {
    pub(crate) name: &'static str,
    pub(crate) root: PathBuf,
    _folder: Folder,
}

impl Published {
    /// Has cargo download a crate in exactly this version.
    pub(crate) fn fetch(name: &'static str, version: &str) -> Self {
        let folder = Folder::new(name);
        let user = folder.0.join("user");
        std::fs::create_dir_all(user.join("src")).expect("a folder");
        std::fs::write(user.join("src/lib.rs"), "").expect("a file");
        let manifest = format!(
            "[package]\nname = \"user\"\nedition = \"2024\"\n[workspace]\n\
             [dependencies]\n{name} = \"={version}\"\n"
        );
        std::fs::write(user.join("Cargo.toml"), manifest).expect("a file");
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1"])
            .current_dir(&user)
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "{output:?}");
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata");
        let packages = metadata["packages"].as_array().expect("packages");
        let package = packages.iter().find(|package| package["name"] == name);
        let manifest = package.expect("the crate")["manifest_path"].as_str();
        let source = Path::new(manifest.expect("a path"))
            .parent()
            .expect("a folder");
        let root = folder.0.join(name);
        copy(source, &root);
        simplify(&root.join("Cargo.toml"));
        Published {
            name,
            root,
            _folder: folder,
        }
    }

    /// Runs cargo on the copy.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .env_remove("RUSTFLAGS");
        cargo
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            // What is downloaded may be read-only; only the contents are wanted.
            let bytes = std::fs::read(entry.path()).expect("a file");
            std::fs::write(target, bytes).expect("a file");
        }
    }
}

/// Leaves nothing but the library, so that no dependency of a test is downloaded.
fn simplify(manifest: &Path) {
    let text = std::fs::read_to_string(manifest).expect("the manifest");
    let mut table: toml::Table = text.parse().expect("a manifest");
    for key in ["dev-dependencies", "bench", "example", "test", "bin"] {
        table.remove(key);
    }
    if let Some(package) = table.get_mut("package").and_then(|it| it.as_table_mut()) {
        for key in ["autobenches", "autoexamples", "autotests", "autobins"] {
            package.insert(key.into(), false.into());
        }
    }
    table.insert("workspace".into(), toml::Table::new().into());
    std::fs::write(manifest, table.to_string()).expect("the manifest");
    let _ = std::fs::remove_file(manifest.with_file_name("Cargo.lock"));
}
