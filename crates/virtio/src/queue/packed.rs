//! Packed rings (virtio 1.3, 2.8).
//!
//! Descriptors are used in the order of the ring. A descriptor is available if its AVAIL mark equals
//! the driver's wrap counter and its USED mark does not; the device gives it back with both equal to
//! its own. The two event suppression areas hold an offset with wrap counter, then flags.

use super::chain::{Access, Chain};
use super::descriptor::{DESCRIPTOR_BYTES, Descriptor, DescriptorFlags};
use super::{
    Agreed, Areas, Next, Notification, QueueError, RingFeatures, Setup, SetupError, area, at,
    indirect_length, needs_event,
};
use crate::turn::Work;
use addr::Ipa;
use core::sync::atomic::{Ordering, fence};

/// Offset of the length in a descriptor; identifier and flags lie behind it.
const LENGTH: u64 = 8;
/// Offset of the flags in a descriptor.
const FLAGS: u64 = 14;
/// Descriptors of an indirect table that are copied at a time.
const BATCH: u16 = 16;

/// RING_EVENT_FLAGS_DISABLE: no notification.
const EVENTS_OFF: u16 = 1;
/// RING_EVENT_FLAGS_DESC: a notification at a certain descriptor.
const EVENTS_AT: u16 = 2;
/// The bit of an event's offset that holds the wrap counter.
const EVENT_WRAP: u16 = 1 << 15;

/// The position in which a ring starts (2.8.1).
pub(super) const START: u16 = EVENT_WRAP;

/// A packed ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedRing {
    areas: Areas,
    features: RingFeatures,
    /// Where the next chain, or the one in work, begins, and where it is given back: chains are
    /// given back in the order in which they came.
    position: Position,
    /// The position when the driver was last asked whether it wants to be told.
    published: Position,
    phase: Phase,
}

/// A place in the ring, and how often it was passed, modulo 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    slot: u16,
    wrap: Wrap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrap {
    Zero,
    One,
}

impl Position {
    /// Goes `count` slots on; at most once around.
    fn advance(self, count: u16, size: u16) -> Self {
        let slot = self.slot.wrapping_add(count);
        if slot < size {
            return Self { slot, ..self };
        }
        Self {
            slot: slot.wrapping_sub(size),
            wrap: match self.wrap {
                Wrap::Zero => Wrap::One,
                Wrap::One => Wrap::Zero,
            },
        }
    }

    /// Splits the form of the event suppression areas.
    fn from_event(event: u16) -> Self {
        Self {
            slot: event & !EVENT_WRAP,
            wrap: if event & EVENT_WRAP == 0 {
                Wrap::Zero
            } else {
                Wrap::One
            },
        }
    }

    /// Returns the form of the event suppression areas.
    fn to_event(self) -> u16 {
        match self.wrap {
            Wrap::Zero => self.slot,
            Wrap::One => self.slot | EVENT_WRAP,
        }
    }

    /// Returns the marks of a descriptor that the device gives back here.
    fn used_marks(self) -> DescriptorFlags {
        match self.wrap {
            Wrap::Zero => DescriptorFlags::empty(),
            Wrap::One => DescriptorFlags::AVAIL.union(DescriptorFlags::USED),
        }
    }

    /// Tells whether a descriptor here with these flags is available.
    fn is_available(self, flags: DescriptorFlags) -> bool {
        let (set, clear) = match self.wrap {
            Wrap::Zero => (DescriptorFlags::USED, DescriptorFlags::AVAIL),
            Wrap::One => (DescriptorFlags::AVAIL, DescriptorFlags::USED),
        };
        flags.contains(set) && !flags.intersects(clear)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No chain in work.
    Idle,
    /// A chain's descriptors are being copied: `slots` of the ring so far.
    Gathering { slots: u16 },
    /// So are those of an indirect table, the only descriptor of its chain or the last one.
    Table {
        id: u16,
        slots: u16,
        start: Ipa,
        length: u16,
        next: u16,
    },
    /// The chain is complete and takes this many slots.
    Ready { id: u16, slots: u16 },
}

/// Checks what the driver has set up.
pub(super) fn areas(setup: &Setup, max: u16) -> Result<Areas, SetupError> {
    let size = setup.size;
    if size == 0 || size > max {
        return Err(SetupError::Size { size, max });
    }
    Ok(Areas {
        size,
        descriptors: area(setup.descriptors, 16, u64::from(size).saturating_mul(16))?,
        driver: area(setup.driver, 4, 4)?,
        device: area(setup.device, 4, 4)?,
    })
}

impl PackedRing {
    /// Starts a ring at `position`, in the form of the event suppression areas; `None` if there is
    /// no such place.
    pub(super) fn new(areas: Areas, features: RingFeatures, position: u16) -> Option<Self> {
        let position = Position::from_event(position);
        (position.slot < areas.size).then_some(Self {
            areas,
            features,
            position,
            published: position,
            phase: Phase::Idle,
        })
    }

