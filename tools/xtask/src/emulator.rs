//! Starts the emulator, owns its process, and passes its console through.

use crate::console::Watcher;
use crate::process;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The processor model where none is chosen: everything that QEMU can emulate, with the pointer
/// authentication algorithm that costs little under emulation.
pub(crate) const DEFAULT_CPU: &str = "max,pauth-impdef=on";

/// What the emulator boots.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Boot {
    /// The hypervisor at EL2, with the archive of manifest and guests.
    Hypervisor {
        /// The raw binary.
        image: PathBuf,
        /// The archive.
        archive: PathBuf,
    },
    /// A kernel at EL1 on the bare machine, for comparison.
    Native {
        /// The kernel.
        kernel: PathBuf,
        /// Its initial root file system.
        initrd: Option<PathBuf>,
        /// Its command line.
        cmdline: String,
    },
    /// Files in the memory of the bare machine, as a hypervisor would have put them.
    Loaded {
        /// Raw files and their addresses.
        files: Vec<(PathBuf, u64)>,
        /// Where the first CPU begins, at EL1, with nothing in its registers.
        entry: u64,
    },
    /// Another hypervisor at EL2.
    Peer {
        /// Its image.
        kernel: PathBuf,
        /// The device tree that it gets, if not the machine's own.
        tree: Option<PathBuf>,
        /// Raw files that it finds in memory, and their addresses.
        files: Vec<(PathBuf, u64)>,
    },
}

/// Whether the machine waits for a debugger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Debugger {
    /// It does not.
    Off,
    /// It stops before the first instruction and listens on port 1234.
    WaitFor,
}

/// What the machine's clock follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Clock {
    /// The host's time.
    Host,
    /// The count of instructions, one a nanosecond, repeatable bit by bit.
    Instructions,
}

/// A machine to emulate.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// What it boots.
    pub(crate) boot: Boot,
    /// The processor model, in QEMU's words.
    pub(crate) cpu: String,
    /// How many CPUs it has.
    pub(crate) cpus: u32,
    /// Its memory in MiB.
    pub(crate) memory_mib: u64,
    /// Whether it waits for a debugger.
    pub(crate) debugger: Debugger,
    /// What its clock follows.
    pub(crate) clock: Clock,
    /// More arguments, from the user.
    pub(crate) extra: Vec<OsString>,
}

/// How an emulation ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The emulator ended by itself.
    Ended(ExitStatus),
    /// The time was over, and the emulator was ended.
    TimedOut,
    /// We were asked to end, and ended the emulator.
    Interrupted,
}

/// Returns QEMU's arguments for a machine.
pub(crate) fn arguments(machine: &Machine) -> Vec<OsString> {
    let virtualization = match machine.boot {
        Boot::Hypervisor { .. } | Boot::Peer { .. } => "on",
        Boot::Native { .. } | Boot::Loaded { .. } => "off",
    };
    let randomness = match machine.clock {
        Clock::Host => "",
        Clock::Instructions => ",dtb-randomness=off",
    };
    let mut arguments: Vec<OsString> = vec![
        "-machine".into(),
        format!("virt,virtualization={virtualization},gic-version=3{randomness}").into(),
        "-cpu".into(),
        machine.cpu.clone().into(),
        "-smp".into(),
        machine.cpus.to_string().into(),
        "-m".into(),
        format!("{}M", machine.memory_mib).into(),
        "-display".into(),
        "none".into(),
        "-nic".into(),
        "none".into(),
        "-no-reboot".into(),
        // Ctrl-C belongs to the guest; Ctrl-A X ends the emulator.
        "-chardev".into(),
        "stdio,id=console,mux=on,signal=off".into(),
        "-serial".into(),
        "chardev:console".into(),
        "-mon".into(),
        "chardev=console,mode=readline".into(),
    ];
    if machine.clock == Clock::Instructions {
        for argument in [
            "-icount",
            "shift=0,sleep=off",
            "-seed",
            "1",
            "-rtc",
            "base=2026-01-01,clock=vm",
        ] {
            arguments.push(argument.into());
        }
    }
    if machine.debugger == Debugger::WaitFor {
        arguments.extend(["-S".into(), "-s".into()]);
    }
    arguments.extend(boot_arguments(&machine.boot));
    arguments.extend(machine.extra.iter().cloned());
    arguments
}

