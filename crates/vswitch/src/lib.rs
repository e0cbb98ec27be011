//! A learning Ethernet switch between guests (IEEE 802.1D, 802.1Q).
//!
//! The switch decides and moves nothing: [`Switch::forward`] looks at a frame's first bytes and its
//! length and names the ports that get it, each with what is to be done to its VLAN tag. The caller
//! copies the frame from the sender's memory to each receiver's, once.
//!
//! All ports are hostile. What one of them can make the switch keep is bounded: a fixed table of
//! stations, of which each port may fill its share; token buckets for what a port sends, and for what
//! goes to everybody; and the work for a frame is a few steps for each port plus a search.
//!
//! | limit | what happens beyond it |
//! |---|---|
//! | [`PortConfig::station`] | frames in another name are dropped as they come in |
//! | [`PortConfig::stations`] | further addresses are not learned: frames to them are flooded |
//! | [`PortConfig::rate`] | frames are dropped as they come in |
//! | [`PortConfig::broadcast`], [`PortConfig::unknown`] | such frames are dropped as they come in |
//! | the table's size | as for a port's share; old stations make room |
//!
//! Nothing is allocated after [`Switch::new`].

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bucket;
mod frame;
mod pcap;
mod port;
mod stations;
mod switch;

pub use bucket::Limit;
pub use frame::{FrameError, HEADER_SIZE, MacAddress, Tag, VlanId};
pub use pcap::{FILE_HEADER, Pcap, RECORD_HEADER_SIZE};
pub use port::{Counters, DropReason, Isolation, Membership, PortConfig, PortId, VlanSet};
pub use switch::{
    ConfigError, Delivery, Frame, Outcome, Receipt, Switch, SwitchConfig, TagEdit, Verdict,
};

#[cfg(test)]
mod tests;