    /// Returns the position, in the form of the event suppression areas.
    pub(super) fn position(&self) -> u16 {
        self.position.to_event()
    }

    pub(super) fn next(
        &mut self,
        chain: &mut Chain,
        work: &mut Work<'_>,
    ) -> Result<Next, QueueError> {
        loop {
            if let Phase::Ready { .. } = self.phase {
                return Ok(Next::Chain);
            }
            if work.is_spent() {
                return Ok(Next::Spent);
            }
            self.phase = match self.phase {
                Phase::Idle => {
                    if !self.look(work)? {
                        return Ok(Next::Empty);
                    }
                    chain.clear();
                    Phase::Gathering { slots: 0 }
                }
                Phase::Gathering { slots } => self.gather(chain, work, slots)?,
                Phase::Table {
                    id,
                    slots,
                    start,
                    length,
                    next,
                } => {
                    let next = self.gather_table(chain, work, start, length, next)?;
                    if next < length {
                        Phase::Table {
                            id,
                            slots,
                            start,
                            length,
                            next,
                        }
                    } else {
                        Phase::Ready { id, slots }
                    }
                }
                Phase::Ready { id, slots } => Phase::Ready { id, slots },
            };
        }
    }

    /// Tells whether a chain is available; if not, asks the driver to notify.
    fn look(&self, work: &mut Work<'_>) -> Result<bool, QueueError> {
        if self.head_is_available(work)? {
            return Ok(true);
        }
        if self.features.event_index == Agreed::No {
            // The device's flags stay 0: every chain is notified.
            return Ok(false);
        }
        // Asked first, looked second: a driver that adds a chain in between is seen or notifies.
        // Offset and flags in one write, which the driver sees whole or not at all.
        let [e0, e1] = self.position.to_event().to_le_bytes();
        let [f0, f1] = EVENTS_AT.to_le_bytes();
        work.write(self.areas.device, &[e0, e1, f0, f1])?;
        fence(Ordering::SeqCst);
        self.head_is_available(work)
    }

    fn head_is_available(&self, work: &mut Work<'_>) -> Result<bool, QueueError> {
        let descriptor = self.slot_address(self.position.slot)?;
        let mut bytes = [0; 2];
        work.read(at(descriptor, FLAGS)?, &mut bytes)?;
        let flags = DescriptorFlags::from_bits_retain(u16::from_le_bytes(bytes));
        // What the driver wrote before the marks is seen after them: also the rest of the chain,
        // whose head it marks last.
        fence(Ordering::Acquire);
        Ok(self.position.is_available(flags))
    }

    /// Copies one descriptor of the ring and adds it to the chain, of which `slots` are there.
    fn gather(
        &self,
        chain: &mut Chain,
        work: &mut Work<'_>,
        slots: u16,
    ) -> Result<Phase, QueueError> {
        let size = self.areas.size;
        if slots >= size {
            return Err(QueueError::ChainTooLong { most: size });
        }
        let place = self.position.advance(slots, size);
        let mut copy = [0; 16];
        work.read(self.slot_address(place.slot)?, &mut copy)?;
        let descriptor = Descriptor::from_bytes(copy);
        let flags = descriptor.packed_flags();
        if !place.is_available(flags) {
            return Err(QueueError::NotAvailable { index: place.slot });
        }
        let slots = slots.saturating_add(1);
        let id = descriptor.id();
        if flags.contains(DescriptorFlags::INDIRECT) {
            if self.features.indirect == Agreed::No {
                return Err(QueueError::IndirectNotNegotiated);
            }
            if flags.contains(DescriptorFlags::NEXT) {
                return Err(QueueError::IndirectWithNext);
            }
            return Ok(Phase::Table {
                id,
                slots,
                start: Ipa::new(descriptor.address),
                length: indirect_length(descriptor.length, size)?,
                next: 0,
            });
        }
        self.add(chain, descriptor, flags)?;
        Ok(if flags.contains(DescriptorFlags::NEXT) {
            Phase::Gathering { slots }
        } else {
            Phase::Ready { id, slots }
        })
    }

