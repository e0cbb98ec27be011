//! Serves the test's sockets, one command after the other, until the test hangs up.

use crate::machine::Machine;
use crate::options::Options;
use crate::qmp::{self, Next};
use crate::qtest;
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Connects to the test and serves it to the end.
///
/// # Errors
/// If a socket cannot be reached, or fails.
pub fn run(options: &Options) -> Result<()> {
    let path = options.qtest.as_ref().context("-qtest is missing")?;
    // libqtest accepts this one first.
    let mut links = vec![Link::connect(path, Speech::Qtest)?];
    for path in &options.monitors {
        let mut link = Link::connect(path, Speech::Qmp)?;
        link.send(&line(&qmp::greeting()))?;
        links.push(link);
    }
    let mut machine = Machine::new(options)?;
    loop {
        let mut waiting: Vec<PollFd> = links
            .iter()
            .map(|link| PollFd::new(link.stream.as_fd(), PollFlags::POLLIN))
            .collect();
        match nix::poll::poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for the test"),
        }
        let ready: Vec<bool> = waiting
            .iter()
            .map(|entry| entry.any().unwrap_or(false))
            .collect();
        for (link, ready) in links.iter_mut().zip(ready) {
            if ready && link.serve(&mut machine)? == Next::Quit {
                return Ok(());
            }
        }
    }
}

/// Which protocol a socket speaks.
#[derive(Clone, Copy, Debug)]
enum Speech {
    Qtest,
    Qmp,
}

/// A socket of the test.
struct Link {
    stream: UnixStream,
    speech: Speech,
    /// What has come and was not yet understood.
    received: Vec<u8>,
}

impl Link {
    fn connect(path: &std::path::Path, speech: Speech) -> Result<Self> {
        let stream = UnixStream::connect(path)
            .with_context(|| format!("cannot connect to {}", path.display()))?;
        Ok(Self {
            stream,
            speech,
            received: Vec::new(),
        })
    }

    /// Takes what has come; the end of the connection is the end of the program.
    fn serve(&mut self, machine: &mut Machine) -> Result<Next> {
        let mut buffer = [0; 1 << 16];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Ok(Next::Quit),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Next::Quit),
            Err(error) => return Err(error).context("cannot read a command"),
        }
        match self.speech {
            Speech::Qtest => self.serve_qtest(machine),
            Speech::Qmp => self.serve_qmp(machine),
        }
    }

    fn serve_qtest(&mut self, machine: &mut Machine) -> Result<Next> {
        let Some(end) = self.received.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Next::Continue);
        };
        let rest = self.received.split_off(end + 1);
        let lines = std::mem::replace(&mut self.received, rest);
        let answers: String = String::from_utf8_lossy(&lines)
            .lines()
            .map(|command| qtest::serve(machine, command))
            .collect();
        self.send(&answers)?;
        Ok(Next::Continue)
    }

    fn serve_qmp(&mut self, machine: &mut Machine) -> Result<Next> {
        let mut values = serde_json::Deserializer::from_slice(&self.received).into_iter::<Value>();
        let mut commands = Vec::new();
        for value in values.by_ref() {
            match value {
                Ok(command) => commands.push(command),
                Err(error) if error.is_eof() => break,
                Err(error) => return Err(error).context("what came is not QMP"),
            }
        }
        let used = values.byte_offset();
        self.received.drain(..used);
        let mut outcome = Next::Continue;
        for command in commands {
            let (answers, next) = qmp::serve(machine, &command);
            self.send(&answers.iter().map(line).collect::<String>())?;
            if next == Next::Quit {
                outcome = next;
            }
        }
        Ok(outcome)
    }

    fn send(&mut self, text: &str) -> Result<()> {
        match self.stream.write_all(text.as_bytes()) {
            // The test has gone; the next read says so.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => result.context("cannot answer"),
        }
    }
}

fn line(value: &Value) -> String {
    format!("{value}\r\n")
}
