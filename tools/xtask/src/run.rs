//! `cargo xtask run`: builds everything, packs a description, and boots it in the emulator.

use crate::cli::RunOptions;
use crate::console::{MachineOff, Watcher};
use crate::emulator::{self, Boot, Clock, Debugger, Ending, Machine};
use crate::guests;
use crate::{images, paths, setup};
use anyhow::{Context, Result, anyhow, bail, ensure};
use manifest::{Description, VmDescription};
use pack::{FileRole, Overrides, Packed};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The description that is run where none is given.
const DEFAULT_CONFIG: &str = "examples/linux.toml";

/// The least memory of the emulated machine, in MiB.
const MIN_MEMORY_MIB: u64 = 1024;

/// Memory beside VMs and archive, in MiB: EL2's own, and the 128 MiB below the place where QEMU
/// puts the archive, which one large VM may be unable to use.
const SPARE_MEMORY_MIB: u64 = 256;

/// Runs `cargo xtask run`; returning means that everything ended in order.
pub(crate) fn command(options: &RunOptions) -> Result<()> {
    let packed = pack_description(options)?;
    let folder = RunFolder::create()?;
    let (boot, elf) = if options.native {
        (native(&packed, &folder)?, None)
    } else {
        let target = setup::ensure_rust_target()?;
        let image = images::build_hypervisor(&target)?;
        let archive = folder.write("archive.cpio", &packed.archive)?;
        let boot = Boot::Hypervisor {
            image: image.raw,
            archive,
        };
        (boot, Some(image.elf))
    };
    let qemu = setup::qemu::ensure()?;
    let machine = Machine {
        boot,
        cpu: options
            .cpu
            .clone()
            .unwrap_or_else(|| emulator::DEFAULT_CPU.to_owned()),
        cpus: options.cpus.into(),
        memory_mib: memory_mib(&packed),
        debugger: if options.gdb {
            Debugger::WaitFor
        } else {
            Debugger::Off
        },
        clock: if options.icount {
            Clock::Instructions
        } else {
            Clock::Host
        },
        extra: options.qemu_arguments.clone(),
    };
    introduce(&machine, &packed.description, elf.as_deref());
    let mut watcher = Watcher::default();
    let limit = options.timeout.map(Duration::from_secs);
    let arguments = emulator::arguments(&machine);
    let ending = emulator::run(&qemu.program, &arguments, limit, &mut watcher)?;
    eprintln!();
    let reported = watcher.machine_off();
    match machine.boot {
        Boot::Hypervisor { .. } => judge(&ending, options.timeout, Some(reported)),
        Boot::Native { .. } | Boot::Loaded { .. } | Boot::Peer { .. } => {
            judge(&ending, options.timeout, None)
        }
    }
}

fn pack_description(options: &RunOptions) -> Result<Packed> {
    let path = match &options.config {
        Some(path) => path.clone(),
        None => paths::workspace_root().join(DEFAULT_CONFIG),
    };
    let overrides = Overrides {
        kernel: options.kernel.clone(),
        initrd: options.initrd.clone(),
        cmdline: options.cmdline.clone(),
        vcpus: options.vcpus,
        memory: options.memory.clone(),
    };
    let machine = pack::Machine {
        cpus: Some(options.cpus),
        ram_bytes: None,
        ipa_bits: None,
    };
    let resolve = |role: FileRole, name: &str| {
        guests::resolve(role, name).map_err(|error| format!("{error:#}"))
    };
    pack::read_toml(&path)
        .and_then(|source| pack::pack(&source, &overrides, &resolve, &machine))
        .map_err(|error| anyhow!("{error}"))
}

/// Takes the first VM's files out of the archive, so that the bare machine boots the very same.
fn native(packed: &Packed, folder: &RunFolder) -> Result<Boot> {
    let vm = first_vm(&packed.description)?;
    let archive = archive::Archive::parse(&packed.archive)?;
    let extract = |name: &str| {
        let entry = archive
            .find(name)
            .with_context(|| format!("the archive holds no {name}"))?;
        folder.write(name, entry.data)
    };
    Ok(Boot::Native {
        kernel: extract(&vm.kernel.file)?,
        initrd: vm.initrd.as_deref().map(extract).transpose()?,
        cmdline: vm.cmdline.clone(),
    })
}

fn first_vm(description: &Description) -> Result<&VmDescription> {
    description.vms.first().context("there is no VM")
}

/// Returns the memory that the emulated machine gets: all VMs', the archive, and something over.
fn memory_mib(packed: &Packed) -> u64 {
    let vms: u64 = packed.description.vms.iter().map(|vm| vm.memory).sum();
    let bytes = vms.saturating_add(packed.archive.len() as u64);
    let needed = bytes.div_ceil(1 << 20).saturating_add(SPARE_MEMORY_MIB);
    needed.next_multiple_of(256).max(MIN_MEMORY_MIB)
}

