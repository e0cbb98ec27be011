//! The switch: one frame in, and where it goes.

use crate::frame::{FrameError, Header, MacAddress, Tag, VlanId};
use crate::port::{Counters, DropReason, Port, PortConfig, PortId, take};
use crate::stations::{Learned, Stations};
use alloc::vec::Vec;
use core::fmt;

/// What a switch is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchConfig {
    /// Its ports.
    pub ports: Vec<PortConfig>,
    /// How many stations it remembers, at most 4,096.
    pub stations: usize,
    /// How long a silent station is remembered, in nanoseconds; 300 seconds is usual (802.1Q, 8.8.3).
    pub age: u64,
    /// The longest frame, in bytes, without its tag.
    pub longest: usize,
    /// The port that gets a copy of each frame that the others send, those too that go nowhere for
    /// a storm's sake. It only listens: what it sends is dropped.
    pub mirror: Option<PortId>,
}

/// The most stations: inserting one moves this many entries at the most.
const MOST_STATIONS: usize = 4096;
/// The bytes of a tag.
const TAG_SIZE: usize = 4;

/// Why there can be no such switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// There are more ports than numbers for them.
    TooManyPorts {
        /// How many there are.
        ports: usize,
    },
    /// There are more stations than a bounded insertion allows.
    TooManyStations {
        /// How many there are.
        stations: usize,
    },
    /// The mirror port is not there.
    NoSuchPort {
        /// The port.
        port: PortId,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyPorts { ports } => write!(f, "{ports} ports are too many"),
            Self::TooManyStations { stations } => {
                write!(f, "{stations} stations are more than {MOST_STATIONS}")
            }
            Self::NoSuchPort { port } => write!(f, "there is no port {port}"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// A frame that a port sends.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its first bytes: [`crate::HEADER_SIZE`] of them, or all. A copy, which nobody changes any more.
    pub start: &'a [u8],
    /// How long the whole is, in bytes.
    pub length: usize,
}

/// What is to be done to a frame's tag, the 4 bytes that follow the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagEdit {
    /// Nothing.
    Keep,
    /// It is taken out.
    Remove,
    /// One is put in.
    Insert(Tag),
    /// Another one takes its place.
    Replace(Tag),
}

/// A port that gets a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The port.
    pub port: PortId,
    /// How the frame is changed on its way.
    pub edit: TagEdit,
}

/// What came of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The receiver has the frame.
    Taken,
    /// It had no room for it.
    NoRoom,
}

/// What came of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was for one station that the switch knows.
    Forwarded,
    /// It was for everybody, or for somebody whom the switch does not know.
    Flooded,
    /// It went nowhere.
    Dropped(DropReason),
}

/// What came of a frame, and how many ports took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What came of it.
    pub verdict: Verdict,
    /// How many ports took it, without the mirror.
    pub taken: usize,
}

/// A switch.
#[derive(Clone, Debug)]
pub struct Switch {
    ports: Vec<Port>,
    stations: Stations,
    longest: usize,
    mirror: Option<PortId>,
}

impl Switch {
    /// Makes a switch that knows no station.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is not one.
    pub fn new(config: SwitchConfig) -> Result<Self, ConfigError> {
        let ports = config.ports.len();
        if u16::try_from(ports).is_err() {
            return Err(ConfigError::TooManyPorts { ports });
        }
        if config.stations > MOST_STATIONS {
            return Err(ConfigError::TooManyStations {
                stations: config.stations,
            });
        }
        if let Some(port) = config.mirror
            && port.index() >= ports
        {
            return Err(ConfigError::NoSuchPort { port });
        }
        let shares = config.ports.iter().map(|port| port.stations);
        Ok(Self {
            stations: Stations::new(config.stations, config.age, shares),
            ports: config.ports.into_iter().map(Port::new).collect(),
            longest: config.longest,
            mirror: config.mirror,
        })
    }

    /// Takes a frame that `from` sends at the time `now`, in nanoseconds, and calls `deliver` for each
    /// port that gets it, the mirror first. The work is one search and one step for each port.
    pub fn forward(
        &mut self,
        now: u64,
        from: PortId,
        frame: Frame<'_>,
        mut deliver: impl FnMut(Delivery) -> Receipt,
    ) -> Outcome {
        let admitted = match self.admit(now, from, frame) {
            Ok(admitted) => admitted,
            Err(reason) => return self.refuse(from, reason),
        };
        if let Some(mirror) = self.mirror {
            let edit = TagEdit::Keep;
            self.deliver(mirror, frame.length, edit, &mut deliver);
        }
        let target = self.target(now, from, &admitted);
        let (verdict, ports) = match target {
            Ok(Target::One(port)) => (Verdict::Forwarded, Some(port)),
            Ok(Target::All) => (Verdict::Flooded, None),
            Err(reason) => return self.refuse(from, reason),
        };
        if let Some(port) = self.ports.get_mut(from.index()) {
            port.counters.receive(frame.length as u64);
            if verdict == Verdict::Flooded && !admitted.destination.is_group() {
                port.counters.flooded = port.counters.flooded.saturating_add(1);
            }
        }
        let mut taken = 0_usize;
        let range = match ports {
            Some(port) => port.index()..port.index().saturating_add(1),
            None => 0..self.ports.len(),
        };
        for index in range {
            let Ok(number) = u16::try_from(index) else {
                break;
            };
            let to = PortId(number);
            let Some(edit) = self.way(from, to, &admitted) else {
                continue;
            };
            if self.deliver(to, frame.length, edit, &mut deliver) == Receipt::Taken {
                taken = taken.saturating_add(1);
            }
        }
        Outcome { verdict, taken }
    }

    /// Forgets the stations behind a port: its guest was reset or is gone.
    pub fn forget(&mut self, port: PortId) {
        self.stations.forget_port(port);
    }

