//! The console of a running machine.

use crate::{ANSWER, programs};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What never belongs on a console, unless a test says so.
const ALARMS: &[&str] = &[
    "rcu: INFO:",
    "soft lockup",
    "hard LOCKUP",
    "Internal error",
    "Unable to handle kernel",
    "Kernel panic",
    "BUG:",
    "blocked for more than",
    "bulkhead: machine off: the hypervisor failed",
    "test-guest: FAILED",
];

/// How much of the log a failure shows, in bytes.
const TAIL: usize = 6000;

/// How long the emulator may take to end once it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// A piece of output.
enum Piece {
    Console(Vec<u8>),
    Errors(Vec<u8>),
}

/// How a run ended.
#[derive(Debug)]
pub struct Ending {
    /// What xtask returned: a success if every VM ended in order.
    pub status: ExitStatus,
    /// What xtask said beside the console.
    pub errors: String,
}

/// The console of a running machine, which ends with this value.
pub struct Console {
    test: String,
    child: Child,
    input: ChildStdin,
    pieces: Receiver<Piece>,
    /// Everything that came.
    output: Vec<u8>,
    /// What xtask said beside it.
    errors: Vec<u8>,
    /// What of the output has been waited for.
    consumed: usize,
    /// What of the output has been searched for alarms.
    searched: usize,
    alarms: Vec<&'static str>,
    prefix: Option<String>,
    commands: u32,
    deadline: Instant,
}

