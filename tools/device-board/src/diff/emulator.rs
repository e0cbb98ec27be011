//! One of the two sides: a process that speaks the qtest protocol, the board or QEMU.

use super::Subject;
use crate::options::MachineKind;
use anyhow::{Context, Result, bail, ensure};
use device_model::Level;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many commands are sent before their answers are read: few enough for the sockets' buffers.
const BATCH: usize = 256;

/// The size of a side's disk in bytes.
pub const DISK_BYTES: usize = 128 * 512;

/// When both clocks start: seconds since 1970, and in QEMU's form.
const EPOCH: (&str, &str) = ("1700000000", "2023-11-14T22:13:20");

/// Where the two sides' programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The stock QEMU.
    pub qemu: PathBuf,
    /// A stock QEMU for PCs, if there is one.
    pub qemu_pc: Option<PathBuf>,
    /// The board.
    pub board: PathBuf,
}

/// What came back from a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The edges of the watched line, in their order.
    pub edges: Vec<Level>,
    /// The value that was read.
    pub value: Option<u64>,
    /// What else a request left: used element, status, interrupt status, data.
    pub more: Vec<u64>,
}

/// A running side.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    qtest: BufReader<UnixStream>,
    monitor: BufReader<UnixStream>,
    /// Holds the sockets.
    _folder: TempDir,
}

impl Programs {
    /// Tells whether there is a QEMU for a machine.
    #[must_use]
    pub fn can_start(&self, machine: MachineKind) -> bool {
        match machine {
            MachineKind::Virt => true,
            MachineKind::Pc => self.qemu_pc.is_some(),
        }
    }

    /// Starts the board, with a bug planted if one is named.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_board(&self, subject: &Subject, plant: Option<&str>) -> Result<Emulator> {
        let mut command = Command::new(&self.board);
        let machine = match subject.machine {
            MachineKind::Virt => "virt",
            MachineKind::Pc => "q35",
        };
        command.args(["-machine", machine, "-smp", "2", "-m", "16"]);
        command.args(["-rtc", &format!("base={}", EPOCH.0)]);
        if let Some(plant) = plant {
            command.args(["--plant", plant]);
        }
        Emulator::start(command, subject.arguments)
    }

    /// Starts QEMU with its processors stopped.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_qemu(&self, subject: &Subject) -> Result<Emulator> {
        let mut command = match subject.machine {
            MachineKind::Virt => {
                let mut command = Command::new(&self.qemu);
                command.args(["-machine", "virt,gic-version=3", "-smp", "2", "-m", "128"]);
                command
            }
            MachineKind::Pc => {
                let program = self.qemu_pc.as_ref();
                let mut command = Command::new(program.context("there is no QEMU for a PC")?);
                command.args(["-machine", "q35,hpet=on"]);
                command
            }
        };
        command.args(["-accel", "tcg", "-S", "-nodefaults", "-nic", "none"]);
        command.args(["-display", "none", "-serial", "null", "-qtest-log", "none"]);
        command.args(["-rtc", &format!("base={},clock=vm", EPOCH.1)]);
        Emulator::start(command, subject.arguments)
    }
}

