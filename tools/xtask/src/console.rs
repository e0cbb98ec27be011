//! Watches the machine's console for the hypervisor's last words.

/// The longest line that is looked at; the hypervisor's own are far shorter.
const MAX_LINE: usize = 512;

/// What the hypervisor reports just before it turns the machine off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct MachineOff {
    /// VMs that ended in order.
    pub(crate) ended: u32,
    /// VMs that crashed.
    pub(crate) crashed: u32,
}

/// Reads console bytes and remembers the last line that says something.
///
/// Only the last line counts: a guest can print anything, but not after the hypervisor.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    line: Vec<u8>,
    last: Vec<u8>,
}

impl Watcher {
    /// Takes the next bytes of the console.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                b'\r' => {}
                _ if self.line.len() <= MAX_LINE => self.line.push(byte),
                // A line this long is not the hypervisor's; what follows does not matter.
                _ => {}
            }
        }
    }

    /// Returns what the hypervisor said with the console's last line, if it did.
    pub(crate) fn machine_off(mut self) -> Option<MachineOff> {
        self.end_line();
        parse(std::str::from_utf8(&self.last).ok()?)
    }

    fn end_line(&mut self) {
        if !self.line.iter().all(u8::is_ascii_whitespace) {
            self.last = std::mem::take(&mut self.line);
        }
        self.line.clear();
    }
}

/// Parses `bulkhead: machine off: N VM(s) ended in order, M crashed`.
fn parse(line: &str) -> Option<MachineOff> {
    let rest = line.strip_prefix("bulkhead: machine off: ")?;
    let (ended, rest) = rest.split_once(" VM(s) ended in order, ")?;
    let crashed = rest.trim_end().strip_suffix(" crashed")?;
    Some(MachineOff {
        ended: ended.parse().ok()?,
        crashed: crashed.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = b"bulkhead: machine off: 2 VM(s) ended in order, 1 crashed\r\n";

    fn watch(chunks: &[&[u8]]) -> Option<MachineOff> {
        let mut watcher = Watcher::default();
        for chunk in chunks {
            watcher.push(chunk);
        }
        watcher.machine_off()
    }

    const OFF: Option<MachineOff> = Some(MachineOff {
        ended: 2,
        crashed: 1,
    });

    #[test]
    fn the_last_line_is_found_however_it_is_cut() {
        assert_eq!(watch(&[b"hello\n", LINE]), OFF);
        assert_eq!(watch(&[b"x\n", &LINE[..30], &LINE[30..]]), OFF);
        assert_eq!(watch(&[LINE, b"\r\n \n"]), OFF);
        assert_eq!(watch(&[&LINE[..LINE.len() - 2]]), OFF);
    }

    #[test]
    fn a_guest_can_not_speak_for_the_hypervisor() {
        assert_eq!(watch(&[LINE, b"something after it\n"]), None);
        assert_eq!(watch(&[b"guest: ", LINE]), None);
    }

    #[test]
    fn other_words_and_endless_lines_are_no_report() {
        assert_eq!(watch(&[b"bulkhead: machine off: many VM(s)\n"]), None);
        assert_eq!(watch(&[&[b'x'; 10 * MAX_LINE]]), None);
        assert_eq!(watch(&[]), None);
    }
}