impl Console {
    pub(crate) fn start(test: &str, mut command: Command, limit: Duration) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (sender, pieces) = channel();
        let output = child.stdout.take().expect("stdout is a pipe");
        let errors = child.stderr.take().expect("stderr is a pipe");
        let input = child.stdin.take().expect("stdin is a pipe");
        pump(output, sender.clone(), Piece::Console);
        pump(errors, sender, Piece::Errors);
        Self {
            test: test.to_owned(),
            child,
            input,
            pieces,
            output: Vec::new(),
            errors: Vec::new(),
            consumed: 0,
            searched: 0,
            alarms: ALARMS.to_vec(),
            prefix: None,
            commands: 0,
            // The images may have to be built first.
            deadline: Instant::now() + limit + Duration::from_secs(120),
        }
    }

    /// Lets `alarm`, one of the texts that fail a test, pass: the test provokes it.
    pub fn allow(&mut self, alarm: &str) {
        assert!(self.alarms.contains(&alarm), "{alarm:?} is no alarm");
        self.alarms.retain(|other| *other != alarm);
    }

    /// Says that the VM that is typed to has its lines marked, as with several VMs.
    pub fn marked_as(&mut self, vm: &str) {
        self.prefix = Some(format!("[{vm}] "));
    }

    /// Waits until `text` appears, and returns what came before it since the last wait.
    ///
    /// Panics with the end of the log if it doesn't within `limit`, if the run ends, or if something
    /// alarming comes.
    pub fn expect(&mut self, text: &str, limit: Duration) -> String {
        let end = self.deadline.min(Instant::now() + limit);
        let mut from = self.consumed;
        loop {
            if let Some(place) = find(&self.output[from..], text.as_bytes()) {
                let before = &self.output[self.consumed..from + place];
                let before = String::from_utf8_lossy(before).into_owned();
                self.consumed = from + place + text.len();
                return before;
            }
            // Each byte is looked at once, or a chatty VM outruns the search; a text that is cut in
            // two is found with the next piece.
            let overlap = text.len().saturating_sub(1);
            from = self.output.len().saturating_sub(overlap).max(from);
            match self.receive(end) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("waited for {text:?}")),
                Err(RecvTimeoutError::Disconnected) => {
                    self.fail(&format!("the run ended before {text:?}"))
                }
            }
        }
    }

    /// Watches the console for `time`; panics if something alarming comes.
    pub fn watch(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            match self.receive(end) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.fail("the run ended while watched"),
            }
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        let typed = self
            .input
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.input.flush());
        if let Err(error) = typed {
            self.fail(&format!("cannot type {line:?}: {error}"));
        }
    }

    /// Waits until Linux' shell takes commands.
    pub fn expect_shell(&mut self, cpus: u16, limit: Duration) {
        self.expect(&format!("with {cpus} CPUs is up"), limit);
        self.expect("guest# ", ANSWER);
    }

    /// Has Linux' shell run a command, and returns what that printed. Panics if it fails.
    pub fn command(&mut self, line: &str) -> String {
        self.command_within(line, ANSWER)
    }

    /// As [`Console::command`], for one that takes its time.
    pub fn command_within(&mut self, line: &str, limit: Duration) -> String {
        // What is typed is echoed. The marks are calculated, so that only the output has them.
        self.commands += 1;
        let number = self.commands;
        let mark = 1_000_000 + number;
        self.type_line(&format!(
            "echo \"<$((1000000+{number}))\"; {line}; echo \"$((1000000+{number})):$?>\""
        ));
        self.expect(&format!("<{mark}"), limit);
        let output = self.expect(&format!("{mark}:"), limit);
        let status = self.expect(">", ANSWER);
        if status != "0" {
            self.fail(&format!("`{line}` ended with {status}"));
        }
        let mut lines = Vec::new();
        for text in output.lines() {
            let text = text.trim_end_matches('\r');
            match &self.prefix {
                None => lines.push(text),
                // Other VMs' lines come in between.
                Some(prefix) => lines.extend(text.strip_prefix(prefix.as_str())),
            }
        }
        lines.join("\n").trim().to_owned()
    }

    /// Waits until the machine has turned itself off.
    pub fn expect_end(&mut self, limit: Duration) -> Ending {
        let end = self.deadline.min(Instant::now() + limit);
        loop {
            match self.receive(end) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => self.fail("waited for the end of the run"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().expect("the child was started by us");
        Ending {
            status,
            errors: String::from_utf8_lossy(&self.errors).into_owned(),
        }
    }

    /// Waits for the end, which must be an orderly one of all VMs.
    pub fn expect_orderly_end(&mut self) {
        let ending = self.expect_end(crate::OFF);
        if !ending.status.success() {
            self.fail(&format!("the run ended with {}", ending.status));
        }
    }

    /// Returns everything that has come so far.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Fails the test, with the end of the log.
    #[track_caller]
    pub fn fail(&self, reason: &str) -> ! {
        let start = self.output.len().saturating_sub(TAIL);
        panic!(
            "{}: {reason}\n--- end of the console ---\n{}\n--- xtask ---\n{}",
            self.test,
            String::from_utf8_lossy(&self.output[start..]),
            String::from_utf8_lossy(&self.errors)
        );
    }

    fn receive(&mut self, end: Instant) -> Result<(), RecvTimeoutError> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // A console that never falls silent must not keep a wait from ending.
            return Err(RecvTimeoutError::Timeout);
        }
        match self.pieces.recv_timeout(left)? {
            Piece::Console(bytes) => self.output.extend(bytes),
            Piece::Errors(bytes) => self.errors.extend(bytes),
        }
        self.search_alarms();
        Ok(())
    }

    fn search_alarms(&mut self) {
        let new = &self.output[self.searched..];
        for alarm in &self.alarms {
            if find(new, alarm.as_bytes()).is_some() {
                self.fail(&format!("{alarm:?} on the console"));
            }
        }
        // One that is cut in two is found with the next piece.
        let longest = ALARMS.iter().map(|alarm| alarm.len()).max().unwrap_or(0);
        self.searched = self.output.len().saturating_sub(longest).max(self.searched);
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            end(&mut self.child);
        }
        if std::thread::panicking() {
            while let Ok(piece) = self.pieces.try_recv() {
                match piece {
                    Piece::Console(bytes) => self.output.extend(bytes),
                    Piece::Errors(bytes) => self.errors.extend(bytes),
                }
            }
            let path = programs::log_folder().join(format!("{}.log", self.test));
            let mut log = self.output.clone();
            log.extend(b"\n--- xtask ---\n");
            log.extend(&self.errors);
            match std::fs::write(&path, log) {
                Ok(()) => eprintln!("the whole log: {}", path.display()),
                Err(error) => eprintln!("cannot write {}: {error}", path.display()),
            }
        }
    }
}

/// Asks xtask to end, which ends the emulator; kills it if it doesn't.
fn end(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        // If it is gone by now, so much the better.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
    let end = Instant::now() + GRACE;
    while Instant::now() < end {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Passes on what comes, until the end.
fn pump(
    mut source: impl Read + Send + 'static,
    sender: Sender<Piece>,
    wrap: impl Fn(Vec<u8>) -> Piece + Send + 'static,
) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match source.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    if sender.send(wrap(buffer[..count].to_vec())).is_err() {
                        return;
                    }
                }
            }
        }
    });
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|part| part == needle)
}
