//! A request to a block device: everything from its header to its interrupt, as one operation.

use super::{Emulator, Response};
use anyhow::Result;
use guest_image::map;
use std::fmt;
use std::time::{Duration, Instant};

/// Where the driver keeps its queue: behind what QEMU itself puts at the start of the memory.
const MEMORY: u64 = map::RAM_BASE.get() + (4 << 20);
/// The descriptors of the queue.
pub(super) const DESCRIPTORS: u64 = MEMORY;
/// What the driver writes to.
pub(super) const AVAILABLE: u64 = MEMORY + 0x1000;
/// What the device writes to.
pub(super) const USED: u64 = MEMORY + 0x2000;
/// How many descriptors the queue has.
pub(super) const QUEUE_SIZE: u64 = 8;

const TABLE: u64 = MEMORY + 0x3000;
const HEADER: u64 = MEMORY + 0x4000;
const STATUS: u64 = MEMORY + 0x5000;
const DATA: u64 = MEMORY + 0x6000;

/// QueueNotify and InterruptStatus.
const QUEUE_NOTIFY: u64 = 0x050;
const INTERRUPT_STATUS: u64 = 0x060;

/// Flags of a descriptor.
const NEXT: u64 = 1;
const WRITE: u64 = 2;
const INDIRECT: u64 = 4;

const IN: u32 = 0;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

/// How long a device may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request of the block device (virtio 1.3, 5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// VIRTIO_BLK_T_….
    pub kind: u32,
    /// The first sector.
    pub sector: u64,
    /// How many sectors.
    pub count: u64,
    /// How many bytes of the data stand in a first segment of their own.
    pub split: u64,
    /// What the data is filled with.
    pub pattern: u8,
    /// How its descriptors reach the device.
    pub form: Form,
    /// After how many more completions the driver wants an interrupt.
    pub event: u64,
}

/// How a chain of descriptors reaches the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// They are in the queue.
    Direct,
    /// They are in a table that one of the queue's points to.
    Indirect,
}

impl Request {
    /// Does it and waits for its end; the answer has all that the driver sees of it.
    pub(super) fn perform(&self, side: &mut Emulator, base: u64) -> Result<Response> {
        let available = number(side, &format!("readw {:#x}", AVAILABLE + 2))?;
        let used = number(side, &format!("readw {:#x}", USED + 2))?;
        let next = (available + 1) & 0xffff;
        let event = AVAILABLE + 4 + 2 * QUEUE_SIZE;
        let wanted = (used + self.event) & 0xffff;
        let mut commands = self.preparation(available);
        commands.push(format!("writew {event:#x} {wanted:#x}"));
        commands.push(format!("writew {:#x} {next:#x}", AVAILABLE + 2));
        side.batch(&commands)?;
        let mut answer = side.command(&format!("writel {:#x} 0", base + QUEUE_NOTIFY))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = side.command(&format!("readw {:#x}", USED + 2))?;
            answer.edges.extend(now.edges);
            if now.value == Some((used + 1) & 0xffff) {
                break;
            }
            if Instant::now() > deadline {
                return Ok(answer);
            }
        }
        let element = USED + 4 + used % QUEUE_SIZE * 8;
        let looks = [
            format!("readq {element:#x}"),
            format!("readb {STATUS:#x}"),
            format!("readl {:#x}", base + INTERRUPT_STATUS),
            format!("read {DATA:#x} {:#x}", self.bytes().max(1)),
        ];
        for response in side.batch(&looks)? {
            answer.edges.extend(response.edges);
            answer.more.extend(response.value);
        }
        Ok(answer)
    }

    /// Returns how many bytes of data it has.
    fn bytes(&self) -> u64 {
        match self.kind {
            GET_ID => 20,
            DISCARD | WRITE_ZEROES => 16,
            _ => self.count * 512,
        }
    }

    /// Returns the commands that put everything in its place but the available index.
    fn preparation(&self, available: u64) -> Vec<String> {
        let header = u128::from(self.kind) | u128::from(self.sector) << 64;
        let mut commands = vec![
            format!("write {HEADER:#x} 16 {}", Bytes(&header.to_le_bytes())),
            format!("writeb {STATUS:#x} 0xff"),
            format!(
                "memset {DATA:#x} {:#x} {:#x}",
                self.bytes().max(1),
                self.pattern
            ),
        ];
        if matches!(self.kind, DISCARD | WRITE_ZEROES) {
            let range = u128::from(self.sector) | u128::from(self.count) << 64;
            commands.push(format!(
                "write {DATA:#x} 16 {}",
                Bytes(&range.to_le_bytes())
            ));
        }
        let segments = self.segments();
        let table = match self.form {
            Form::Direct => DESCRIPTORS,
            Form::Indirect => TABLE,
        };
        for (index, (address, length, flags)) in (0u64..).zip(&segments) {
            let last = index + 1 == segments.len() as u64;
            let flags = if last { *flags } else { flags | NEXT };
            commands.extend(descriptor(
                table + index * 16,
                *address,
                *length,
                flags,
                index + 1,
            ));
        }
        if self.form == Form::Indirect {
            let length = segments.len() as u64 * 16;
            commands.extend(descriptor(DESCRIPTORS, TABLE, length, INDIRECT, 0));
        }
        let slot = AVAILABLE + 4 + available % QUEUE_SIZE * 2;
        commands.push(format!("writew {slot:#x} 0"));
        commands
    }

    /// Returns address, length and flags of header, data and status.
    fn segments(&self) -> Vec<(u64, u64, u64)> {
        let direction = if matches!(self.kind, IN | GET_ID) {
            WRITE
        } else {
            0
        };
        let split = self.split.min(self.bytes());
        [
            (HEADER, 16, 0),
            (DATA, split, direction),
            (DATA + split, self.bytes() - split, direction),
            (STATUS, 1, WRITE),
        ]
        .into_iter()
        .filter(|(_, length, _)| *length != 0)
        .collect()
    }
}

fn descriptor(place: u64, address: u64, length: u64, flags: u64, next: u64) -> [String; 2] {
    let rest = length | flags << 32 | next << 48;
    [
        format!("writeq {place:#x} {address:#x}"),
        format!("writeq {:#x} {rest:#x}", place + 8),
    ]
}

fn number(side: &mut Emulator, command: &str) -> Result<u64> {
    Ok(side.command(command)?.value.unwrap_or(0))
}

/// Bytes as the protocol writes them.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "request {} at sector {:#x}, {} sectors of {:#x}, {:?}, {} bytes apart, event +{}",
            self.kind, self.sector, self.count, self.pattern, self.form, self.split, self.event
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_header_its_data_and_a_status() {
        let mut request = Request {
            kind: IN,
            sector: 3,
            count: 2,
            split: 100,
            pattern: 0,
            form: Form::Direct,
            event: 0,
        };
        let lengths = |request: &Request| -> Vec<u64> {
            let segments = request.segments();
            segments.iter().map(|(_, length, _)| *length).collect()
        };
        assert_eq!(lengths(&request), [16, 100, 924, 1]);
        request.count = 0;
        assert_eq!(lengths(&request), [16, 1]);
        request.kind = GET_ID;
        assert_eq!(lengths(&request), [16, 20, 1]);
    }
}
