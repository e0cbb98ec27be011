//! The command line: the part of QEMU's that its device tests use, and a few words of our own.

use crate::plant::{self, Plant};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use virtio::Version;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The socket that the test listens on for the qtest protocol.
    pub qtest: Option<PathBuf>,
    /// The sockets that the test listens on for QMP.
    pub monitors: Vec<PathBuf>,
    /// Which machine.
    pub machine: MachineKind,
    /// The number of CPUs.
    pub cpus: u16,
    /// The size of the memory in bytes.
    pub memory: usize,
    /// Seconds since 1970 when the clock is at 0.
    pub epoch: u64,
    /// Disks: their names, and what stands behind them.
    pub drives: Vec<(String, String)>,
    /// The devices to put into virtio's slots, the last slot first.
    pub devices: Vec<DeviceRequest>,
    /// Which interface virtio's drivers find.
    pub virtio: Version,
    /// A bug to plant (`--plant`, not one of QEMU's words).
    pub plant: Option<Plant>,
}

/// Whose address map the devices stand on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineKind {
    /// QEMU's `virt` for Arm.
    #[default]
    Virt,
    /// A PC, of which only the event timers are there.
    Pc,
}

/// A `-device`: `KIND,KEY=VALUE,…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Which device, in QEMU's words.
    pub kind: String,
    /// The whole argument.
    pub argument: String,
}

impl DeviceRequest {
    /// Returns the value of a property.
    ///
    /// # Errors
    /// If it is not given.
    pub fn property(&self, key: &str) -> Result<String> {
        keyed(&self.argument, key)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            qtest: None,
            monitors: Vec::new(),
            machine: MachineKind::Virt,
            cpus: 1,
            memory: 128 << 20,
            epoch: 1_700_000_000,
            drives: Vec::new(),
            devices: Vec::new(),
            virtio: Version::Legacy,
            plant: None,
        }
    }
}

/// Options with an argument that mean nothing to the board.
const IGNORED: [&str; 11] = [
    "accel",
    "audio",
    "bios",
    "cpu",
    "d",
    "display",
    "nic",
    "qtest-log",
    "serial",
    "trace",
    "vga",
];

/// Options without an argument that mean nothing to the board: it never runs a CPU.
const IGNORED_FLAGS: [&str; 4] = ["S", "nodefaults", "no-user-config", "nographic"];

impl Options {
    /// Reads a command line.
    ///
    /// # Errors
    /// If an option is unknown, lacks its argument, or names what the board does not have.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut options = Self {
            epoch: seconds.map_or(0, |time| time.as_secs()),
            ..Self::default()
        };
        let mut sockets = Vec::new();
        let mut wanted = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(word) = arguments.next() {
            let name = word.trim_start_matches('-');
            ensure!(name.len() < word.len(), "{word} is not an option");
            if IGNORED_FLAGS.contains(&name) {
                continue;
            }
            let argument = arguments
                .next()
                .with_context(|| format!("{word} needs an argument"))?;
            match name {
                "qtest" => options.qtest = Some(socket_path(&argument)?),
                "chardev" => sockets.push(chardev(&argument)?),
                "mon" => wanted.push(keyed(&argument, "chardev")?),
                "machine" | "M" => options.machine = machine(&argument)?,
                "m" => options.memory = memory(&argument)?,
                "smp" => options.cpus = first(&argument).parse().context("-smp")?,
                "rtc" => options.rtc(&argument)?,
                "drive" => {
                    let (id, file) = (keyed(&argument, "id")?, keyed(&argument, "file")?);
                    options.drives.push((id, file));
                }
                "device" => options.devices.push(DeviceRequest {
                    kind: first(&argument).to_owned(),
                    argument,
                }),
                "global" => options.global(&argument)?,
                "plant" => {
                    let plant = plant::find(&argument);
                    options.plant = Some(
                        plant.with_context(|| format!("there is no bug {argument} to plant"))?,
                    );
                }
                _ if IGNORED.contains(&name) => {}
                _ => bail!("{word} is unknown to the board"),
            }
        }
        for id in wanted {
            let found = sockets.iter().find(|(name, _)| *name == id);
            let (_, path) = found.with_context(|| format!("there is no chardev {id}"))?;
            options.monitors.push(path.clone());
        }
        Ok(options)
    }

    /// QEMU's machine has legacy transports unless it is told otherwise.
    fn global(&mut self, argument: &str) -> Result<()> {
        self.virtio = match argument {
            "virtio-mmio.force-legacy=false" => Version::Modern,
            "virtio-mmio.force-legacy=true" => Version::Legacy,
            _ => bail!("-global {argument} is unknown to the board"),
        };
        Ok(())
    }

    /// `base=SECONDS` sets the clock; QEMU's dates are not read.
    fn rtc(&mut self, argument: &str) -> Result<()> {
        if let Ok(base) = keyed(argument, "base") {
            self.epoch = base
                .parse()
                .with_context(|| format!("-rtc base={base}: not a number of seconds"))?;
        }
        Ok(())
    }
}

