//! The programs that the tests run.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Returns the folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the folder that logs and descriptions are written to.
pub fn log_folder() -> PathBuf {
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

/// Returns the path of a payload's or image's raw binary, building it unless `BULKHEAD_PAYLOADS` has it.
pub(crate) fn payload(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("BULKHEAD_PAYLOADS") {
        return Path::new(&folder).join(format!("{name}.bin"));
    }
    let mut build = Command::new(xtask());
    build.args(["build-image", "--package", name]);
    let printed = capture(&mut build);
    let raw = printed.lines().last().expect("build-image names the image");
    raw.into()
}

/// Boots an image of ours at EL2 on a small machine with two CPUs, with nothing but a command line,
/// and returns what it printed until it turned the machine off.
///
/// # Panics
/// If it takes longer than `limit`.
#[must_use]
pub fn run_image(name: &str, command_line: &str, limit: Duration) -> String {
    let program = std::env::var_os("BULKHEAD_QEMU").unwrap_or_else(|| "qemu-system-aarch64".into());
    let mut child = Command::new(program)
        .args(["-machine", "virt,virtualization=on,gic-version=3"])
        .args(["-cpu", "max,pauth-impdef=on", "-smp", "2", "-m", "512M"])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
        .args(["-nic", "none", "-no-reboot", "-append", command_line])
        .arg("-kernel")
        .arg(payload(name))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the emulator starts");
    let end = Instant::now() + limit;
    while child.try_wait().expect("the emulator is ours").is_none() {
        if Instant::now() > end {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            panic!("{name}, {command_line}: the machine still runs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut output = String::new();
    let mut pipe = child.stdout.take().expect("stdout is a pipe");
    pipe.read_to_string(&mut output)
        .expect("the console is text");
    output
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
