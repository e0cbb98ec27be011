//! What the console device does.

use super::control::{Event, MESSAGE_BYTES, Message, News, Port};
use arrayvec::ArrayVec;
use device_model::migrate::Invalid;
use device_model::{BackendChange, Device, GuestError, Host, Migrate, Received, Wire};
use virtio::queue::{Attention, Next, Queue, QueueError};
use virtio::{
    ConfigEffect, ConfigSpace, ConfigWrite, DeviceId, Features, Turn, VirtioDevice, Work,
};

/// Most ports.
pub const MOST_PORTS: usize = 8;

/// Most descriptors of a queue.
const QUEUE_SIZE: u16 = 64;

/// Bytes of input that wait for a buffer of the driver's.
const INPUT: usize = 64;

/// How many bytes of output are copied at a time.
const PIECE: usize = 64;

/// VIRTIO_CONSOLE_F_SIZE.
const SIZE: Features = Features::from_bits_retain(1 << 0);
/// VIRTIO_CONSOLE_F_MULTIPORT.
const MULTIPORT: Features = Features::from_bits_retain(1 << 1);
/// VIRTIO_CONSOLE_F_EMERG_WRITE.
const EMERG_WRITE: Features = Features::from_bits_retain(1 << 2);

/// Offset of `emerg_wr` in the configuration.
const EMERGENCY: u64 = 8;

/// The queues of port 0 and of control; those of further ports follow in pairs.
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
const CONTROL_RECEIVE: usize = 2;
const CONTROL_TRANSMIT: usize = 3;

/// What is fixed when the device is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Number of ports: 1 to [`MOST_PORTS`].
    pub ports: u8,
    /// Characters in a line of the window.
    pub columns: u16,
    /// Lines of the window.
    pub rows: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ports: 1,
            columns: 80,
            rows: 25,
        }
    }
}

/// What the guest sees change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct State {
    /// Input that waits for a buffer, oldest first.
    pub input: ArrayVec<u8, INPUT>,
    /// The ports, as far as control messages go.
    pub ports: [Port; MOST_PORTS],
    /// Whether the driver has agreed to several ports.
    pub multiport: bool,
    /// The size of the window, if it is not that of the configuration: columns and rows.
    pub window: Option<[u16; 2]>,
}

/// A console device.
#[derive(Clone, Debug, PartialEq, Eq, Device)]
#[device(kind = "virtio-console", check = only_own_ports)]
pub struct VirtioConsole {
    config: Config,
    state: State,
}

impl VirtioDevice for VirtioConsole {
    fn id(&self) -> DeviceId {
        DeviceId(3)
    }

    fn features(&self) -> Features {
        SIZE | MULTIPORT | EMERG_WRITE
    }

    fn queue_sizes(&self) -> impl Iterator<Item = u16> {
        let count = self.ports().saturating_add(1).saturating_mul(2);
        core::iter::repeat_n(QUEUE_SIZE, count)
    }

    fn config(&self) -> ConfigSpace {
        let [columns, rows] = self.window();
        ConfigSpace::default()
            .half(columns)
            .half(rows)
            .word(u32::try_from(self.ports()).unwrap_or(1))
            .word(0) // emerg_wr is written only
    }

    fn write_config<H: Host>(
        &mut self,
        host: &mut H,
        _: Features,
        offset: u64,
        bytes: &[u8],
    ) -> ConfigWrite {
        // Meant for drivers that have not agreed to anything yet (5.3.4).
        match bytes {
            [byte, _, _, _] if offset == EMERGENCY => {
                host.transmit(*byte);
                ConfigWrite::Accepted
            }
            _ => ConfigWrite::Refused,
        }
    }

    fn start(&mut self, features: Features) {
        self.state.multiport = features.contains(MULTIPORT);
    }

    fn reset<H: Host>(&mut self, _: &mut H) {
        // The window is not the guest's.
        let window = self.state.window;
        self.state = State {
            window,
            ..State::default()
        };
    }

