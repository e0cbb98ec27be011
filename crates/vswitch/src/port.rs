//! A port: what it may do, and what it has done.

use crate::bucket::{Bucket, Limit};
use crate::frame::{MacAddress, Tag, VlanId};
use core::fmt;

/// A port of a switch: its place in [`crate::SwitchConfig::ports`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

impl PortId {
    /// Returns the place as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A set of VLANs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VlanSet([u64; 64]);

impl VlanSet {
    /// The set without members.
    pub const EMPTY: Self = Self([0; 64]);
    /// The set of all VLANs.
    pub const ALL: Self = Self([u64::MAX; 64]);

    /// Adds a VLAN.
    pub fn insert(&mut self, vlan: VlanId) {
        if let Some(word) = self.0.get_mut(usize::from(vlan.get() >> 6)) {
            *word |= 1_u64.wrapping_shl(u32::from(vlan.get() & 63));
        }
    }

    /// Tells whether a VLAN is a member.
    #[must_use]
    pub fn contains(&self, vlan: VlanId) -> bool {
        self.0
            .get(usize::from(vlan.get() >> 6))
            .is_some_and(|word| word & 1_u64.wrapping_shl(u32::from(vlan.get() & 63)) != 0)
    }
}

impl FromIterator<VlanId> for VlanSet {
    fn from_iter<I: IntoIterator<Item = VlanId>>(vlans: I) -> Self {
        let mut set = Self::EMPTY;
        for vlan in vlans {
            set.insert(vlan);
        }
        set
    }
}

impl fmt::Debug for VlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = (1..4095).filter_map(VlanId::new);
        f.debug_set()
            .entries(members.filter(|vlan| self.contains(*vlan)))
            .finish()
    }
}

/// Which VLANs a port is in, and how it says so (802.1Q, 5.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for a port, made once"
)]
pub enum Membership {
    /// In one VLAN, without tags: what a guest usually has. Tagged frames of the guest are dropped,
    /// but for those that carry a priority alone.
    Access(VlanId),
    /// In several, with tags.
    Trunk {
        /// Those that it may use.
        allowed: VlanSet,
        /// The one whose frames carry no tag; without one, untagged frames are dropped.
        native: Option<VlanId>,
    },
}

impl Membership {
    /// Returns the VLAN of a frame that came in; `None` if it may not come in.
    pub(crate) fn classify(&self, tag: Option<Tag>) -> Option<VlanId> {
        let named = tag.and_then(|tag| VlanId::new(tag.number()));
        match (self, named) {
            (Self::Access(vlan), None) => Some(*vlan),
            (Self::Access(_), Some(_)) => None,
            (Self::Trunk { native, .. }, None) => *native,
            (Self::Trunk { allowed, .. }, Some(vlan)) => allowed.contains(vlan).then_some(vlan),
        }
    }

    /// Tells whether frames of a VLAN go out here.
    pub(crate) fn contains(&self, vlan: VlanId) -> bool {
        match self {
            Self::Access(own) => *own == vlan,
            Self::Trunk { allowed, native } => allowed.contains(vlan) || *native == Some(vlan),
        }
    }

    /// Tells whether frames of a VLAN that go out here carry a tag.
    pub(crate) fn tags(&self, vlan: VlanId) -> bool {
        match self {
            Self::Access(_) => false,
            Self::Trunk { native, .. } => *native != Some(vlan),
        }
    }
}

/// Whether a port may talk to all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// It may.
    #[default]
    Open,
    /// It may talk to open ones only, such as an uplink: two isolated ports never hear each other.
    Isolated,
}

/// What a port may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Its VLANs.
    pub membership: Membership,
    /// Whom it may talk to.
    pub isolation: Isolation,
    /// The only station that may send here; no other port may then send in its name. `None` lets any.
    pub station: Option<MacAddress>,
    /// How many stations are remembered behind it.
    pub stations: u16,
    /// What it may send, in bytes; `None` is without a limit.
    pub rate: Option<Limit>,
    /// What it may send to groups, in frames.
    pub broadcast: Option<Limit>,
    /// What it may send to stations that the switch does not know, in frames.
    pub unknown: Option<Limit>,
}

impl Default for PortConfig {
    /// An open access port of the default VLAN with room for 8 stations and without limits.
    fn default() -> Self {
        Self {
            membership: Membership::Access(VlanId::DEFAULT),
            isolation: Isolation::Open,
            station: None,
            stations: 8,
            rate: None,
            broadcast: None,
            unknown: None,
        }
    }
}

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)+) => {
        /// Why a frame went nowhere, or not to a port.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason {
            $($(#[$doc])* $name,)+
        }

        impl DropReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

drop_reasons! {
    /// It is no frame.
    Malformed: "no frame",
    /// It is longer than the switch carries.
    TooLong: "too long",
    /// The sending port is not in its VLAN.
    Vlan: "of a VLAN that the port is not in",
    /// It comes from the mirror, which only listens.
    Mirror: "from the mirror port",
    /// It is in the name of a station that is not the port's.
    Source: "in another station's name",
    /// It is for the bridge itself.
    LinkLocal: "for the link only",
    /// The sending port has sent too many bytes.
    Rate: "beyond the port's rate",
    /// The sending port has sent too many frames to groups.
    BroadcastStorm: "beyond the port's limit of broadcasts",
    /// The sending port has sent too many frames to unknown stations.
    UnknownStorm: "beyond the port's limit of frames to unknown stations",
    /// Its station is behind the port that sent it, or behind one that may not have it.
    Nowhere: "for nobody else",
    /// The receiving port had no room.
    NoRoom: "without room at the receiver",
}

impl DropReason {
    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What a port has done since the switch was made; saturating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that came in and were not dropped as they did.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames that went out.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames that were flooded because their station was not known.
    pub flooded: u64,
    /// Addresses that were not learned for lack of room.
    pub not_learned: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Returns how many frames were dropped for a reason. [`DropReason::NoRoom`] counts at the
    /// receiving port, the others at the sending one.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason.index()).copied().unwrap_or(0)
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        if let Some(counter) = self.dropped.get_mut(reason.index()) {
            *counter = counter.saturating_add(1);
        }
    }

    pub(crate) fn receive(&mut self, length: u64) {
        self.received = self.received.saturating_add(1);
        self.received_bytes = self.received_bytes.saturating_add(length);
    }

    pub(crate) fn send(&mut self, length: u64) {
        self.sent = self.sent.saturating_add(1);
        self.sent_bytes = self.sent_bytes.saturating_add(length);
    }
}

/// A port at work.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) config: PortConfig,
    pub(crate) counters: Counters,
    pub(crate) rate: Option<Bucket>,
    pub(crate) broadcast: Option<Bucket>,
    pub(crate) unknown: Option<Bucket>,
}

impl Port {
    pub(crate) fn new(config: PortConfig) -> Self {
        Self {
            rate: config.rate.map(Bucket::new),
            broadcast: config.broadcast.map(Bucket::new),
            unknown: config.unknown.map(Bucket::new),
            counters: Counters::default(),
            config,
        }
    }

    /// Tells whether frames of `self` may reach `other`, as far as isolation goes.
    pub(crate) fn may_reach(&self, other: &Self) -> bool {
        self.config.isolation == Isolation::Open || other.config.isolation == Isolation::Open
    }
}

/// Takes from a limit, if there is one.
pub(crate) fn take(bucket: &mut Option<Bucket>, now: u64, amount: u64) -> bool {
    bucket
        .as_mut()
        .is_none_or(|bucket| bucket.take(now, amount))
}