fn introduce(machine: &Machine, description: &Description, elf: Option<&Path>) {
    let native = match machine.boot {
        Boot::Native { .. } | Boot::Loaded { .. } | Boot::Peer { .. } => ", natively",
        Boot::Hypervisor { .. } => "",
    };
    for vm in &description.vms {
        eprintln!(
            "{}: {} vCPUs, {} MiB{native}",
            vm.name,
            vm.vcpus,
            vm.memory >> 20
        );
    }
    eprintln!(
        "on {} CPUs ({}), {} MiB. Keys go to the guest, Ctrl-C too; Ctrl-A X ends the emulator.",
        machine.cpus, machine.cpu, machine.memory_mib
    );
    if machine.debugger == Debugger::WaitFor {
        let elf = elf.map_or_else(String::new, |path| path.display().to_string());
        eprintln!(
            "the machine waits for a debugger: gdb-multiarch {elf} -ex 'target remote :1234'"
        );
    }
}

/// Decides whether a run was a success, and says in words why not.
///
/// `reported` is what the hypervisor said last; the outer `None` is a machine without hypervisor.
fn judge(
    ending: &Ending,
    timeout: Option<u64>,
    reported: Option<Option<MachineOff>>,
) -> Result<()> {
    match ending {
        Ending::Ended(status) => ensure!(status.success(), "the emulator failed ({status})"),
        Ending::TimedOut => bail!(
            "the machine still ran after {} s and was ended",
            timeout.unwrap_or_default()
        ),
        Ending::Interrupted => bail!("interrupted; the emulator was ended"),
    }
    match reported {
        None => Ok(()),
        Some(None) => {
            bail!("the emulator ended without the hypervisor having turned the machine off")
        }
        Some(Some(off)) if off.crashed > 0 => bail!(
            "{} of {} VM(s) crashed",
            off.crashed,
            off.crashed.saturating_add(off.ended)
        ),
        Some(Some(_)) => Ok(()),
    }
}

/// A folder for the files of one run, which is removed after it.
struct RunFolder(PathBuf);

impl RunFolder {
    fn create() -> Result<Self> {
        let path = paths::target_dir()
            .join("xtask-run")
            .join(std::process::id().to_string());
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(RunFolder(path))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        // Names of an archive may hold separators; here one file is as good as another.
        let path = self.0.join(name.replace('/', "_"));
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // At worst a folder is left in target/.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(code: i32) -> Ending {
        Ending::Ended(ExitStatus::from_raw(code << 8))
    }

    fn off(ended: u32, crashed: u32) -> Option<Option<MachineOff>> {
        Some(Some(MachineOff { ended, crashed }))
    }

    #[test]
    fn only_an_orderly_end_without_crash_is_a_success() {
        assert!(judge(&ended(0), None, off(1, 0)).is_ok());
        let reason = |ending, reported| judge(&ending, Some(9), reported).unwrap_err().to_string();
        assert!(reason(ended(0), off(1, 1)).contains("1 of 2 VM(s) crashed"));
        assert!(reason(ended(0), Some(None)).contains("without the hypervisor"));
        assert!(reason(ended(1), off(1, 0)).contains("emulator failed"));
        assert!(reason(Ending::TimedOut, off(1, 0)).contains("after 9 s"));
        assert!(reason(Ending::Interrupted, off(1, 0)).contains("interrupted"));
    }

    #[test]
    fn a_native_run_is_judged_by_the_emulator_alone() {
        assert!(judge(&ended(0), None, None).is_ok());
        assert!(judge(&ended(1), None, None).is_err());
    }

    #[test]
    fn memory_covers_all_vms_and_the_archive() {
        let text = "[[vm]]\nname = \"a\"\nmemory = \"900M\"\nkernel = \"k\"\n";
        assert!(pack::parse_toml("t", text, Path::new("")).is_ok());
        let packed = |sizes: &[u64], archive: usize| Packed {
            description: Description {
                vms: sizes.iter().map(|size| vm(size << 20)).collect(),
            },
            archive: vec![0; archive],
        };
        assert_eq!(memory_mib(&packed(&[64], 1)), 1024);
        assert_eq!(memory_mib(&packed(&[512, 512], 40 << 20)), 1536);
    }

    fn vm(memory: u64) -> VmDescription {
        VmDescription {
            name: "a".to_owned(),
            vcpus: 1,
            memory,
            kernel: manifest::Kernel {
                file: "k".to_owned(),
                format: manifest::KernelFormat::Image,
            },
            initrd: None,
            cmdline: String::new(),
            pinning: manifest::Pinning::Floating,
            devices: manifest::default_devices(),
            spis: 32,
            warm_reset: manifest::WarmReset::Reset,
        }
    }
}