    fn byte_wire(&self) -> Wire {
        Wire::Present
    }

    fn work<H: Host>(&mut self, turn: &mut Turn<'_, '_>, host: &mut H) -> Result<(), QueueError> {
        for index in turn.order() {
            let Some((queue, work)) = turn.queue(index) else {
                continue;
            };
            if queue.attention() == Attention::None {
                continue;
            }
            match index {
                RECEIVE => self.deliver(queue, work, host)?,
                CONTROL_RECEIVE => self.tell(queue, work)?,
                CONTROL_TRANSMIT => self.listen(queue, work, host)?,
                TRANSMIT => send(queue, work, host)?,
                _ if index.is_multiple_of(2) => queue.rest(),
                _ => discard(queue, work)?,
            }
        }
        // What the driver said may have to be answered.
        if self.has_news()
            && let Some((queue, work)) = turn.queue(CONTROL_RECEIVE)
            && !work.is_spent()
        {
            queue.attend();
            self.tell(queue, work)?;
        }
        Ok(())
    }

    fn receive(&mut self, queues: &mut [Queue], byte: u8) -> Received {
        if self.state.input.try_push(byte).is_err() {
            return Received::Refused;
        }
        attend(queues, RECEIVE);
        Received::Accepted
    }

    fn backend_changed(&mut self, queues: &mut [Queue], change: BackendChange) -> ConfigEffect {
        match change {
            BackendChange::ConsoleSize { columns, rows } => {
                self.state.window = Some([columns, rows]);
                if self.state.multiport {
                    self.note(0, News::RESIZE);
                    attend(queues, CONTROL_RECEIVE);
                }
                ConfigEffect::Changed
            }
            BackendChange::DiskSize(_) | BackendChange::BalloonTarget(_) => ConfigEffect::Unchanged,
        }
    }
}

impl VirtioConsole {
    fn ports(&self) -> usize {
        ports(&self.config)
    }

    /// Returns columns and rows.
    fn window(&self) -> [u16; 2] {
        self.state
            .window
            .unwrap_or([self.config.columns, self.config.rows])
    }

    fn note(&mut self, port: usize, news: News) {
        if let Some(port) = self.state.ports.get_mut(port) {
            port.pending |= news;
        }
    }

    fn has_news(&self) -> bool {
        self.state.ports.iter().any(|port| !port.pending.is_empty())
    }

    /// Tells whether the guest wants input now.
    fn is_open(&self) -> bool {
        let first = self.state.ports.first();
        !self.state.multiport || first.is_some_and(|port| port.open)
    }

    /// Moves input into the driver's buffers.
    fn deliver<H: Host>(
        &mut self,
        queue: &mut Queue,
        work: &mut Work<'_>,
        host: &mut H,
    ) -> Result<(), QueueError> {
        while !self.state.input.is_empty() && self.is_open() {
            match queue.next(work)? {
                Next::Chain => {}
                Next::Empty | Next::Spent => return Ok(()),
            }
            let chain = queue.chain();
            let count = chain.write(work, &self.state.input)?;
            let written = chain.written();
            self.state.input.drain(..count);
            queue.complete(work, written)?;
            host.input_wanted();
        }
        queue.rest();
        Ok(())
    }

    /// Takes the driver's control messages.
    fn listen<H: Host>(
        &mut self,
        queue: &mut Queue,
        work: &mut Work<'_>,
        host: &mut H,
    ) -> Result<(), QueueError> {
        while queue.next(work)? == Next::Chain {
            let mut bytes = [0; MESSAGE_BYTES];
            if queue.chain().read(work, &mut bytes)? == MESSAGE_BYTES {
                self.take_message(Message::from_bytes(bytes), host);
            } else {
                host.guest_error(GuestError::BadRequest, 0);
            }
            queue.complete(work, 0)?;
        }
        Ok(())
    }

