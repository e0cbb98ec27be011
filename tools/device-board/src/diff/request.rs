//! A request to a block device: everything from its header to its interrupt, as one operation.

use super::ring::{MEMORY, Segment, WRITE};
use super::{Emulator, Form, Response, Ring};
use anyhow::Result;
use std::fmt;
use std::time::{Duration, Instant};

const HEADER: u64 = MEMORY + 0x4000;
const STATUS: u64 = MEMORY + 0x5000;
const DATA: u64 = MEMORY + 0x6000;

/// QueueNotify and InterruptStatus.
const QUEUE_NOTIFY: u64 = 0x050;
const INTERRUPT_STATUS: u64 = 0x060;

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
    /// The queue's form.
    pub ring: Ring,
    /// How its descriptors reach the device.
    pub form: Form,
    /// When the driver wants an interrupt: see [`Ring`].
    pub event: u64,
}

impl Request {
    /// Does it and waits for its end; the answer has all that the driver sees of it.
    pub(super) fn perform(&self, side: &mut Emulator, base: u64) -> Result<Response> {
        let post = self
            .ring
            .post(side, &self.segments(), self.form, self.event)?;
        let mut commands = self.preparation();
        commands.extend(post.commands);
        side.batch(&commands)?;
        let mut answer = side.command(&format!("writel {:#x} 0", base + QUEUE_NOTIFY))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = side.command(&post.poll)?;
            answer.edges.extend(now.edges);
            if now.value.map(|value| value & post.mask) == Some(post.done) {
                break;
            }
            if Instant::now() > deadline {
                return Ok(answer);
            }
        }
        let looks = [
            post.element,
            format!("readb {STATUS:#x}"),
            format!("readl {:#x}", base + INTERRUPT_STATUS),
            format!("read {DATA:#x} {:#x}", self.bytes().max(1)),
        ];
        for response in side.batch(&looks)? {
            answer.edges.extend(response.edges);
            answer.more.extend(response.value);
        }
        if let Some(element) = answer.more.first_mut() {
            *element &= post.compared;
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

    /// Returns the commands that put header, data and status in their places.
    fn preparation(&self) -> Vec<String> {
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
        commands
    }

    /// Returns header, data and status.
    fn segments(&self) -> Vec<Segment> {
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
        .map(|(address, length, flags)| Segment {
            address,
            length,
            flags,
        })
        .collect()
    }
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
            ring: Ring::Split,
            form: Form::Direct,
            event: 0,
        };
        let lengths = |request: &Request| -> Vec<u64> {
            let segments = request.segments();
            segments.iter().map(|segment| segment.length).collect()
        };
        assert_eq!(lengths(&request), [16, 100, 924, 1]);
        request.count = 0;
        assert_eq!(lengths(&request), [16, 1]);
        request.kind = GET_ID;
        assert_eq!(lengths(&request), [16, 20, 1]);
    }
}
