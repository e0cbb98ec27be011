//! A driver's end of a queue, in both forms. It keeps nothing: what it needs stands in the machine's
//! memory, so that each side goes on where it is.

use super::Emulator;
use anyhow::Result;
use guest_image::map;

/// Where the driver keeps its queue: behind what QEMU itself puts at the start of the memory.
pub(super) const MEMORY: u64 = map::RAM_BASE.get() + (4 << 20);
/// The descriptors of the queue.
pub(super) const DESCRIPTORS: u64 = MEMORY;
/// What the driver writes to: the available ring, or how it wants to be notified.
pub(super) const AVAILABLE: u64 = MEMORY + 0x1000;
/// What the device writes to.
pub(super) const USED: u64 = MEMORY + 0x2000;
/// The same in the legacy interface, where one follows the other (2.7.2).
const LEGACY_AVAILABLE: u64 = DESCRIPTORS + QUEUE_SIZE * 16;
const LEGACY_USED: u64 = MEMORY + LEGACY_ALIGN;
/// The legacy interface's page and alignment.
pub(super) const LEGACY_ALIGN: u64 = 4096;
/// How many descriptors the queue has.
pub(super) const QUEUE_SIZE: u64 = 8;

const TABLE: u64 = MEMORY + 0x3000;
/// How many descriptors of a packed ring were used.
const COUNT: u64 = MEMORY + 0x3800;

/// Flags of a descriptor.
const NEXT: u64 = 1;
pub(super) const WRITE: u64 = 2;
const INDIRECT: u64 = 4;
/// Flags of a descriptor in a packed ring.
const AVAIL: u64 = 1 << 7;
const USED_FLAG: u64 = 1 << 15;
/// What the driver calls its buffer in a packed ring.
const IDENTIFIER: u64 = 5;

/// How a queue is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// Descriptors, available and used ring (virtio 1.3, 2.7).
    Split,
    /// The same, where the legacy interface has them.
    Legacy,
    /// One ring of descriptors (2.8).
    Packed,
}

/// How a chain of descriptors reaches the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// They are in the queue.
    Direct,
    /// They are in a table that one of the queue's points to.
    Indirect,
}

/// A piece of memory of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) address: u64,
    pub(super) length: u64,
    /// [`WRITE`], or 0.
    pub(super) flags: u64,
}

/// How to put a chain into a queue, and how to see that it is done.
pub(super) struct Post {
    /// In their order.
    pub(super) commands: Vec<String>,
    /// The command that reads whether it is done; the bits of it that say so, and how they are then.
    pub(super) poll: String,
    pub(super) mask: u64,
    pub(super) done: u64,
    /// The command that reads what the device says of it, and the bits of it that are compared.
    pub(super) element: String,
    pub(super) compared: u64,
}

impl Ring {
    /// Plans a chain; `event` says when the driver wants an interrupt: see `split` and
    /// `packed`.
    pub(super) fn post(
        self,
        side: &mut Emulator,
        segments: &[Segment],
        form: Form,
        event: u64,
    ) -> Result<Post> {
        match self {
            Self::Split => split(side, (AVAILABLE, USED), segments, form, event),
            Self::Legacy => {
                let rings = (LEGACY_AVAILABLE, LEGACY_USED);
                split(side, rings, segments, form, event)
            }
            Self::Packed => packed(side, segments, form, event),
        }
    }
}

/// The event is used_event: so many completions after the next.
fn split(
    side: &mut Emulator,
    (available_ring, used_ring): (u64, u64),
    segments: &[Segment],
    form: Form,
    event: u64,
) -> Result<Post> {
    let available = number(side, &format!("readw {:#x}", available_ring + 2))?;
    let used = number(side, &format!("readw {:#x}", used_ring + 2))?;
    let table = match form {
        Form::Direct => DESCRIPTORS,
        Form::Indirect => TABLE,
    };
    let mut commands = Vec::new();
    for (index, segment) in (0u64..).zip(segments) {
        let last = index + 1 == segments.len() as u64;
        let flags = if last { 0 } else { NEXT };
        let place = table + index * 16;
        commands.extend(descriptor(Ring::Split, place, *segment, flags, index + 1));
    }
    if form == Form::Indirect {
        let table = table_of(segments);
        commands.extend(descriptor(Ring::Split, DESCRIPTORS, table, 0, 0));
    }
    let slot = available_ring + 4 + available % QUEUE_SIZE * 2;
    let wanted = (used + event) & 0xffff;
    commands.extend([
        format!("writew {slot:#x} 0"),
        format!(
            "writew {:#x} {wanted:#x}",
            available_ring + 4 + 2 * QUEUE_SIZE
        ),
        format!(
            "writew {:#x} {:#x}",
            available_ring + 2,
            (available + 1) & 0xffff
        ),
    ]);
    Ok(Post {
        commands,
        poll: format!("readw {:#x}", used_ring + 2),
        mask: 0xffff,
        done: (used + 1) & 0xffff,
        element: format!("readq {:#x}", used_ring + 4 + used % QUEUE_SIZE * 8),
        compared: u64::MAX,
    })
}