    fn take_message<H: Host>(&mut self, message: Message, host: &mut H) {
        const READY: u16 = Event::DeviceReady as u16;
        const PORT_READY: u16 = Event::PortReady as u16;
        const OPEN: u16 = Event::PortOpen as u16;
        let count = self.ports();
        let port = usize::try_from(message.port)
            .ok()
            .filter(|port| *port < count);
        match (message.event, port) {
            (READY, _) if message.value == 1 => {
                for port in 0..count {
                    self.note(port, News::ADD);
                }
            }
            (PORT_READY, Some(0)) if message.value == 1 => {
                self.note(0, News::CONSOLE | News::RESIZE | News::OPEN);
            }
            (OPEN, Some(port)) => {
                if let Some(port) = self.state.ports.get_mut(port) {
                    port.open = message.value != 0;
                }
            }
            // The driver could not add the device or the port: there is nothing to be done.
            (READY | PORT_READY, _) => {}
            _ => host.guest_error(GuestError::BadRequest, 0),
        }
    }

    /// Sends the driver what it is to be told, as far as there are buffers.
    fn tell(&mut self, queue: &mut Queue, work: &mut Work<'_>) -> Result<(), QueueError> {
        let [columns, rows] = self.window();
        for (number, port) in (0_u32..).zip(&mut self.state.ports) {
            while let Some(news) = port.pending.first() {
                match queue.next(work)? {
                    Next::Chain => {}
                    Next::Empty | Next::Spent => return Ok(()),
                }
                let message = |event: Event| Message {
                    port: number,
                    event: event as u16,
                    value: 1,
                };
                let (event, size) = match news {
                    News::ADD => (Event::PortAdd, false),
                    News::CONSOLE => (Event::ConsolePort, false),
                    News::RESIZE => (Event::Resize, true),
                    _ => (Event::PortOpen, false),
                };
                let chain = queue.chain();
                chain.write(work, &message(event).to_bytes())?;
                if size {
                    chain.write(work, &columns.to_le_bytes())?;
                    chain.write(work, &rows.to_le_bytes())?;
                }
                let written = chain.written();
                queue.complete(work, written)?;
                port.pending.remove(news);
            }
        }
        queue.rest();
        Ok(())
    }
}

/// Checks that a restored state says nothing of ports that the device has not.
fn only_own_ports(config: &Config, state: &State) -> Result<(), Invalid> {
    let count = ports(config);
    let mut others = (0_u64..).zip(&state.ports).skip(count);
    match others.find(|(_, port)| **port != Port::default()) {
        Some((number, _)) => Err(Invalid::new("ports", number)),
        None => Ok(()),
    }
}

fn ports(config: &Config) -> usize {
    usize::from(config.ports).clamp(1, MOST_PORTS)
}

/// Sends what the guest writes to port 0, as much as the back end takes at a time.
fn send<H: Host>(queue: &mut Queue, work: &mut Work<'_>, host: &mut H) -> Result<(), QueueError> {
    while queue.next(work)? == Next::Chain {
        let chain = queue.chain();
        while chain.unread() != 0 {
            let mut bytes = [0; PIECE];
            let room = host.transmit_room().min(PIECE);
            let Some(piece) = bytes.get_mut(..room).filter(|_| room != 0) else {
                // The queue stays due: the rest goes with the next turn.
                return Ok(());
            };
            let count = chain.read(work, piece)?;
            for byte in piece.iter().take(count) {
                host.transmit(*byte);
            }
            if work.is_spent() {
                return Ok(());
            }
        }
        queue.complete(work, 0)?;
    }
    Ok(())
}

/// Takes what the guest writes to a port that nothing is connected to.
fn discard(queue: &mut Queue, work: &mut Work<'_>) -> Result<(), QueueError> {
    while queue.next(work)? == Next::Chain {
        queue.complete(work, 0)?;
    }
    Ok(())
}

fn attend(queues: &mut [Queue], index: usize) {
    if let Some(queue) = queues.get_mut(index) {
        queue.attend();
    }
}
