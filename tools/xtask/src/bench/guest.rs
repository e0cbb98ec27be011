//! Boots the guest that measures, and reads what it prints.

use super::lab::Lab;
use super::report::Figures;
use crate::emulator::{Boot, Machine};
use crate::images::Image;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// The processor of the first table; the counter runs at 1 GHz, so that a tick is an instruction.
pub(super) const ONE: &str = "cortex-a72,cntfrq=1000000000";
/// The processor of the second one, whose counter has that frequency by itself.
const TWO: &str = "max,pauth-impdef=on";

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

    /// What is measured by the guest's own clock alone, above any hypervisor.
    pub(super) fn rows() -> [Self; 3] {
        [
            Self::single("single", super::ITERATIONS),
            Self::switch(super::ITERATIONS),
            Self::pair(super::PAIR_ITERATIONS),
        ]
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

    /// Returns what the guest is told.
    pub(super) fn cmdline(&self) -> String {
        format!("bench={} iterations={}", self.what, self.iterations)
    }

    /// Returns how many vCPUs the guest has.
    pub(super) fn vcpus(&self) -> u16 {
        // A handful, from a constant.
        u16::try_from(self.pinning.len()).unwrap_or(u16::MAX)
    }

    /// Describes the machine.
    pub(super) fn machine(&self, boot: Boot, memory_mib: u64, extra: &[&str]) -> Machine {
        Lab::machine(boot, self.cpu, self.cpus, memory_mib, extra)
    }
}

/// The guest's last line.
pub(super) const DONE: &str = "bench: done";

/// The guest that measures.
pub(super) struct Guest<'a> {
    lab: &'a Lab,
    kernel: PathBuf,
}

impl<'a> Guest<'a> {
    /// Takes the guest's image.
    pub(super) fn new(lab: &'a Lab, guest: &Image) -> Self {
        Self {
            lab,
            kernel: guest.raw.clone(),
        }
    }

    /// Returns the guest's file.
    pub(super) fn kernel(&self) -> &Path {
        &self.kernel
    }

    /// Runs the guest, on the bare machine without `image`; returns its lines.
    pub(super) fn run(&self, image: Option<&Image>, setup: &Setup) -> Result<String> {
        let output = self.lab.output(&self.machine(image, setup, &[])?)?;
        ensure!(
            output.contains(DONE),
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
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        self.lab
            .log(&self.machine(Some(image), setup, extra)?, take)
    }

    fn machine(&self, image: Option<&Image>, setup: &Setup, extra: &[&str]) -> Result<Machine> {
        let cmdline = setup.cmdline();
        let boot = match image {
            Some(image) => Boot::Hypervisor {
                image: image.raw.clone(),
                archive: self
                    .lab
                    .pack(&self.description(setup, &cmdline), setup.cpus)?,
            },
            None => Boot::Native {
                kernel: self.kernel.clone(),
                initrd: None,
                cmdline,
            },
        };
        Ok(setup.machine(boot, 256, extra))
    }

    fn description(&self, setup: &Setup, cmdline: &str) -> String {
        format!(
            "[[vm]]\nname = \"bench\"\nvcpus = {}\nmemory = \"16M\"\nkernel = {:?}\n\
             cmdline = {cmdline:?}\npinning = {:?}\ndevices = [\"pl011\"]\n",
            setup.pinning.len(),
            self.kernel,
            setup.pinning
        )
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
        // Some put a name before each line of a guest.
        let Some((_, rest)) = line.trim_end().split_once("bench: ") else {
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
                    (XEN) DOM1: bench: row timer 108172 1000\nbench: sweep gicd 16384 5 431 0x4c 7\nbench: done\n";
        let figures = figures(text).unwrap();
        assert_eq!(figures["gicd-typer"], 111.0);
        assert_eq!(figures["psci-version"], 21.0);
        assert_eq!(figures["timer"], 108.172);
        assert_eq!(figures["sweep-gicd"], 431.0);
        assert!(!figures.contains_key("empty"));
        assert!(super::figures("bench: what\n").is_err());
    }
}