impl Emulator {
    fn start(mut command: Command, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().context("no place for sockets")?;
        let disk = folder.path().join("disk");
        std::fs::write(&disk, disk_content())?;
        let disk = disk.display().to_string();
        command.args(arguments.iter().map(|it| it.replace("{disk}", &disk)));
        let (qtest, monitor) = (folder.path().join("qtest"), folder.path().join("qmp"));
        let listeners = [UnixListener::bind(&qtest)?, UnixListener::bind(&monitor)?];
        command
            .args(["-qtest", &format!("unix:{}", qtest.display())])
            .args(["-chardev", &socket(&monitor)])
            .args(["-mon", "chardev=qmp,mode=control"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let [qtest, monitor] = &listeners;
        let links =
            accept(qtest, &mut child).and_then(|qtest| Ok((qtest, accept(monitor, &mut child)?)));
        let (qtest, monitor) = match links {
            Ok(links) => links,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let mut emulator = Self {
            child,
            qtest: BufReader::new(qtest),
            monitor: BufReader::new(monitor),
            _folder: folder,
        };
        emulator.monitor_line()?;
        emulator.execute("qmp_capabilities", json!({}))?;
        Ok(emulator)
    }

    /// Sends commands and returns what came back from each. `other` gets the same number of commands
    /// at the same time, so that both sides work at once.
    ///
    /// # Errors
    /// If a side ends, or refuses a command.
    pub fn exchange(
        &mut self,
        commands: &[String],
        other: &mut Self,
        others: &[String],
    ) -> Result<Vec<(Response, Response)>> {
        let mut responses = Vec::with_capacity(commands.len());
        for (ours, theirs) in commands.chunks(BATCH).zip(others.chunks(BATCH)) {
            self.send(ours)?;
            other.send(theirs)?;
            for (one, two) in ours.iter().zip(theirs) {
                responses.push((self.response(one)?, other.response(two)?));
            }
        }
        Ok(responses)
    }

    /// Sends one command of the qtest protocol.
    ///
    /// # Errors
    /// If the side has ended, or refuses it.
    pub fn command(&mut self, command: &str) -> Result<Response> {
        self.send(&[command.to_owned()])?;
        self.response(command)
    }

    /// Sends a few commands of the qtest protocol at once.
    ///
    /// # Errors
    /// If the side has ended, or refuses one.
    pub(super) fn batch(&mut self, commands: &[String]) -> Result<Vec<Response>> {
        self.send(commands)?;
        let answers = commands.iter().map(|command| self.response(command));
        answers.collect()
    }

    /// Finds the path of the last device of a type that the machine made by itself.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&mut self, kind: &str) -> Result<String> {
        let parent = "/machine/unattached";
        let list = self.execute("qom-list", json!({ "path": parent }))?;
        let wanted = format!("child<{kind}>");
        let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let name = entries
            .iter()
            .filter(|entry| entry["type"] == *wanted)
            .max_by_key(|entry| place_of(entry["name"].as_str()));
        let name = name.and_then(|entry| entry["name"].as_str());
        let name = name.with_context(|| format!("QEMU has no {kind}"))?;
        Ok(format!("{parent}/{name}"))
    }

    /// Carries out a command of QMP.
    ///
    /// # Errors
    /// If the side has ended, or refuses it.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let request = json!({"execute": command, "arguments": arguments});
        writeln!(self.monitor.get_mut(), "{request}")?;
        loop {
            let mut answer = self.monitor_line()?;
            if answer.get("return").is_some() {
                return Ok(answer["return"].take());
            }
            ensure!(answer.get("error").is_none(), "{command}: {answer}");
        }
    }

    fn monitor_line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.monitor.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the emulator has ended");
        Ok(serde_json::from_str(&line)?)
    }

    fn send(&mut self, commands: &[String]) -> Result<()> {
        let mut text = commands.join("\n");
        text.push('\n');
        self.qtest
            .get_mut()
            .write_all(text.as_bytes())
            .context("the emulator has ended")
    }

    fn response(&mut self, command: &str) -> Result<Response> {
        let mut response = Response::default();
        let mut line = String::new();
        loop {
            line.clear();
            self.qtest.read_line(&mut line)?;
            ensure!(!line.is_empty(), "the emulator has ended at `{command}`");
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["IRQ", level, number] => {
                    // QEMU tells of a PL011's five other outputs too; no board connects them.
                    if number == "0" {
                        response.edges.push(Level::from(level == "raise"));
                    }
                }
                ["OK"] => return Ok(response),
                ["OK", value] => {
                    response.value = Some(value_of(value));
                    return Ok(response);
                }
                _ => bail!("`{command}` was answered by `{}`", line.trim()),
            }
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the number in `device[12]`.
fn place_of(name: Option<&str>) -> Option<u32> {
    let digits = name?.strip_prefix("device[")?.strip_suffix(']')?;
    digits.parse().ok()
}

/// Returns a number, or stands for many bytes by a hash of them (FNV-1a).
fn value_of(word: &str) -> u64 {
    let digits = word.strip_prefix("0x");
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.unwrap_or_else(|| {
        word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    })
}

/// Returns what stands on a disk at first: each sector is filled with its number.
fn disk_content() -> Vec<u8> {
    (0..DISK_BYTES).map(|place| (place / 512) as u8).collect()
}

fn socket(path: &Path) -> String {
    format!("socket,path={},id=qmp", path.display())
}

/// Waits for the child to connect, but not if it has ended.
fn accept(listener: &UnixListener, child: &mut Child) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = child.try_wait()? {
            bail!("the emulator ended before it had connected ({status})");
        }
        ensure!(Instant::now() < deadline, "the emulator does not connect");
        std::thread::sleep(Duration::from_millis(2));
    }
}
