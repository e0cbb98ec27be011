//! What a test boots.

use crate::{Console, is_native, programs};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A machine with its VMs.
#[derive(Clone, Debug)]
pub struct Setup {
    cpus: u16,
    limit: Duration,
    vms: Vec<Vm>,
    clock: Clock,
}

/// What the machine's clock follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// The host's time.
    Host,
    /// The count of instructions.
    Instructions,
}

/// What a VM may do with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskAccess {
    /// Read and write.
    ReadWrite,
    /// Read.
    ReadOnly,
}

/// A VM of a [`Setup`].
#[derive(Clone, Debug)]
pub struct Vm {
    name: String,
    vcpus: u16,
    memory: &'static str,
    kernel: String,
    initrd: Option<&'static str>,
    cmdline: String,
    pinning: Option<Vec<u16>>,
    devices: &'static [&'static str],
    /// More devices, as they stand in a description.
    more_devices: Vec<String>,
    warm_reset: &'static str,
    spis: Option<u16>,
}

impl Vm {
    /// Debian's kernel with a small root file system and a shell. If it panics it asks for a warm
    /// reset, which counts as a crash.
    #[must_use]
    pub fn linux(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            vcpus: 1,
            memory: "256M",
            kernel: "debian".to_owned(),
            initrd: Some("busybox"),
            cmdline: "console=ttyAMA0 panic=-1 reboot=panic_warm".to_owned(),
            pinning: None,
            devices: &["pl011", "pvpanic", "pl031"],
            more_devices: Vec::new(),
            warm_reset: "crash",
            spis: None,
        }
    }

    /// The test guest with one of its cases.
    #[must_use]
    pub fn test_guest(name: &str, case: &str) -> Self {
        Self {
            name: name.to_owned(),
            vcpus: 1,
            memory: "64M",
            kernel: programs::payload("test-guest").display().to_string(),
            initrd: None,
            cmdline: format!("case={case}"),
            pinning: None,
            devices: &["pl011", "pvpanic"],
            more_devices: Vec::new(),
            warm_reset: "reset",
            spis: None,
        }
    }

    /// The hostile guest, which takes commands on its console.
    #[must_use]
    pub fn hostile_guest(name: &str) -> Self {
        Self {
            kernel: programs::payload("hostile-guest").display().to_string(),
            cmdline: String::new(),
            ..Self::test_guest(name, "")
        }
    }

    /// A neighbour that hashes its memory for ever, and prints what it found.
    #[must_use]
    pub fn heartbeat(name: &str) -> Self {
        Self {
            cmdline: "mode=heartbeat".to_owned(),
            ..Self::hostile_guest(name)
        }
    }

    /// Sets the number of vCPUs; 1 if it isn't.
    #[must_use]
    pub fn vcpus(mut self, vcpus: u16) -> Self {
        self.vcpus = vcpus;
        self
    }

    /// Has each vCPU run on the CPU at its place; floating if it isn't called.
    #[must_use]
    pub fn pinned(mut self, cpus: &[u16]) -> Self {
        self.pinning = Some(cpus.to_vec());
        self
    }

    /// Sets the number of shared interrupts; the default one if it isn't.
    #[must_use]
    pub fn spis(mut self, spis: u16) -> Self {
        self.spis = Some(spis);
        self
    }

    /// Adds a device that has nothing but a name.
    #[must_use]
    pub fn device(mut self, name: &str) -> Self {
        self.more_devices.push(format!("{name:?}"));
        self
    }

    /// Adds a disk with this image.
    #[must_use]
    pub fn disk(mut self, image: &Path, access: DiskAccess) -> Self {
        let read_only = access == DiskAccess::ReadOnly;
        self.more_devices.push(format!(
            "{{ name = \"virtio-blk\", image = {image:?}, read-only = {read_only} }}"
        ));
        self
    }

    /// Adds words to the kernel's command line.
    #[must_use]
    pub fn words(mut self, words: &str) -> Self {
        self.cmdline.push(' ');
        self.cmdline.push_str(words);
        self
    }

    fn describe(&self, text: &mut String) {
        let Self {
            name,
            vcpus,
            memory,
            kernel,
            initrd,
            cmdline,
            pinning,
            devices,
            more_devices,
            warm_reset,
            spis,
        } = self;
        let plain = devices.iter().map(|name| format!("{name:?}"));
        let devices: Vec<String> = plain.chain(more_devices.iter().cloned()).collect();
        let devices = devices.join(", ");
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "[[vm]]\nname = {name:?}\nvcpus = {vcpus}\nmemory = {memory:?}\nkernel = {kernel:?}\n\
             cmdline = {cmdline:?}\ndevices = [{devices}]\n\
             warm-reset = {warm_reset:?}"
        );
        if let Some(initrd) = initrd {
            let _ = writeln!(text, "initrd = {initrd:?}");
        }
        if let Some(spis) = spis {
            let _ = writeln!(text, "spis = {spis}");
        }
        if let Some(pinning) = pinning {
            let _ = writeln!(text, "pinning = {pinning:?}");
        }
    }
}

impl Setup {
    /// A machine with so many CPUs and these VMs.
    #[must_use]
    pub fn new(cpus: u16, vms: Vec<Vm>) -> Self {
        Self {
            cpus,
            limit: Duration::from_secs(300),
            vms,
            clock: Clock::Host,
        }
    }

    /// Has the machine's clock count instructions, one a nanosecond.
    #[must_use]
    pub fn counting_instructions(mut self) -> Self {
        self.clock = Clock::Instructions;
        self
    }

    /// Sets after how long the run is ended as a failure; 300 s if it isn't.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Boots; `test` names the log. The console belongs to the whole machine.
    #[must_use]
    pub fn start(&self, test: &str) -> Console {
        let mut text = String::new();
        for vm in &self.vms {
            vm.describe(&mut text);
        }
        let description = programs::log_folder().join(format!("{test}.toml"));
        std::fs::write(&description, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", description.display()));
        let mut command = Command::new(programs::xtask());
        command
            .current_dir(programs::workspace())
            .arg("run")
            .arg("--config")
            .arg(&description)
            .args(["--cpus", &self.cpus.to_string()])
            .args(["--timeout", &self.limit.as_secs().to_string()]);
        if self.clock == Clock::Instructions {
            command.arg("--icount");
        }
        if is_native() {
            command.arg("--native");
        }
        Console::start(test, command, self.limit)
    }
}
