//! Boots the guest that measures, and reads what it prints.

use super::report::Figures;
use crate::emulator::{self, Boot, Clock, Debugger, Machine};
use crate::images::Image;
use crate::{paths, process, setup};
use anyhow::{Context, Result, anyhow, bail, ensure};
use pack::{FileRole, Overrides};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The processor of the first table; the counter runs at 1 GHz, so that a tick is an instruction.
const ONE: &str = "cortex-a72,cntfrq=1000000000";
/// The processor of the second one, whose counter has that frequency by itself.
const TWO: &str = "max,pauth-impdef=on";

/// No run takes longer than this, in seconds: a guest that is off above a hypervisor that idles would
/// run for ever.
const LIMIT: u64 = 300;

/// What is run.
pub(super) struct Setup {
    /// What the guest shall measure.
    pub(super) what: &'static str,
    iterations: u64,
    cpu: &'static str,
    cpus: u16,
    pinning: &'static [u16],
}

impl Setup {
    /// One vCPU on one CPU.
    pub(super) fn single(what: &'static str, iterations: u64) -> Self {
        Self {
            what,
            iterations,
            cpu: ONE,
            cpus: 1,
            pinning: &[0],
        }
    }

    /// Two vCPUs on one CPU.
    pub(super) fn switch(iterations: u64) -> Self {
        Self {
            what: "switch",
            iterations,
            cpu: ONE,
            cpus: 1,
            pinning: &[0, 0],
        }
    }

    /// Two vCPUs on two CPUs.
    pub(super) fn pair(iterations: u64) -> Self {
        Self {
            what: "pair",
            iterations,
            cpu: TWO,
            cpus: 2,
            pinning: &[0, 1],
        }
    }
}

/// Emulator, guest and a folder for files.
pub(super) struct Lab {
    qemu: PathBuf,
    guest: PathBuf,
    folder: PathBuf,
}

