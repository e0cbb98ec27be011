//! Runs machines under a time limit, with the clock that follows the instructions.

use crate::emulator::{self, Boot, Clock, Debugger, Machine};
use crate::{paths, process, setup};
use anyhow::{Context, Result, anyhow, ensure};
use pack::{FileRole, Overrides};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// No run takes longer than this, in seconds: a guest that is off above a hypervisor that idles would
/// run for ever.
const LIMIT: u64 = 600;

/// Emulator and a folder for files.
pub(super) struct Lab {
    qemu: PathBuf,
    folder: PathBuf,
}

/// What the emulator writes to its standard error beside the console.
const LOGGED: &str = "-d";

impl Lab {
    /// Prepares both.
    pub(super) fn new() -> Result<Self> {
        let folder = paths::target_dir()
            .join("xtask-bench")
            .join(std::process::id().to_string());
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self {
            qemu: setup::qemu::ensure()?.program,
            folder,
        })
    }

    /// Describes a machine on the ruler; `extra` goes to the emulator as it is.
    pub(super) fn machine(
        boot: Boot,
        cpu: &str,
        cpus: u16,
        memory_mib: u64,
        extra: &[&str],
    ) -> Machine {
        Machine {
            boot,
            cpu: cpu.to_owned(),
            cpus: cpus.into(),
            memory_mib,
            debugger: Debugger::Off,
            clock: Clock::Instructions,
            extra: extra.iter().map(Into::into).collect(),
        }
    }

    /// Runs a machine to its end; returns what its console printed.
    pub(super) fn output(&self, machine: &Machine) -> Result<String> {
        self.output_until(machine, |_| false)
    }

    /// As [`Lab::output`], but ends the machine after a line that is the last: not every hypervisor
    /// turns the machine off after its guest.
    pub(super) fn output_until(
        &self,
        machine: &Machine,
        is_last: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let mut child = self.start(machine, Stdio::piped(), Stdio::null())?;
        let stdout = child.stdout.take().context("the emulator has no output")?;
        let watch = Limit::start(child.id());
        let mut reader = BufReader::new(stdout);
        let mut output = String::new();
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? != 0 {
            let text = String::from_utf8_lossy(&line);
            output.push_str(&text);
            if is_last(&text) {
                process::end(&mut child)?;
                break;
            }
            line.clear();
        }
        finish(child, watch).with_context(|| format!("the machine printed:\n{output}"))?;
        Ok(output)
    }

    /// Runs a machine to its end, and gives each line of the emulator's log to `take`.
    pub(super) fn log(&self, machine: &Machine, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        ensure!(
            machine.extra.iter().any(|argument| argument == LOGGED),
            "the emulator would log nothing"
        );
        let mut child = self.start(machine, Stdio::null(), Stdio::piped())?;
        let stderr = child.stderr.take().context("the emulator has no log")?;
        let watch = Limit::start(child.id());
        let mut reader = BufReader::with_capacity(1 << 20, stderr);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? != 0 {
            take(&line);
            line.clear();
        }
        finish(child, watch)
    }

    /// Packs a description, whose files are paths, and returns the archive.
    pub(super) fn pack(&self, description: &str, cpus: u16) -> Result<PathBuf> {
        let machine = pack::Machine {
            cpus: Some(cpus),
            ram_bytes: None,
            ipa_bits: None,
        };
        let nothing = Overrides {
            kernel: None,
            initrd: None,
            cmdline: None,
            vcpus: None,
            memory: None,
        };
        let resolve = |_: FileRole, name: &str| Err(format!("`{name}` is no path"));
        let packed = pack::parse_toml("bench", description, Path::new("/"))
            .and_then(|source| pack::pack(&source, &nothing, &resolve, &machine))
            .map_err(|error| anyhow!("{error}"))?;
        self.write("archive.cpio", &packed.archive)
    }

    /// Writes a file that lives as long as this.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Returns the path of a file that lives as long as this.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn start(&self, machine: &Machine, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        emulator::owned(&self.qemu, &emulator::arguments(machine))?
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {}", self.qemu.display()))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // At worst a folder is left in target/.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Waits for the end; the output was read to its end.
fn finish(mut child: Child, watch: Limit) -> Result<()> {
    let late = watch.stop();
    let deadline = Instant::now() + Duration::from_secs(10);
    if process::wait_until(&mut child, deadline)?.is_none() {
        process::end(&mut child)?;
    }
    ensure!(!late, "the guest still ran after {LIMIT} s");
    Ok(())
}

/// Ends a process that takes too long.
struct Limit {
    stop: std::sync::mpsc::Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Limit {
    fn start(process: u32) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            use std::sync::mpsc::RecvTimeoutError;
            let late =
                stopped.recv_timeout(Duration::from_secs(LIMIT)) == Err(RecvTimeoutError::Timeout);
            if late {
                process::ask_to_end(process);
            }
            late
        });
        Self { stop, thread }
    }

    fn stop(self) -> bool {
        // The thread may have had enough already.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or(true)
    }
}
