//! Queues: what the driver sets up, and the one interface to both kinds of rings.

mod chain;
mod descriptor;
mod error;
mod packed;
mod split;
#[cfg(test)]
mod tests;

pub use chain::{Access, Chain, Segment};
pub use descriptor::DescriptorFlags;
pub use error::QueueError;
pub use packed::PackedRing;
pub use split::SplitRing;

use crate::Features;
use crate::turn::Work;
use addr::{Address, Ipa};
use core::fmt;

/// Largest queue of a split ring (2.7), and so of any queue here.
pub const MAX_SIZE: u16 = 1 << 15;

/// What a driver sets before it starts a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Number of descriptors.
    pub size: u16,
    /// Address of the descriptor table or ring.
    pub descriptors: u64,
    /// Address of what the driver writes: the available ring, or its event suppression.
    pub driver: u64,
    /// Address of what the device writes: the used ring, or its event suppression.
    pub device: u64,
}

/// What a ring needs to know of the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingFeatures {
    /// Indirect tables are allowed.
    pub indirect: Agreed,
    /// Notifications are asked for by index.
    pub event_index: Agreed,
}

/// Whether a feature was agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// It was.
    Yes,
    /// It was not.
    No,
}

impl Agreed {
    fn on(features: Features, wanted: Features) -> Self {
        if features.contains(wanted) {
            Self::Yes
        } else {
            Self::No
        }
    }
}

/// Where a ring lies, after the check of sizes and alignment. Whether that is RAM is seen at each
/// copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// Number of descriptors.
    pub size: u16,
    /// The descriptor table or ring.
    pub descriptors: Ipa,
    /// What the driver writes.
    pub driver: Ipa,
    /// What the device writes.
    pub device: Ipa,
}

/// Why a queue cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The number of descriptors is 0, above the maximum, or for a split ring no power of 2.
    Size {
        /// The number.
        size: u16,
        /// The largest that the queue can have.
        max: u16,
    },
    /// An area is not aligned as it must be (2.7, 2.8).
    Unaligned {
        /// Where it starts.
        address: u64,
    },
    /// An area runs over the end of the address space.
    Wraps {
        /// Where it starts.
        address: u64,
    },
    /// The ring has no such position.
    Position {
        /// The position.
        position: u16,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { size, max } => write!(f, "a queue of {size} where {max} are possible"),
            Self::Unaligned { address } => write!(f, "the area at {address:#x} is not aligned"),
            Self::Wraps { address } => write!(f, "the area at {address:#x} wraps"),
            Self::Position { position } => write!(f, "the ring has no position {position:#x}"),
        }
    }
}

impl core::error::Error for SetupError {}

/// What a queue has for its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole chain, in [`Queue::chain`].
    Chain,
    /// Nothing; the driver notifies when there is more.
    Empty,
    /// Perhaps something, but this turn's budget is spent.
    Spent,
}

/// Whether the driver wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Notification {
    /// It does.
    Wanted,
    /// It does not, or there is nothing new.
    NotWanted,
}

/// Whether a queue has to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attention {
    /// Not before the driver's next notification.
    #[default]
    None,
    /// In the next turn.
    Due,
}

/// What a queue's ring is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ring {
    Stopped,
    Split(SplitRing),
    Packed(PackedRing),
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    max: u16,
    setup: Setup,
    ring: Ring,
    chain: Chain,
    attention: Attention,
}

impl Queue {
    /// Makes a stopped queue of at most `max` descriptors, itself at most [`MAX_SIZE`]. Takes all
    /// the memory that it will need.
    #[must_use]
    pub fn new(max: u16) -> Self {
        let max = max.min(MAX_SIZE);
        Self {
            max,
            setup: Setup::default(),
            ring: Ring::Stopped,
            chain: Chain::with_capacity(max),
            attention: Attention::None,
        }
    }

    /// Returns the largest number of descriptors.
    #[must_use]
    pub const fn max(&self) -> u16 {
        self.max
    }

    /// Returns what the driver has set.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Returns what the driver sets, or `None` while the queue runs: nothing may change then.
    pub fn setup_mut(&mut self) -> Option<&mut Setup> {
        match self.ring {
            Ring::Stopped => Some(&mut self.setup),
            Ring::Split(_) | Ring::Packed(_) => None,
        }
    }