/// The event is the flags of the driver's event suppression (2.8.10): enabled, disabled, at the
/// descriptor that is used next, or (3) at the one behind this chain.
fn packed(side: &mut Emulator, segments: &[Segment], form: Form, event: u64) -> Result<Post> {
    let count = number(side, &format!("readl {COUNT:#x}"))?;
    let place = |count: u64| DESCRIPTORS + count % QUEUE_SIZE * 16;
    // Both flags change their meaning each time around.
    let available = |count: u64| match count / QUEUE_SIZE % 2 {
        0 => AVAIL,
        _ => USED_FLAG,
    };
    let used = |count: u64| match count / QUEUE_SIZE % 2 {
        0 => AVAIL | USED_FLAG,
        _ => 0,
    };
    let mut commands = Vec::new();
    let table = [table_of(segments)];
    let direct = match form {
        Form::Direct => segments,
        Form::Indirect => {
            for (index, segment) in (0u64..).zip(segments) {
                let place = TABLE + index * 16;
                commands.extend(descriptor(Ring::Packed, place, *segment, 0, 0));
            }
            &table
        }
    };
    let mut entries = Vec::new();
    for (index, segment) in (0u64..).zip(direct) {
        let last = index + 1 == direct.len() as u64;
        let flags = available(count + index) | if last { 0 } else { NEXT };
        let place = place(count + index);
        entries.push(descriptor(Ring::Packed, place, *segment, flags, IDENTIFIER));
    }
    // The first one makes the chain visible.
    commands.extend(entries.into_iter().rev().flatten());
    let next = count + direct.len() as u64;
    let (flags, told_of) = match event {
        // At the end of the ring QEMU interrupts whatever the driver wants.
        3 if count / QUEUE_SIZE != next / QUEUE_SIZE => (0, count),
        3 => (2, next),
        _ => (event, count),
    };
    let wrap = u64::from(used(told_of) != 0) << 15;
    let suppression = (told_of % QUEUE_SIZE) | wrap | flags << 16;
    commands.insert(0, format!("writel {AVAILABLE:#x} {suppression:#x}"));
    commands.insert(0, format!("writel {COUNT:#x} {next:#x}"));
    Ok(Post {
        commands,
        poll: format!("readw {:#x}", place(count) + 14),
        mask: AVAIL | USED_FLAG,
        done: used(count),
        element: format!("readq {:#x}", place(count) + 8),
        compared: !(WRITE << 48),
    })
}

/// Returns the segment that stands for a table of segments.
fn table_of(segments: &[Segment]) -> Segment {
    Segment {
        address: TABLE,
        length: segments.len() as u64 * 16,
        flags: INDIRECT,
    }
}

/// Returns the commands that write a descriptor. `other` is the field of 16 bits that a split ring
/// has behind the flags (the next descriptor) and a packed one before them (the buffer's identifier).
fn descriptor(ring: Ring, place: u64, segment: Segment, flags: u64, other: u64) -> [String; 2] {
    let flags = segment.flags | flags;
    let rest = match ring {
        Ring::Split | Ring::Legacy => segment.length | flags << 32 | other << 48,
        Ring::Packed => segment.length | other << 32 | flags << 48,
    };
    [
        format!("writeq {place:#x} {:#x}", segment.address),
        format!("writeq {:#x} {rest:#x}", place + 8),
    ]
}

fn number(side: &mut Emulator, command: &str) -> Result<u64> {
    Ok(side.command(command)?.value.unwrap_or(0))
}
