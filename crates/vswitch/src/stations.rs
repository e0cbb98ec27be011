//! Which station is behind which port, learned from what they send (802.1Q, 8.7, 8.8).
//!
//! A sorted list: a search of at most 16 steps, and an order that no sender of chosen addresses can
//! make worse, as he could that of a hash table. It never grows beyond its size, and stations that
//! were silent for too long leave it a few at a time.

use crate::frame::{MacAddress, VlanId};
use crate::port::PortId;
use alloc::vec::Vec;

/// How many entries are looked at for old ones each time that something is learned.
const LOOKS: usize = 4;

/// A station in a VLAN.
type Key = (VlanId, MacAddress);

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    port: PortId,
    /// When it was last heard, in nanoseconds.
    heard: u64,
}

/// Whether a station could be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    Yes,
    NoRoom,
}

/// The stations that the switch knows.
#[derive(Clone, Debug)]
pub(crate) struct Stations {
    /// In the order of their keys.
    entries: Vec<Entry>,
    /// How many of them are behind each port, and how many may be.
    shares: Vec<(u16, u16)>,
    size: usize,
    age: u64,
    /// Where the search for old ones goes on.
    hand: usize,
}

impl Stations {
    /// Makes an empty list with room for `size` stations; each is forgotten `age` nanoseconds after it
    /// was last heard. `shares` is how many of each port are remembered.
    pub(crate) fn new(size: usize, age: u64, shares: impl Iterator<Item = u16>) -> Self {
        Self {
            entries: Vec::with_capacity(size),
            shares: shares.map(|most| (0, most)).collect(),
            size,
            age,
            hand: 0,
        }
    }

    /// Remembers that a station is behind a port.
    pub(crate) fn learn(
        &mut self,
        now: u64,
        vlan: VlanId,
        station: MacAddress,
        port: PortId,
    ) -> Learned {
        self.forget_some(now);
        let key = (vlan, station);
        match self.entries.binary_search_by_key(&key, |entry| entry.key) {
            Ok(place) => {
                let Some(entry) = self.entries.get_mut(place) else {
                    return Learned::NoRoom;
                };
                if entry.port != port {
                    // It has moved, if its new port has room for it.
                    let old = entry.port;
                    if !has_room(&self.shares, port) {
                        return Learned::NoRoom;
                    }
                    entry.port = port;
                    self.count(old, u16::checked_sub);
                    self.count(port, u16::checked_add);
                }
                if let Some(entry) = self.entries.get_mut(place) {
                    entry.heard = entry.heard.max(now);
                }
                Learned::Yes
            }
            Err(place) => {
                if self.entries.len() >= self.size || !has_room(&self.shares, port) {
                    return Learned::NoRoom;
                }
                let heard = now;
                self.entries.insert(place, Entry { key, port, heard });
                self.count(port, u16::checked_add);
                Learned::Yes
            }
        }
    }

    /// Finds the port of a station; `None` if it is not known, or was silent for too long.
    pub(crate) fn find(&self, now: u64, vlan: VlanId, station: MacAddress) -> Option<PortId> {
        let place = self
            .entries
            .binary_search_by_key(&(vlan, station), |entry| entry.key)
            .ok()?;
        let entry = self.entries.get(place)?;
        (!self.is_old(entry, now)).then_some(entry.port)
    }

    /// Forgets all stations of a port: its guest was reset, or is gone.
    pub(crate) fn forget_port(&mut self, port: PortId) {
        self.entries.retain(|entry| entry.port != port);
        if let Some((count, _)) = self.shares.get_mut(port.index()) {
            *count = 0;
        }
    }

    /// Counts the stations behind a port.
    pub(crate) fn behind(&self, port: PortId) -> u16 {
        self.shares.get(port.index()).map_or(0, |(count, _)| *count)
    }

    /// Looks at a few entries, in turns, and removes those that are old.
    fn forget_some(&mut self, now: u64) {
        for _ in 0..LOOKS {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let Some(entry) = self.entries.get(self.hand) else {
                return;
            };
            if self.is_old(entry, now) {
                let port = entry.port;
                self.entries.remove(self.hand);
                self.count(port, u16::checked_sub);
            } else {
                self.hand = self.hand.saturating_add(1);
            }
        }
    }

    fn is_old(&self, entry: &Entry, now: u64) -> bool {
        now.saturating_sub(entry.heard) > self.age
    }

    fn count(&mut self, port: PortId, change: fn(u16, u16) -> Option<u16>) {
        if let Some((count, _)) = self.shares.get_mut(port.index()) {
            *count = change(*count, 1).unwrap_or(*count);
        }
    }
}

fn has_room(shares: &[(u16, u16)], port: PortId) -> bool {
    shares
        .get(port.index())
        .is_some_and(|(count, most)| count < most)
}
