//! Running other programs: loudly, with errors in words, and bounded in time.

use anyhow::{Context, Result, bail};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Runs a program to its end with our own terminal, saying first what is run.
///
/// Fails when it can't be started or ends with anything but 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("  $ {}", describe(command));
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", program(command)))?;
    check(command, status)
}

/// Runs a program and returns what it printed; its errors are part of ours when it fails.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            describe(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program silently for at most `limit`; returns its standard error when it fails or is late.
pub(crate) fn run_quietly(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program(command)))?;
    let stderr = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut stderr) = stderr {
            // What is not text is of no use in a message.
            let _ = stderr.read_to_string(&mut text);
        }
        text
    });
    let Some(status) = wait_until(&mut child, Instant::now() + limit)? else {
        end(&mut child)?;
        bail!(
            "`{}` took more than {} s",
            describe(command),
            limit.as_secs()
        );
    };
    let text = reader.join().unwrap_or_default();
    if !status.success() {
        bail!("`{}` failed ({status}): {}", describe(command), text.trim());
    }
    Ok(())
}

/// Waits for a child until `deadline`; `None` means that it still runs.
pub(crate) fn wait_until(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a child")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends a child that we started: asks it first, so that it can restore the terminal, then kills it.
pub(crate) fn end(child: &mut Child) -> Result<ExitStatus> {
    ask_to_end(child.id());
    match wait_until(child, Instant::now() + Duration::from_secs(3))? {
        Some(status) => Ok(status),
        None => {
            child.kill().context("cannot end a child")?;
            child.wait().context("cannot wait for a child")
        }
    }
}

/// Sends SIGTERM to a process that we started and have not yet waited for.
pub(crate) fn ask_to_end(id: u32) {
    if let Ok(id) = i32::try_from(id) {
        // It may be gone by now: then there is nothing left to do.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(id),
            nix::sys::signal::Signal::SIGTERM,
        );
    }
}

/// Returns a command as one line that can be pasted into a shell.
pub(crate) fn describe(command: &Command) -> String {
    let mut line = program(command);
    for argument in command.get_args() {
        let text = argument.to_string_lossy();
        line.push(' ');
        let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            line.push_str(&text);
        } else {
            line.push('\'');
            line.push_str(&text.replace('\'', r"'\''"));
            line.push('\'');
        }
    }
    line
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", describe(command));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_program_is_ended_and_reported() {
        let start = Instant::now();
        let error = run_quietly(Command::new("sleep").arg("60"), Duration::from_millis(100));
        assert!(error.unwrap_err().to_string().contains("took more than"));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_failing_program_reports_its_own_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such luck >&2; exit 3"]);
        let error = run_quietly(&mut command, Duration::from_secs(10)).unwrap_err();
        assert!(error.to_string().contains("no such luck"), "{error}");
    }

    #[test]
    fn a_described_command_can_be_pasted() {
        let mut command = Command::new("echo");
        command.args(["plain", "two words", "it's", ""]);
        assert_eq!(describe(&command), r"echo plain 'two words' 'it'\''s' ''");
    }
}