    /// Returns what a port has done.
    #[must_use]
    pub fn counters(&self, port: PortId) -> Option<&Counters> {
        self.ports.get(port.index()).map(|port| &port.counters)
    }

    /// Returns how many stations are known behind a port.
    #[must_use]
    pub fn stations(&self, port: PortId) -> u16 {
        self.stations.behind(port)
    }

    /// Checks what the port may send, and learns who sends.
    fn admit(&mut self, now: u64, from: PortId, frame: Frame<'_>) -> Result<Admitted, DropReason> {
        if self.mirror == Some(from) {
            return Err(DropReason::Mirror);
        }
        let header = match Header::read(frame.start, frame.length) {
            Ok(header) => header,
            Err(FrameError::Short { .. } | FrameError::Source { .. } | FrameError::Vlan { .. }) => {
                return Err(DropReason::Malformed);
            }
        };
        let tag_size = header.tag.map_or(0, |_| TAG_SIZE);
        if frame.length > self.longest.saturating_add(tag_size) {
            return Err(DropReason::TooLong);
        }
        let port = self
            .ports
            .get_mut(from.index())
            .ok_or(DropReason::Nowhere)?;
        let vlan = port
            .config
            .membership
            .classify(header.tag)
            .ok_or(DropReason::Vlan)?;
        if !take(&mut port.rate, now, frame.length as u64) {
            return Err(DropReason::Rate);
        }
        if header.destination.is_link_local() {
            return Err(DropReason::LinkLocal);
        }
        if !self.may_send_as(from, header.source) {
            return Err(DropReason::Source);
        }
        if self.stations.learn(now, vlan, header.source, from) == Learned::NoRoom
            && let Some(port) = self.ports.get_mut(from.index())
        {
            port.counters.not_learned = port.counters.not_learned.saturating_add(1);
        }
        Ok(Admitted {
            destination: header.destination,
            tag: header.tag,
            vlan,
        })
    }

    /// Tells whether a station may send at a port: it is the port's own, or nobody's.
    fn may_send_as(&self, from: PortId, source: MacAddress) -> bool {
        let own = |port: &Port| port.config.station;
        match self.ports.get(from.index()).and_then(own) {
            Some(station) => station == source,
            None => self.ports.iter().all(|port| own(port) != Some(source)),
        }
    }

    /// Decides who gets an admitted frame.
    fn target(
        &mut self,
        now: u64,
        from: PortId,
        admitted: &Admitted,
    ) -> Result<Target, DropReason> {
        let group = admitted.destination.is_group();
        if !group && let Some(to) = self.stations.find(now, admitted.vlan, admitted.destination) {
            return match self.way(from, to, admitted) {
                Some(_) => Ok(Target::One(to)),
                None => Err(DropReason::Nowhere),
            };
        }
        let port = self
            .ports
            .get_mut(from.index())
            .ok_or(DropReason::Nowhere)?;
        let (bucket, reason) = if group {
            (&mut port.broadcast, DropReason::BroadcastStorm)
        } else {
            (&mut port.unknown, DropReason::UnknownStorm)
        };
        if take(bucket, now, 1) {
            Ok(Target::All)
        } else {
            Err(reason)
        }
    }

    /// Returns how a frame changes on its way to a port; `None` if there is no way.
    fn way(&self, from: PortId, to: PortId, admitted: &Admitted) -> Option<TagEdit> {
        if from == to || self.mirror == Some(to) {
            return None;
        }
        let sender = self.ports.get(from.index())?;
        let receiver = self.ports.get(to.index())?;
        let membership = &receiver.config.membership;
        if !sender.may_reach(receiver) || !membership.contains(admitted.vlan) {
            return None;
        }
        let wanted = membership.tags(admitted.vlan);
        Some(match (admitted.tag, wanted) {
            (None, false) => TagEdit::Keep,
            (None, true) => TagEdit::Insert(Tag::from_bits(admitted.vlan.get())),
            (Some(_), false) => TagEdit::Remove,
            (Some(tag), true) if tag.number() == admitted.vlan.get() => TagEdit::Keep,
            // A tag with a priority alone gets the VLAN that the port gave the frame.
            (Some(tag), true) => TagEdit::Replace(tag.with_vlan(admitted.vlan)),
        })
    }

    fn deliver(
        &mut self,
        to: PortId,
        length: usize,
        edit: TagEdit,
        deliver: &mut impl FnMut(Delivery) -> Receipt,
    ) -> Receipt {
        let receipt = deliver(Delivery { port: to, edit });
        if let Some(port) = self.ports.get_mut(to.index()) {
            match receipt {
                Receipt::Taken => port.counters.send(edited(length, edit) as u64),
                Receipt::NoRoom => port.counters.drop(DropReason::NoRoom),
            }
        }
        receipt
    }

    fn refuse(&mut self, from: PortId, reason: DropReason) -> Outcome {
        if let Some(port) = self.ports.get_mut(from.index()) {
            port.counters.drop(reason);
        }
        Outcome {
            verdict: Verdict::Dropped(reason),
            taken: 0,
        }
    }
}

/// A frame that came in.
#[derive(Clone, Copy, Debug)]
struct Admitted {
    destination: MacAddress,
    tag: Option<Tag>,
    vlan: VlanId,
}

enum Target {
    One(PortId),
    All,
}

/// Returns the length of a frame whose tag was edited.
fn edited(length: usize, edit: TagEdit) -> usize {
    match edit {
        TagEdit::Keep | TagEdit::Replace(_) => length,
        TagEdit::Remove => length.saturating_sub(TAG_SIZE),
        TagEdit::Insert(_) => length.saturating_add(TAG_SIZE),
    }
}