    /// Copies a batch of an indirect table and returns which descriptor is next. Only the WRITE flag
    /// counts there (2.8.7).
    fn gather_table(
        &self,
        chain: &mut Chain,
        work: &mut Work<'_>,
        start: Ipa,
        length: u16,
        next: u16,
    ) -> Result<u16, QueueError> {
        let count = length.saturating_sub(next).min(BATCH);
        let mut copies = [[0; 16]; BATCH as usize];
        let copies = copies.get_mut(..usize::from(count)).unwrap_or_default();
        let place = u64::from(next).saturating_mul(u64::from(DESCRIPTOR_BYTES));
        work.read(at(start, place)?, copies.as_flattened_mut())?;
        for copy in copies {
            let descriptor = Descriptor::from_bytes(*copy);
            let flags = descriptor.packed_flags();
            if flags.contains(DescriptorFlags::INDIRECT) {
                return Err(QueueError::NestedIndirect);
            }
            self.add(chain, descriptor, flags)?;
        }
        Ok(next.saturating_add(count))
    }

    fn add(
        &self,
        chain: &mut Chain,
        descriptor: Descriptor,
        flags: DescriptorFlags,
    ) -> Result<(), QueueError> {
        let access = if flags.contains(DescriptorFlags::WRITE) {
            Access::Writable
        } else {
            Access::Readable
        };
        chain.push(
            descriptor.address,
            descriptor.length,
            access,
            self.areas.size,
        )
    }

    pub(super) fn complete(&mut self, work: &mut Work<'_>, written: u32) -> Result<(), QueueError> {
        let Phase::Ready { id, slots } = self.phase else {
            return Ok(());
        };
        let descriptor = self.slot_address(self.position.slot)?;
        let [l0, l1, l2, l3] = written.to_le_bytes();
        let [i0, i1] = id.to_le_bytes();
        let mut flags = self.position.used_marks();
        flags.set(DescriptorFlags::WRITE, written != 0);
        let [f0, f1] = flags.bits().to_le_bytes();
        // What the device wrote into buffers is seen before the marks; length and identifier with
        // them, in one write that the driver sees whole or not at all.
        fence(Ordering::Release);
        let half = [l0, l1, l2, l3, i0, i1, f0, f1];
        work.write(at(descriptor, LENGTH)?, &half)?;
        self.position = self.position.advance(slots, self.areas.size);
        self.phase = Phase::Idle;
        Ok(())
    }

    pub(super) fn publish(&mut self, work: &mut Work<'_>) -> Result<Notification, QueueError> {
        let (old, new) = (self.published, self.position);
        if old == new {
            return Ok(Notification::NotWanted);
        }
        self.published = new;
        // The driver sees the marks before the device looks whether it wants to be told.
        fence(Ordering::SeqCst);
        let mut bytes = [0; 4];
        work.read(self.areas.driver, &mut bytes)?;
        let [e0, e1, f0, f1] = bytes;
        let event = u16::from_le_bytes([e0, e1]);
        let wanted = match u16::from_le_bytes([f0, f1]) & 3 {
            EVENTS_OFF => false,
            EVENTS_AT if self.features.event_index == Agreed::Yes => {
                self.is_passed(event, old, new)
            }
            _ => true,
        };
        Ok(if wanted {
            Notification::Wanted
        } else {
            Notification::NotWanted
        })
    }

    /// Tells whether the ring went from `old` to `new` over the descriptor that the driver asked for.
    fn is_passed(&self, event: u16, old: Position, new: Position) -> bool {
        let size = self.areas.size;
        // Counts slots such that `new` is not behind any of them: what was passed in the previous
        // round is negative, modulo 2¹⁶.
        let behind = |slot: u16, wrap: u16| {
            if wrap == new.to_event() & EVENT_WRAP {
                slot
            } else {
                slot.wrapping_sub(size)
            }
        };
        needs_event(
            behind(event & !EVENT_WRAP, event & EVENT_WRAP),
            new.slot,
            behind(old.slot, old.to_event() & EVENT_WRAP),
        )
    }

    fn slot_address(&self, slot: u16) -> Result<Ipa, QueueError> {
        let offset = u64::from(slot).saturating_mul(u64::from(DESCRIPTOR_BYTES));
        at(self.areas.descriptors, offset)
    }
}