    /// Tells whether the queue runs.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        match self.ring {
            Ring::Stopped => false,
            Ring::Split(_) | Ring::Packed(_) => true,
        }
    }

    /// Starts the queue as it was set up.
    ///
    /// # Errors
    /// [`SetupError`]; the queue stays stopped.
    pub fn start(&mut self, features: Features) -> Result<(), SetupError> {
        let position = if features.contains(Features::RING_PACKED) {
            packed::START
        } else {
            0
        };
        self.start_at(features, position)
    }

    /// Starts the queue at what [`Queue::position`] returned, perhaps elsewhere.
    ///
    /// # Errors
    /// [`SetupError`]; the queue stays stopped.
    pub fn start_at(&mut self, features: Features, position: u16) -> Result<(), SetupError> {
        let ring_features = RingFeatures {
            indirect: Agreed::on(features, Features::INDIRECT_DESC),
            event_index: Agreed::on(features, Features::EVENT_IDX),
        };
        self.chain.clear();
        self.ring = if features.contains(Features::RING_PACKED) {
            let areas = packed::areas(&self.setup, self.max)?;
            PackedRing::new(areas, ring_features, position)
                .map(Ring::Packed)
                .ok_or(SetupError::Position { position })?
        } else {
            let areas = split::areas(&self.setup, self.max)?;
            Ring::Split(SplitRing::new(areas, ring_features, position))
        };
        Ok(())
    }

    /// Returns where the ring stands, as one number of its own form; 0 if the queue is stopped. A
    /// chain that is not completed counts as not begun.
    #[must_use]
    pub fn position(&self) -> u16 {
        match &self.ring {
            Ring::Stopped => 0,
            Ring::Split(ring) => ring.position(),
            Ring::Packed(ring) => ring.position(),
        }
    }

    /// Stops the queue; what the driver has set stays.
    pub fn stop(&mut self) {
        self.ring = Ring::Stopped;
        self.chain.clear();
        self.attention = Attention::None;
    }

    /// Stops the queue and forgets what the driver has set.
    pub fn reset(&mut self) {
        self.stop();
        self.setup = Setup::default();
    }

    /// Notes that the queue must be looked at: the driver said so, or its device has something for
    /// it.
    pub fn attend(&mut self) {
        if self.is_running() {
            self.attention = Attention::Due;
        }
    }

    /// Notes that nothing can be done before the driver or the back end says something.
    pub fn rest(&mut self) {
        self.attention = Attention::None;
    }

    /// Tells whether the queue must be looked at.
    #[must_use]
    pub const fn attention(&self) -> Attention {
        self.attention
    }

    /// Looks for the next chain, unless there is one that is not completed yet. If the queue is
    /// empty, it rests, and the driver will notify.
    ///
    /// # Errors
    /// [`QueueError`] if the ring holds something that it must not.
    pub fn next(&mut self, work: &mut Work<'_>) -> Result<Next, QueueError> {
        let next = match &mut self.ring {
            Ring::Stopped => Next::Empty,
            Ring::Split(ring) => ring.next(&mut self.chain, work)?,
            Ring::Packed(ring) => ring.next(&mut self.chain, work)?,
        };
        match next {
            Next::Empty => self.attention = Attention::None,
            Next::Spent => self.attention = Attention::Due,
            Next::Chain => {}
        }
        Ok(next)
    }

    /// Returns the chain that [`Queue::next`] has found.
    pub fn chain(&mut self) -> &mut Chain {
        &mut self.chain
    }

    /// Gives the chain back to the driver, of which `written` bytes are new, and makes room for the
    /// next one. The driver sees it after [`Queue::publish`] at the latest.
    ///
    /// # Errors
    /// [`QueueError`] if the ring is not the guest's RAM.
    pub fn complete(&mut self, work: &mut Work<'_>, written: u32) -> Result<(), QueueError> {
        match &mut self.ring {
            Ring::Stopped => {}
            Ring::Split(ring) => ring.complete(work, written)?,
            Ring::Packed(ring) => ring.complete(work, written)?,
        }
        self.chain.clear();
        Ok(())
    }

    /// Shows the driver what was completed, and finds out whether it wants to be told.
    ///
    /// # Errors
    /// [`QueueError`] if the ring is not the guest's RAM.
    pub fn publish(&mut self, work: &mut Work<'_>) -> Result<Notification, QueueError> {
        match &mut self.ring {
            Ring::Stopped => Ok(Notification::NotWanted),
            Ring::Split(ring) => ring.publish(work),
            Ring::Packed(ring) => ring.publish(work),
        }
    }
}

/// Checks one area of a ring.
fn area(address: u64, alignment: u64, bytes: u64) -> Result<Ipa, SetupError> {
    if addr::align_down(address, alignment) != address {
        return Err(SetupError::Unaligned { address });
    }
    if address.checked_add(bytes).is_none() {
        return Err(SetupError::Wraps { address });
    }
    Ok(Ipa::new(address))
}

/// Returns the address `offset` bytes into an area.
fn at(area: Ipa, offset: u64) -> Result<Ipa, QueueError> {
    area.checked_add(offset)
        .ok_or(QueueError::RingWraps { area })
}

/// Tells whether the driver asked for a notification: whether `event` lies between `old` (inclusive)
/// and `new` (exclusive), modulo 2¹⁶ (2.7.10, vring_need_event).
fn needs_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// Checks the size of an indirect table in bytes and returns how many descriptors it has
/// (2.7.5.3, 2.8.7).
fn indirect_length(bytes: u32, most: u16) -> Result<u16, QueueError> {
    let error = QueueError::IndirectSize { bytes };
    if bytes == 0 || !bytes.is_multiple_of(descriptor::DESCRIPTOR_BYTES) {
        return Err(error);
    }
    let count = bytes
        .checked_div(descriptor::DESCRIPTOR_BYTES)
        .ok_or(error)?;
    u16::try_from(count)
        .ok()
        .filter(|count| *count <= most)
        .ok_or(error)
}
