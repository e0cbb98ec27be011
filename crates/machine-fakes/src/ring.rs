//! The driver's side of a virtio queue, written from the specification (virtio 1.3, 2.7 and 2.8)
//! without a line of the device's side.

use crate::FakeGuest;
use alloc::vec::Vec;

/// A buffer of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Where it starts.
    pub address: u64,
    /// How many bytes it has.
    pub length: u32,
    /// The flags of its descriptor: [`WRITE`] or 0, and what a test adds.
    pub flags: u16,
}

/// Flag: the chain continues.
pub const NEXT: u16 = 1;
/// Flag: the device writes.
pub const WRITE: u16 = 2;
/// Flag: a table of descriptors.
pub const INDIRECT: u16 = 4;
const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;

impl Buffer {
    /// Makes a buffer that the device reads.
    #[must_use]
    pub const fn readable(address: u64, length: u32) -> Self {
        Self {
            address,
            length,
            flags: 0,
        }
    }

    /// Makes a buffer that the device writes.
    #[must_use]
    pub const fn writable(address: u64, length: u32) -> Self {
        Self {
            address,
            length,
            flags: WRITE,
        }
    }
}

/// A chain that the device has given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// The chain's identifier.
    pub id: u16,
    /// How many bytes the device says that it wrote.
    pub written: u32,
}

/// Which form the ring has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 2.7.
    Split,
    /// 2.8.
    Packed,
}

/// The driver's side of a queue. Chains come back in the order in which they were added.
#[derive(Clone, Debug)]
pub struct FakeRing {
    /// Its form.
    pub form: Form,
    /// Number of descriptors.
    pub size: u16,
    /// Address of the descriptors.
    pub descriptors: u64,
    /// Address of what the driver writes.
    pub driver: u64,
    /// Address of what the device writes.
    pub device: u64,
    /// Split: the available index. Packed: the next slot.
    next: u16,
    /// The next free descriptor of a split ring.
    free: u16,
    /// Packed: the driver's wrap counter, and that of what comes back: 0 or 1.
    wrap: u16,
    used_wrap: u16,
    /// Where the next chain comes back.
    used: u16,
    /// Packed: how many slots each chain takes, in order.
    slots: Vec<u16>,
}

impl FakeRing {
    /// Makes a ring of `size` descriptors at `base`, in RAM that is zero.
    #[must_use]
    pub fn new(form: Form, base: u64, size: u16) -> Self {
        let descriptors = base.next_multiple_of(16);
        let driver = descriptors + 16 * u64::from(size);
        let device = match form {
            Form::Split => (driver + 6 + 2 * u64::from(size)).next_multiple_of(4),
            Form::Packed => driver + 4,
        };
        Self {
            form,
            size,
            descriptors,
            driver,
            device,
            next: 0,
            free: 0,
            wrap: 1,
            used_wrap: 1,
            used: 0,
            slots: Vec::new(),
        }
    }

    /// Makes a chain available and returns its identifier.
    pub fn add(&mut self, guest: &mut FakeGuest, chain: &[Buffer]) -> u16 {
        match self.form {
            Form::Split => self.add_split(guest, chain),
            Form::Packed => self.add_packed(guest, chain),
        }
    }

    /// Makes a chain available whose descriptors stand in a table at `table`.
    pub fn add_indirect(&mut self, guest: &mut FakeGuest, table: u64, chain: &[Buffer]) -> u16 {
        let last = chain.len().saturating_sub(1);
        for (index, buffer) in (0_u16..).zip(chain) {
            let more = usize::from(index) < last && self.form == Form::Split;
            let flags = buffer.flags | if more { NEXT } else { 0 };
            let fields = match self.form {
                Form::Split => (flags, index + 1),
                Form::Packed => (0, flags),
            };
            put(guest, table + 16 * u64::from(index), buffer, fields);
        }
        let bytes = u32::try_from(16 * chain.len()).unwrap_or(u32::MAX);
        self.add(
            guest,
            &[Buffer {
                address: table,
                length: bytes,
                flags: INDIRECT,
            }],
        )
    }

