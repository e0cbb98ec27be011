//! The programs that the tests run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the folder that logs and descriptions are written to.
pub(crate) fn log_folder() -> PathBuf {
    let folder = match std::env::var_os("BULKHEAD_LOGS") {
        Some(folder) => folder.into(),
        None => target_folder().join("system-test-logs"),
    };
    std::fs::create_dir_all(&folder)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
    folder
}

/// Returns the path of xtask, building it unless `BULKHEAD_XTASK` names it.
pub(crate) fn xtask() -> PathBuf {
    if let Some(path) = std::env::var_os("BULKHEAD_XTASK") {
        return path.into();
    }
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--package", "xtask"]);
    capture(&mut build);
    target_folder().join("debug").join("xtask")
}

/// Returns the path of the test guest's raw image, building it unless `BULKHEAD_PAYLOADS` has it.
pub(crate) fn test_guest() -> PathBuf {
    if let Some(folder) = std::env::var_os("BULKHEAD_PAYLOADS") {
        return Path::new(&folder).join("test-guest.bin");
    }
    let mut build = Command::new(xtask());
    build.args(["build-image", "--package", "test-guest"]);
    let printed = capture(&mut build);
    let raw = printed.lines().last().expect("build-image names the image");
    raw.into()
}

fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => workspace().join(folder),
        None => workspace().join("target"),
    }
}

fn capture(command: &mut Command) -> String {
    let output = command
        .current_dir(workspace())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
