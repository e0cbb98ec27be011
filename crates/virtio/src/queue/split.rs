//! Split rings (virtio 1.3, 2.7).
//!
//! | area | field | offset |
//! |---|---|---|
//! | available ring | flags, index | 0, 2 |
//! | | the heads of chains | 4 + 2 · i |
//! | | used_event | 4 + 2 · size |
//! | used ring | flags, index | 0, 2 |
//! | | identifier and length | 4 + 8 · i |
//! | | avail_event | 4 + 8 · size |

use super::chain::{Access, Chain};
use super::descriptor::{DESCRIPTOR_BYTES, Descriptor, DescriptorFlags};
use super::{
    Agreed, Areas, Next, Notification, QueueError, RingFeatures, Setup, SetupError, area, at,
    indirect_length, needs_event,
};
use crate::turn::Work;
use addr::Ipa;
use core::sync::atomic::{Ordering, fence};

/// Offset of the index in both rings.
const INDEX: u64 = 2;
/// Offset of the first element in both rings.
const ELEMENTS: u64 = 4;
/// Flag of the available ring: the driver wants no notification (2.7.6).
const NO_INTERRUPT: u16 = 1;
/// Descriptors of an indirect table that are copied at a time.
const BATCH: u16 = 16;

/// A split ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitRing {
    areas: Areas,
    features: RingFeatures,
    /// How many chains have been completed, modulo 2¹⁶. The one in work is the next: chains are
    /// given back in the order in which they came, so this is the place in both rings.
    position: u16,
    /// The available index as it was read last.
    seen: u16,
    /// The used index as the driver sees it.
    published: u16,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No chain in work.
    Idle,
    /// A chain's descriptors are being copied.
    Gathering(Gather),
    /// The chain is complete.
    Ready { head: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gather {
    head: u16,
    table: Table,
    /// The next descriptor to copy.
    next: u16,
}

/// A table of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Table {
    kind: TableKind,
    start: Ipa,
    /// Number of descriptors.
    length: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TableKind {
    Ring,
    Indirect,
}

/// What follows a descriptor.
enum Then {
    Nothing,
    Descriptor(u16),
    Table(Table),
}

/// Checks what the driver has set up.
pub(super) fn areas(setup: &Setup, max: u16) -> Result<Areas, SetupError> {
    let size = setup.size;
    if !size.is_power_of_two() || size > max {
        return Err(SetupError::Size { size, max });
    }
    let count = u64::from(size);
    Ok(Areas {
        size,
        descriptors: area(setup.descriptors, 16, count.saturating_mul(16))?,
        driver: area(setup.driver, 2, count.saturating_mul(2).saturating_add(6))?,
        device: area(setup.device, 4, count.saturating_mul(8).saturating_add(6))?,
    })
}

impl SplitRing {
    /// Starts a ring after `position` completed chains.
    pub(super) const fn new(areas: Areas, features: RingFeatures, position: u16) -> Self {
        Self {
            areas,
            features,
            position,
            seen: position,
            published: position,
            phase: Phase::Idle,
        }
    }

    /// Returns how many chains have been completed, modulo 2¹⁶.
    pub(super) const fn position(&self) -> u16 {
        self.position
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
                Phase::Idle => match self.take_head(work)? {
                    Some(phase) => {
                        chain.clear();
                        phase
                    }
                    None => return Ok(Next::Empty),
                },
                Phase::Gathering(gather) => self.gather(chain, work, gather)?,
                Phase::Ready { head } => Phase::Ready { head },
            };
        }
    }

    /// Finds the head of the next chain, if there is one.
    fn take_head(&mut self, work: &mut Work<'_>) -> Result<Option<Phase>, QueueError> {
        if self.position == self.seen {
            self.look(work)?;
        }
        if self.position == self.seen && self.features.event_index == Agreed::Yes {
            // Asked first, looked second: a driver that adds a chain in between is seen or notifies.
            let event = ring_offset(self.areas.size, 8);
            let bytes = self.position.to_le_bytes();
            work.write(at(self.areas.device, event)?, &bytes)?;
            fence(Ordering::SeqCst);
            self.look(work)?;
        }
        if self.position == self.seen {
            return Ok(None);
        }
        let slot = ring_offset(self.slot(self.position), 2);
        let mut bytes = [0; 2];
        work.read(at(self.areas.driver, slot)?, &mut bytes)?;
        let head = u16::from_le_bytes(bytes);
        Ok(Some(Phase::Gathering(Gather {
            head,
            table: Table {
                kind: TableKind::Ring,
                start: self.areas.descriptors,
                length: self.areas.size,
            },
            next: head,
        })))
    }

    /// Reads the available index.
    fn look(&mut self, work: &mut Work<'_>) -> Result<(), QueueError> {
        let mut bytes = [0; 2];
        work.read(at(self.areas.driver, INDEX)?, &mut bytes)?;
        let to = u16::from_le_bytes(bytes);
        if to.wrapping_sub(self.position) > self.areas.size {
            return Err(QueueError::IndexJump {
                from: self.position,
                to,
            });
        }
        // What the driver wrote before the index is seen after it.
        fence(Ordering::Acquire);
        self.seen = to;
        Ok(())
    }

    /// Copies descriptors and adds them to the chain: one of the ring, or a batch of a table.
    fn gather(
        &self,
        chain: &mut Chain,
        work: &mut Work<'_>,
        mut gather: Gather,
    ) -> Result<Phase, QueueError> {
        let table = gather.table;
        let left = table
            .length
            .checked_sub(gather.next)
            .filter(|left| *left != 0)
            .ok_or(QueueError::NoDescriptor { index: gather.next })?;
        let count = match table.kind {
            TableKind::Ring => 1,
            TableKind::Indirect => left.min(BATCH),
        };
        let mut copies = [[0; 16]; BATCH as usize];
        let copies = copies.get_mut(..usize::from(count)).unwrap_or_default();
        let place = u64::from(gather.next).saturating_mul(u64::from(DESCRIPTOR_BYTES));
        work.read(at(table.start, place)?, copies.as_flattened_mut())?;
        for copy in copies {
            match self.add(chain, Descriptor::from_bytes(*copy), table.kind)? {
                Then::Nothing => return Ok(Phase::Ready { head: gather.head }),
                Then::Table(table) => {
                    return Ok(Phase::Gathering(Gather {
                        table,
                        next: 0,
                        ..gather
                    }));
                }
                Then::Descriptor(next) => {
                    let follows = Some(next) == gather.next.checked_add(1);
                    gather.next = next;
                    if !follows {
                        break;
                    }
                }
            }
        }
        Ok(Phase::Gathering(gather))
    }

    /// Adds one descriptor to the chain and tells what follows it.
    fn add(
        &self,
        chain: &mut Chain,
        descriptor: Descriptor,
        kind: TableKind,
    ) -> Result<Then, QueueError> {
        let flags = descriptor.split_flags();
        if flags.contains(DescriptorFlags::INDIRECT) {
            if self.features.indirect == Agreed::No {
                return Err(QueueError::IndirectNotNegotiated);
            }
            if kind == TableKind::Indirect {
                return Err(QueueError::NestedIndirect);
            }
            if flags.contains(DescriptorFlags::NEXT) {
                return Err(QueueError::IndirectWithNext);
            }
            return Ok(Then::Table(Table {
                kind: TableKind::Indirect,
                start: Ipa::new(descriptor.address),
                length: indirect_length(descriptor.length, self.areas.size)?,
            }));
        }
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
        )?;
        Ok(if flags.contains(DescriptorFlags::NEXT) {
            Then::Descriptor(descriptor.next())
        } else {
            Then::Nothing
        })
    }

    pub(super) fn complete(&mut self, work: &mut Work<'_>, written: u32) -> Result<(), QueueError> {
        let Phase::Ready { head } = self.phase else {
            return Ok(());
        };
        let [i0, i1] = head.to_le_bytes();
        let [l0, l1, l2, l3] = written.to_le_bytes();
        let slot = ring_offset(self.slot(self.position), 8);
        let element = [i0, i1, 0, 0, l0, l1, l2, l3];
        work.write(at(self.areas.device, slot)?, &element)?;
        self.position = self.position.wrapping_add(1);
        self.phase = Phase::Idle;
        Ok(())
    }

    pub(super) fn publish(&mut self, work: &mut Work<'_>) -> Result<Notification, QueueError> {
        let (old, new) = (self.published, self.position);
        if old == new {
            return Ok(Notification::NotWanted);
        }
        // The elements, and what the device wrote into buffers, are seen before the index.
        fence(Ordering::Release);
        work.write(at(self.areas.device, INDEX)?, &new.to_le_bytes())?;
        self.published = new;
        // The driver sees the index before the device looks whether it wants to be told (2.7.10).
        fence(Ordering::SeqCst);
        let mut bytes = [0; 2];
        let wanted = match self.features.event_index {
            Agreed::Yes => {
                let event = ring_offset(self.areas.size, 2);
                work.read(at(self.areas.driver, event)?, &mut bytes)?;
                needs_event(u16::from_le_bytes(bytes), new, old)
            }
            Agreed::No => {
                work.read(self.areas.driver, &mut bytes)?;
                u16::from_le_bytes(bytes) & NO_INTERRUPT == 0
            }
        };
        Ok(if wanted {
            Notification::Wanted
        } else {
            Notification::NotWanted
        })
    }

    /// Returns the place of a running index; the size is a power of 2.
    fn slot(&self, index: u16) -> u16 {
        index & self.areas.size.wrapping_sub(1)
    }
}

/// Returns the offset of element `index`, of `bytes` bytes each, in a ring.
fn ring_offset(index: u16, bytes: u64) -> u64 {
    u64::from(index)
        .saturating_mul(bytes)
        .saturating_add(ELEMENTS)
}