    /// Takes the next chain that the device has given back.
    pub fn take(&mut self, guest: &FakeGuest) -> Option<Used> {
        match self.form {
            Form::Split => {
                if guest.half(self.device + 2) == self.used {
                    return None;
                }
                let place = self.device + 4 + 8 * u64::from(self.used % self.size);
                self.used = self.used.wrapping_add(1);
                Some(Used {
                    id: guest.half(place),
                    written: guest.word(place + 4),
                })
            }
            Form::Packed => {
                let place = self.descriptors + 16 * u64::from(self.used);
                let flags = guest.half(place + 14);
                let expected = if self.used_wrap == 1 { AVAIL | USED } else { 0 };
                if self.slots.is_empty() || flags & (AVAIL | USED) != expected {
                    return None;
                }
                self.used += self.slots.remove(0);
                if self.used >= self.size {
                    self.used -= self.size;
                    self.used_wrap ^= 1;
                }
                Some(Used {
                    id: guest.half(place + 12),
                    written: guest.word(place + 8),
                })
            }
        }
    }

    /// Asks for a notification when the chain that was added `ahead` from the next one to come back
    /// is given back, 0 for that one itself.
    pub fn ask_for_event(&self, guest: &mut FakeGuest, ahead: u16) {
        match self.form {
            Form::Split => {
                let place = self.driver + 4 + 2 * u64::from(self.size);
                guest.put(place, &self.used.wrapping_add(ahead).to_le_bytes());
            }
            Form::Packed => {
                let mut slot = self.used;
                let mut wrap = self.used_wrap;
                for count in self.slots.iter().take(usize::from(ahead)) {
                    slot += count;
                    if slot >= self.size {
                        slot -= self.size;
                        wrap ^= 1;
                    }
                }
                guest.put(self.driver, &(slot | (wrap << 15)).to_le_bytes());
                guest.put(self.driver + 2, &2_u16.to_le_bytes());
            }
        }
    }

    /// Says that no notification is wanted, without the event index.
    pub fn refuse_events(&self, guest: &mut FakeGuest) {
        let place = match self.form {
            Form::Split => self.driver,
            Form::Packed => self.driver + 2,
        };
        guest.put(place, &1_u16.to_le_bytes());
    }

    /// Tells whether the device asked to be notified of the next chain, with the event index.
    #[must_use]
    pub fn device_waits(&self, guest: &FakeGuest) -> bool {
        match self.form {
            Form::Split => guest.half(self.device + 4 + 8 * u64::from(self.size)) == self.next,
            Form::Packed => {
                guest.half(self.device + 2) == 2
                    && guest.half(self.device) == self.next | (self.wrap << 15)
            }
        }
    }

    fn add_split(&mut self, guest: &mut FakeGuest, chain: &[Buffer]) -> u16 {
        let head = self.free;
        let last = chain.len().saturating_sub(1);
        for (index, buffer) in chain.iter().enumerate() {
            let place = self.descriptors + 16 * u64::from(self.free);
            self.free = (self.free + 1) % self.size;
            let more = if index < last { NEXT } else { 0 };
            put(guest, place, buffer, (buffer.flags | more, self.free));
        }
        self.publish_head(guest, head);
        head
    }

    /// Puts a head into a split ring's available ring, without touching any descriptor.
    pub fn publish_head(&mut self, guest: &mut FakeGuest, head: u16) {
        let place = self.driver + 4 + 2 * u64::from(self.next % self.size);
        guest.put(place, &head.to_le_bytes());
        self.next = self.next.wrapping_add(1);
        guest.put(self.driver + 2, &self.next.to_le_bytes());
    }

    fn add_packed(&mut self, guest: &mut FakeGuest, chain: &[Buffer]) -> u16 {
        let head = self.next;
        let last = chain.len().saturating_sub(1);
        for (index, buffer) in chain.iter().enumerate() {
            let place = self.descriptors + 16 * u64::from(self.next);
            let marks = if self.wrap == 1 { AVAIL } else { USED };
            let more = if index < last { NEXT } else { 0 };
            put(guest, place, buffer, (head, buffer.flags | more | marks));
            self.next += 1;
            if self.next == self.size {
                self.next = 0;
                self.wrap ^= 1;
            }
        }
        self.slots
            .push(u16::try_from(chain.len()).unwrap_or(u16::MAX));
        head
    }
}

/// Writes a descriptor; `fields` are its last two.
fn put(guest: &mut FakeGuest, place: u64, buffer: &Buffer, fields: (u16, u16)) {
    guest.put(place, &buffer.address.to_le_bytes());
    guest.put(place + 8, &buffer.length.to_le_bytes());
    guest.put(place + 12, &fields.0.to_le_bytes());
    guest.put(place + 14, &fields.1.to_le_bytes());
}