impl Lab {
    /// Prepares everything but the hypervisor's image.
    pub(super) fn new(guest: &Image) -> Result<Self> {
        let folder = paths::target_dir()
            .join("xtask-bench")
            .join(std::process::id().to_string());
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self {
            qemu: setup::qemu::ensure()?.program,
            guest: guest.raw.clone(),
            folder,
        })
    }

    /// Runs the guest, on the bare machine without `image`; returns its lines.
    pub(super) fn run(&self, image: Option<&Image>, setup: &Setup) -> Result<String> {
        let mut run = self.start(image, setup, &[])?;
        let mut output = String::new();
        let stdout = run
            .child
            .stdout
            .take()
            .context("the emulator has no output")?;
        let watch = Limit::start(run.child.id());
        BufReader::new(stdout).read_to_string(&mut output)?;
        run.finish(watch)?;
        ensure!(
            output.contains("bench: done"),
            "the guest did not finish `{}`:\n{output}",
            setup.what
        );
        Ok(output)
    }

    /// Runs the guest with more arguments for the emulator, and gives each line of the log to `take`.
    pub(super) fn log(
        &self,
        image: &Image,
        setup: &Setup,
        extra: &[&str],
        mut take: impl FnMut(&[u8]),
    ) -> Result<()> {
        let mut run = self.start(Some(image), setup, extra)?;
        let stderr = run.child.stderr.take().context("the emulator has no log")?;
        let watch = Limit::start(run.child.id());
        let mut reader = BufReader::with_capacity(1 << 20, stderr);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? != 0 {
            take(&line);
            line.clear();
        }
        run.finish(watch)
    }

    fn start(&self, image: Option<&Image>, setup: &Setup, extra: &[&str]) -> Result<Run> {
        let cmdline = format!("bench={} iterations={}", setup.what, setup.iterations);
        let boot = match image {
            Some(image) => Boot::Hypervisor {
                image: image.raw.clone(),
                archive: self.pack(setup, &cmdline)?,
            },
            None => Boot::Native {
                kernel: self.guest.clone(),
                initrd: None,
                cmdline,
            },
        };
        let arguments = emulator::arguments(&Machine {
            boot,
            cpu: setup.cpu.to_owned(),
            cpus: setup.cpus.into(),
            memory_mib: 256,
            debugger: Debugger::Off,
            clock: Clock::Instructions,
            extra: extra.iter().map(Into::into).collect(),
        });
        let logged = if extra.is_empty() {
            (Stdio::piped(), Stdio::null())
        } else {
            (Stdio::null(), Stdio::piped())
        };
        let child = emulator::owned(&self.qemu, &arguments)?
            .stdin(Stdio::null())
            .stdout(logged.0)
            .stderr(logged.1)
            .spawn()
            .with_context(|| format!("cannot start {}", self.qemu.display()))?;
        Ok(Run { child })
    }

    fn pack(&self, setup: &Setup, cmdline: &str) -> Result<PathBuf> {
        let text = format!(
            "[[vm]]\nname = \"bench\"\nvcpus = {}\nmemory = \"16M\"\nkernel = {:?}\n\
             cmdline = {cmdline:?}\npinning = {:?}\ndevices = [\"pl011\"]\n",
            setup.pinning.len(),
            self.guest,
            setup.pinning
        );
        let machine = pack::Machine {
            cpus: Some(setup.cpus),
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
        let packed = pack::parse_toml("bench", &text, Path::new("/"))
            .and_then(|source| pack::pack(&source, &nothing, &resolve, &machine))
            .map_err(|error| anyhow!("{error}"))?;
        let path = self.folder.join("archive.cpio");
        std::fs::write(&path, &packed.archive)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // At worst a folder is left in target/.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

struct Run {
    child: Child,
}

impl Run {
    /// Waits for the end; the output was read to its end.
    fn finish(&mut self, watch: Limit) -> Result<()> {
        let late = watch.stop();
        let deadline = Instant::now() + Duration::from_secs(10);
        if process::wait_until(&mut self.child, deadline)?.is_none() {
            process::end(&mut self.child)?;
        }
        ensure!(!late, "the guest still ran after {LIMIT} s");
        Ok(())
    }
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

/// Rows that stand for what is not the operation, by the row that they are taken from.
fn baseline(name: &str) -> Option<&'static str> {
    match name {
        "smccc-version" | "psci-version" | "unknown-call" => Some("empty-call"),
        "gicd-typer" | "gicd-isenabler2" | "id-register" | "pl011-flags" | "self-sgi" | "eoi" => {
            Some("empty")
        }
        _ => None,
    }
}

/// Turns the guest's lines into instructions per operation, without the loop around it.
pub(super) fn figures(output: &str) -> Result<Figures> {
    let mut rows = Figures::new();
    let mut figures = Figures::new();
    for line in output.lines() {
        let Some(rest) = line.trim_end().strip_prefix("bench: ") else {
            continue;
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        match words[..] {
            ["row", name, ticks, count] => {
                let (ticks, count): (f64, f64) = (ticks.parse()?, count.parse()?);
                rows.insert(name.to_owned(), ticks / count);
            }
            ["sweep", name, _, _, dearest, _, _] => {
                figures.insert(format!("sweep-{name}"), dearest.parse()?);
            }
            ["done"] | ["FAILED:", ..] => {}
            _ => bail!("the guest printed something unknown: {line}"),
        }
    }
    for (name, value) in &rows {
        if name.starts_with("empty") {
            continue;
        }
        let overhead = match baseline(name) {
            Some(other) => *rows.get(other).with_context(|| format!("no row {other}"))?,
            None => 0.0,
        };
        let name = if name == "smccc-version" {
            "null-call"
        } else {
            name
        };
        figures.insert(name.to_owned(), value - overhead);
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_is_taken_out_of_what_stands_in_it() {
        let text = "bulkhead: ready\r\nbench: row empty 2001 1000\r\nbench: row empty-call 4001 1000\n\
                    bench: row gicd-typer 113001 1000\nbench: row psci-version 25001 1000\n\
                    bench: row timer 108172 1000\nbench: sweep gicd 16384 5 431 0x4c 7\nbench: done\n";
        let figures = figures(text).unwrap();
        assert_eq!(figures["gicd-typer"], 111.0);
        assert_eq!(figures["psci-version"], 21.0);
        assert_eq!(figures["timer"], 108.172);
        assert_eq!(figures["sweep-gicd"], 431.0);
        assert!(!figures.contains_key("empty"));
        assert!(super::figures("bench: what\n").is_err());
    }
}