fn boot_arguments(boot: &Boot) -> Vec<OsString> {
    match boot {
        Boot::Hypervisor { image, archive } => vec![
            "-kernel".into(),
            image.into(),
            "-initrd".into(),
            archive.into(),
        ],
        Boot::Native {
            kernel,
            initrd,
            cmdline,
        } => {
            let mut arguments = vec!["-kernel".into(), kernel.into()];
            if let Some(initrd) = initrd {
                arguments.extend(["-initrd".into(), initrd.into()]);
            }
            arguments.extend(["-append".into(), cmdline.into()]);
            arguments
        }
        Boot::Loaded { files, entry } => {
            let mut arguments = loaders(files);
            let entered = format!("loader,cpu-num=0,addr={entry:#x}");
            arguments.extend(["-device".into(), entered.into()]);
            arguments
        }
        Boot::Peer {
            kernel,
            tree,
            files,
        } => {
            let mut arguments = loaders(files);
            arguments.extend(["-kernel".into(), kernel.into()]);
            if let Some(tree) = tree {
                arguments.extend(["-dtb".into(), tree.into()]);
            }
            arguments
        }
    }
}

/// Returns the arguments that put raw files into memory.
fn loaders(files: &[(PathBuf, u64)]) -> Vec<OsString> {
    let loader = |(file, address): &(PathBuf, u64)| {
        let mut what = OsString::from("loader,force-raw=on,file=");
        what.push(file);
        what.push(format!(",addr={address:#x}"));
        ["-device".into(), what]
    };
    files.iter().flat_map(loader).collect()
}

/// Runs the emulator to its end, our terminal being the machine's console.
///
/// Its output also goes to `watcher`. After `limit` it is ended; so it is when we are asked to end
/// (Ctrl-C where the terminal is not the guest's, SIGTERM, SIGHUP) or die.
pub(crate) fn run(
    qemu: &Path,
    arguments: &[OsString],
    limit: Option<Duration>,
    watcher: &mut Watcher,
) -> Result<Ending> {
    let asked_to_end = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&asked_to_end);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .context("cannot watch for signals")?;
    let terminal = SavedTerminal::save();
    let mut child = owned(qemu, arguments)?
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", qemu.display()))?;
    let output = child.stdout.take().context("the emulator has no output")?;
    let ending = std::thread::scope(|scope| {
        let reader = scope.spawn(|| pass_through(output, watcher));
        let ending = wait(&mut child, limit, &asked_to_end);
        // The pipe is closed by now, for the process that wrote to it has ended.
        let passed = reader.join().unwrap_or(Ok(()));
        ending.and_then(|ending| passed.map(|()| ending))
    });
    terminal.restore();
    ending
}

/// Becomes another program that dies with the process `parent`: what `owned` starts.
pub(crate) fn become_owned(parent: u32, command: &[OsString]) -> Result<std::convert::Infallible> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)
        .context("cannot tie the emulator's life to ours")?;
    // The parent may have died before it was watched.
    anyhow::ensure!(
        std::os::unix::process::parent_id() == parent,
        "the starting process is gone"
    );
    let (program, arguments) = command.split_first().context("no program to start")?;
    let error = std::os::unix::process::CommandExt::exec(Command::new(program).args(arguments));
    Err(error).with_context(|| format!("cannot start {}", Path::new(program).display()))
}

/// Returns a command whose process ends when ours does, however that happens.
pub(crate) fn owned(program: &Path, arguments: &[OsString]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command
        .arg("own")
        .arg(std::process::id().to_string())
        .arg(program)
        .args(arguments);
    Ok(command)
}