/// Finds the value of a key in `a,key=value,b=c`.
pub(crate) fn keyed(list: &str, key: &str) -> Result<String> {
    list.split(',')
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
        .with_context(|| format!("{list}: {key}= is missing"))
}

/// Returns what stands before the first comma.
pub(crate) fn first(list: &str) -> &str {
    list.split(',').next().unwrap_or(list)
}

fn socket_path(argument: &str) -> Result<PathBuf> {
    let path = argument.strip_prefix("unix:");
    let path = path.with_context(|| format!("{argument}: only unix sockets are known"))?;
    Ok(first(path).into())
}

fn chardev(argument: &str) -> Result<(String, PathBuf)> {
    ensure!(
        first(argument) == "socket",
        "-chardev {argument}: only sockets are known"
    );
    Ok((keyed(argument, "id")?, keyed(argument, "path")?.into()))
}

fn machine(argument: &str) -> Result<MachineKind> {
    let name = keyed(argument, "type").unwrap_or_else(|_| first(argument).to_owned());
    match name.as_str() {
        // libqtest asks a machine `none` what there is.
        "virt" | "none" => Ok(MachineKind::Virt),
        "q35" => Ok(MachineKind::Pc),
        _ => bail!("the board is a machine virt or q35, not {name}"),
    }
}

fn memory(argument: &str) -> Result<usize> {
    let text = keyed(argument, "size").unwrap_or_else(|_| first(argument).to_owned());
    let (number, unit) = match text.chars().last() {
        Some('G' | 'g') => (&text[..text.len() - 1], 30),
        Some('M' | 'm') => (&text[..text.len() - 1], 20),
        Some('K' | 'k') => (&text[..text.len() - 1], 10),
        _ => (&text[..], 20),
    };
    let number: usize = number.parse().with_context(|| format!("-m {argument}"))?;
    number
        .checked_mul(1 << unit)
        .filter(|size| *size <= 4 << 30)
        .with_context(|| format!("-m {argument}: more than 4 GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn libqtest_s_command_line_is_understood() {
        let options = parse(
            "-qtest unix:/t/a -qtest-log /dev/null -chardev socket,path=/t/b,id=char0 \
             -mon chardev=char0,mode=control -display none -audio none -machine none -accel qtest",
        )
        .unwrap();
        assert_eq!(options.qtest, Some("/t/a".into()));
        assert_eq!(options.monitors, [PathBuf::from("/t/b")]);
        let options = parse("-M virt,gic-version=3 -m 1G -smp 2 -rtc base=5,clock=vm -S").unwrap();
        assert_eq!(options.virtio, Version::Legacy);
        assert_eq!(
            (options.memory, options.cpus, options.epoch),
            (1 << 30, 2, 5)
        );
    }

    #[test]
    fn devices_and_disks_are_named() {
        let options = parse(
            "-drive if=none,id=d0,file=/t/x,format=raw -device virtio-blk-device,drive=d0 \
             -global virtio-mmio.force-legacy=false",
        )
        .unwrap();
        assert_eq!(options.drives, [("d0".to_owned(), "/t/x".to_owned())]);
        assert_eq!(options.devices[0].kind, "virtio-blk-device");
        assert_eq!(options.devices[0].property("drive").unwrap(), "d0");
        assert_eq!(options.virtio, Version::Modern);
    }

    #[test]
    fn what_the_board_does_not_have_is_refused() {
        for line in [
            "-machine sifive_u",
            "-mon chardev=x",
            "-global cpu.x=y",
            "-m 1T",
            "-m 5G",
            "--plant nothing",
            "-qtest tcp:1",
            "-qtest",
            "disk",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