fn wait(child: &mut Child, limit: Option<Duration>, asked_to_end: &AtomicBool) -> Result<Ending> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let step = Instant::now() + Duration::from_millis(100);
        if let Some(status) = process::wait_until(child, step)? {
            return Ok(Ending::Ended(status));
        }
        if asked_to_end.load(Ordering::Relaxed) {
            process::end(child)?;
            return Ok(Ending::Interrupted);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            process::end(child)?;
            return Ok(Ending::TimedOut);
        }
    }
}

/// Copies bytes as they come: a prompt without a line end must show at once.
fn pass_through(mut output: impl Read, watcher: &mut Watcher) -> Result<()> {
    let mut buffer = [0; 4096];
    let mut stdout = std::io::stdout();
    let mut can_show = true;
    loop {
        let count = match output.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read the emulator's output"),
        };
        let bytes = &buffer[..count];
        watcher.push(bytes);
        // A reader that has had enough (`| head`) does not end the machine: keep the pipe empty.
        can_show = can_show
            && stdout
                .write_all(bytes)
                .and_then(|()| stdout.flush())
                .is_ok();
    }
}

/// The terminal's settings before the emulator changed them: it can't restore them when killed.
struct SavedTerminal(Option<nix::sys::termios::Termios>);

impl SavedTerminal {
    fn save() -> Self {
        let stdin = std::io::stdin();
        let settings = stdin
            .is_terminal()
            .then(|| nix::sys::termios::tcgetattr(&stdin).ok());
        SavedTerminal(settings.flatten())
    }

    fn restore(self) {
        if let Some(settings) = self.0 {
            let when = nix::sys::termios::SetArg::TCSADRAIN;
            // If the terminal is gone there is nothing to restore.
            let _ = nix::sys::termios::tcsetattr(std::io::stdin(), when, &settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(boot: Boot) -> Machine {
        Machine {
            boot,
            cpu: "max".to_owned(),
            cpus: 4,
            memory_mib: 1024,
            debugger: Debugger::Off,
            clock: Clock::Host,
            extra: vec!["-d".into(), "int".into()],
        }
    }

    fn hypervisor() -> Boot {
        Boot::Hypervisor {
            image: "/i".into(),
            archive: "/a".into(),
        }
    }

    fn line(machine: &Machine) -> String {
        let arguments = arguments(machine);
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_hypervisor_gets_a_machine_with_el2_and_the_archive() {
        let line = line(&machine(hypervisor()));
        assert!(line.contains("-machine virt,virtualization=on,gic-version=3 "));
        assert!(line.contains("-kernel /i -initrd /a"), "{line}");
        assert!(line.ends_with("-d int"), "the user's arguments come last");
        assert!(!line.contains("-icount") && !line.contains("-S"));
    }

    #[test]
    fn a_native_kernel_gets_a_machine_without_el2() {
        let line = line(&machine(Boot::Native {
            kernel: "/k".into(),
            initrd: None,
            cmdline: "console=ttyAMA0".to_owned(),
        }));
        assert!(line.contains("virtualization=off"));
        assert!(line.contains("-kernel /k -append console=ttyAMA0"));
        assert!(!line.contains("-initrd"));
    }

    #[test]
    fn loaded_files_are_put_where_they_belong() {
        let line = line(&machine(Boot::Loaded {
            files: vec![("/k".into(), 0x4010_0000)],
            entry: 0x4000_0000,
        }));
        assert!(line.contains("virtualization=off"));
        assert!(line.contains("-device loader,force-raw=on,file=/k,addr=0x40100000 "));
        assert!(line.contains("-device loader,cpu-num=0,addr=0x40000000"));
        assert!(!line.contains("-kernel"));
    }

    #[test]
    fn the_ruler_and_the_debugger_add_their_options() {
        let mut machine = machine(hypervisor());
        machine.clock = Clock::Instructions;
        machine.debugger = Debugger::WaitFor;
        let line = line(&machine);
        assert!(line.contains("dtb-randomness=off"));
        assert!(line.contains("-icount shift=0,sleep=off -seed 1"));
        assert!(line.contains("-S -s"));
    }
}
