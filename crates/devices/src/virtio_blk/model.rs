//! What the block device does.

use super::request::{
    BLK_SIZE, CONFIG_WCE, DISCARD, FLUSH, HEADER_BYTES, Header, ID_BYTES, MQ, Outcome, RANGE_BYTES,
    RO, RequestKind, SECTOR, SEG_MAX, SectorRange, TOPOLOGY, WRITE_ZEROES,
};
use super::state::{Access, Cache, Config, Job, RangeKind, Request, State};
use alloc::vec::Vec;
use device_model::migrate::{Plain, Reader, RestoreError, Wire, Writer, restore_all};
use device_model::{BackendChange, GuestError, Host, Migrate};
use virtio::queue::{Attention, Next, Queue, QueueError};
use virtio::{
    ConfigEffect, ConfigSpace, ConfigWrite, DeviceId, Features, Turn, VirtioDevice, Work,
};

/// Most descriptors of a queue.
const QUEUE_SIZE: u16 = 256;

/// Most segments of data in a request: what a queue's longest chain has beside header and status.
const MOST_SEGMENTS: u32 = QUEUE_SIZE as u32 - 2;

/// Most ranges of a DISCARD or WRITE_ZEROES request.
const MOST_RANGES: u32 = 64;

/// Most sectors of such a range: 1 GiB.
const MOST_RANGE_SECTORS: u32 = 1 << 21;

/// Offset of `writeback` in the configuration.
const WRITEBACK: u64 = 32;

/// A block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtioBlk {
    config: Config,
    state: State,
    /// Size of the disk in sectors. The disk's, not the guest's: it is not restored.
    sectors: u64,
    /// The request in work of each queue.
    requests: Vec<Option<Request>>,
}

impl VirtioDevice for VirtioBlk {
    fn id(&self) -> DeviceId {
        DeviceId(2)
    }

    fn features(&self) -> Features {
        let mut features = SEG_MAX | BLK_SIZE | FLUSH | TOPOLOGY | CONFIG_WCE;
        features |= match self.config.access {
            Access::ReadWrite => DISCARD | WRITE_ZEROES,
            Access::ReadOnly => RO,
        };
        if self.config.queues > 1 {
            features |= MQ;
        }
        features
    }

    fn queue_sizes(&self) -> impl Iterator<Item = u16> {
        core::iter::repeat_n(QUEUE_SIZE, usize::from(self.config.queues))
    }

    fn config(&self) -> ConfigSpace {
        let block = self.config.block_size;
        let alignment = block.checked_div(512).unwrap_or(1);
        ConfigSpace::default()
            .double(self.sectors)
            .word(0) // size_max: not offered
            .word(MOST_SEGMENTS)
            .word(0) // geometry: not offered
            .word(block)
            // Topology: physical blocks as large as logical ones, I/O best in pages.
            .byte(0)
            .byte(0)
            .half(u16::try_from(4096_u32.checked_div(block).unwrap_or(1)).unwrap_or(1))
            .word(0)
            .byte(match self.state.cache {
                Cache::WriteThrough => 0,
                Cache::WriteBack => 1,
            })
            .byte(0)
            .half(self.config.queues)
            .word(MOST_RANGE_SECTORS)
            .word(MOST_RANGES)
            .word(alignment)
            .word(MOST_RANGE_SECTORS)
            .word(MOST_RANGES)
            .byte(1) // write_zeroes_may_unmap
            .bytes(&[0; 3])
    }

    fn write_config<H: Host>(
        &mut self,
        _: &mut H,
        features: Features,
        offset: u64,
        bytes: &[u8],
    ) -> ConfigWrite {
        if offset != WRITEBACK || !features.contains(CONFIG_WCE) {
            return ConfigWrite::Refused;
        }
        self.state.cache = match bytes {
            [0] => Cache::WriteThrough,
            [1] => Cache::WriteBack,
            _ => return ConfigWrite::Refused,
        };
        ConfigWrite::Accepted
    }

    fn start(&mut self, features: Features) {
        // A driver that cannot flush must find every completed write safe (5.2.5.2).
        if !features.intersects(FLUSH | CONFIG_WCE) {
            self.state.cache = Cache::WriteThrough;
        }
    }

    fn reset<H: Host>(&mut self, _: &mut H) {
        self.requests.fill(None);
        self.state.cache = Cache::default();
    }

    fn work<H: Host>(&mut self, turn: &mut Turn<'_, '_>, host: &mut H) -> Result<(), QueueError> {
        for index in turn.order() {
            if let Some((queue, work)) = turn.queue(index)
                && queue.attention() == Attention::Due
            {
                self.serve(index, queue, work, host)?;
            }
        }
        Ok(())
    }

    fn backend_changed(&mut self, _: &mut [Queue], change: BackendChange) -> ConfigEffect {
        match change {
            BackendChange::DiskSize(bytes) => {
                self.sectors = sectors(bytes);
                ConfigEffect::Changed
            }
            BackendChange::ConsoleSize { .. } | BackendChange::BalloonTarget(_) => {
                ConfigEffect::Unchanged
            }
        }
    }
}

impl Migrate for VirtioBlk {
    fn kind(&self) -> &'static str {
        "virtio-blk"
    }

    fn save(&self, out: &mut Writer) {
        self.state.to_wire().write(out);
    }

    fn restore(&mut self, input: &mut Reader<'_>) -> Result<(), RestoreError> {
        self.state = restore_all(input)?;
        self.requests.fill(None);
        Ok(())
    }
}

impl VirtioBlk {
    /// Makes a block device.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let config = Config {
            queues: config.queues.max(1),
            block_size: config.block_size.max(512),
            ..config
        };
        Self {
            config,
            state: State::default(),
            sectors: sectors(config.bytes),
            requests: Vec::from_iter((0..config.queues).map(|_| None)),
        }
    }

    /// Returns what is fixed.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the state, for comparison and inspection.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Carries out requests of a queue.
    fn serve<H: Host>(
        &mut self,
        index: usize,
        queue: &mut Queue,
        work: &mut Work<'_>,
        host: &mut H,
    ) -> Result<(), QueueError> {
        while queue.next(work)? == Next::Chain {
            let mut request = match self.requests.get(index).copied().flatten() {
                Some(request) => request,
                None => match self.begin(queue, work)? {
                    Some(request) => request,
                    None => {
                        // No room for a status: nothing can be answered.
                        host.guest_error(GuestError::BadRequest, 0);
                        queue.complete(work, 0)?;
                        continue;
                    }
                },
            };
            while !matches!(request.job, Job::Done(_)) && !work.is_spent() {
                request.job = self.step(request, queue, work);
            }
            let Some(place) = self.requests.get_mut(index) else {
                return Ok(());
            };
            let Job::Done(outcome) = request.job else {
                *place = Some(request);
                return Ok(());
            };
            *place = None;
            finish(queue, work, request.room, outcome)?;
        }
        Ok(())
    }

    /// Reads a request's header and checks it; `None` if the chain has no room for a status.
    fn begin(&self, queue: &mut Queue, work: &mut Work<'_>) -> Result<Option<Request>, QueueError> {
        let chain = queue.chain();
        let Some(room) = chain.writable().checked_sub(1) else {
            return Ok(None);
        };
        let mut bytes = [0; HEADER_BYTES];
        let job = if chain.read(work, &mut bytes)? == HEADER_BYTES {
            self.job(Header::from_bytes(bytes), room, chain.unread())
        } else {
            Job::Done(Outcome::IoError)
        };
        Ok(Some(Request { job, room }))
    }

    /// Decides what a header asks for, with `room` bytes for the answer and `data` bytes given.
    fn job(&self, header: Header, room: u32, data: u32) -> Job {
        const FAILED: Job = Job::Done(Outcome::IoError);
        let writes = match header.kind {
            RequestKind::Out | RequestKind::Discard | RequestKind::WriteZeroes => true,
            RequestKind::In | RequestKind::Flush | RequestKind::GetId | RequestKind::Unknown(_) => {
                false
            }
        };
        if writes && self.config.access == Access::ReadOnly {
            return FAILED;
        }
        match header.kind {
            RequestKind::In => match self.place(header.sector, u64::from(room)) {
                Some(offset) => Job::Read { offset },
                None => FAILED,
            },
            RequestKind::Out => match self.place(header.sector, u64::from(data)) {
                Some(offset) => Job::Write { offset },
                None => FAILED,
            },
            RequestKind::Flush => Job::Flush,
            RequestKind::GetId => Job::GetId,
            RequestKind::Discard => ranges(data, RangeKind::Discard),
            RequestKind::WriteZeroes => ranges(data, RangeKind::Zero),
            RequestKind::Unknown(_) => Job::Done(Outcome::Unsupported),
        }
    }

    /// Returns where `bytes` bytes from a sector on lie; `None` if they are not whole sectors of the
    /// disk.
    fn place(&self, sector: u64, bytes: u64) -> Option<u64> {
        let count = bytes
            .checked_div(SECTOR)
            .filter(|_| bytes.is_multiple_of(SECTOR))?;
        let end = sector.checked_add(count)?;
        (end <= self.sectors)
            .then(|| sector.checked_mul(SECTOR))
            .flatten()
    }

    /// Does a piece of a request.
    fn step(&self, request: Request, queue: &mut Queue, work: &mut Work<'_>) -> Job {
        match request.job {
            Job::Read { offset } => read(queue, work, request.room, offset),
            Job::Write { offset } => self.write(queue, work, offset),
            Job::Flush => done(work.flush_disk()),
            Job::GetId => self.identify(queue, work, request.room),
            Job::Ranges(kind) => self.next_range(queue, work, kind),
            Job::Clear {
                kind,
                offset,
                bytes,
            } => clear(work, kind, offset, bytes),
            Job::Done(outcome) => Job::Done(outcome),
        }
    }

    fn write(&self, queue: &mut Queue, work: &mut Work<'_>, offset: u64) -> Job {
        let chain = queue.chain();
        let most = work.write_allowance(chain.unread());
        let Some(piece) = chain.next_readable(most) else {
            return match self.state.cache {
                Cache::WriteThrough => Job::Flush,
                Cache::WriteBack => Job::Done(Outcome::Ok),
            };
        };
        let bytes = u64::from(piece.length);
        if work.write_disk(offset, piece.address, bytes).is_err() {
            return Job::Done(Outcome::IoError);
        }
        chain.skip_readable(piece.length);
        Job::Write {
            offset: offset.saturating_add(bytes),
        }
    }

    fn identify(&self, queue: &mut Queue, work: &mut Work<'_>, room: u32) -> Job {
        let count = usize::try_from(room).unwrap_or(usize::MAX).min(ID_BYTES);
        let id = self.config.id.get(..count).unwrap_or_default();
        done(queue.chain().write(work, id))
    }

    /// Reads the next range to be cleared.
    fn next_range(&self, queue: &mut Queue, work: &mut Work<'_>, kind: RangeKind) -> Job {
        let chain = queue.chain();
        if chain.unread() == 0 {
            return Job::Done(Outcome::Ok);
        }
        let mut bytes = [0; RANGE_BYTES];
        if chain.read(work, &mut bytes) != Ok(RANGE_BYTES) {
            return Job::Done(Outcome::IoError);
        }
        let range = SectorRange::from_bytes(bytes);
        let allowed = match kind {
            RangeKind::Discard => 0,
            RangeKind::Zero => SectorRange::UNMAP,
        };
        if range.flags & !allowed != 0 {
            return Job::Done(Outcome::Unsupported);
        }
        let bytes = u64::from(range.count).saturating_mul(SECTOR);
        match self.place(range.sector, bytes) {
            Some(offset) if range.count <= MOST_RANGE_SECTORS => Job::Clear {
                kind,
                offset,
                bytes,
            },
            _ => Job::Done(Outcome::IoError),
        }
    }
}

fn read(queue: &mut Queue, work: &mut Work<'_>, room: u32, offset: u64) -> Job {
    let chain = queue.chain();
    let left = room.saturating_sub(chain.written());
    if left == 0 {
        return Job::Done(Outcome::Ok);
    }
    let Some(piece) = chain.next_writable(work.allowance(left)) else {
        return Job::Done(Outcome::IoError);
    };
    let bytes = u64::from(piece.length);
    if work.read_disk(offset, piece.address, bytes).is_err() {
        return Job::Done(Outcome::IoError);
    }
    chain.skip_writable(piece.length);
    Job::Read {
        offset: offset.saturating_add(bytes),
    }
}

/// Discards or zeroes a piece of a range.
fn clear(work: &mut Work<'_>, kind: RangeKind, offset: u64, bytes: u64) -> Job {
    if bytes == 0 {
        return Job::Ranges(kind);
    }
    let (piece, cleared) = match kind {
        RangeKind::Discard => {
            let piece = work.discard_allowance(bytes);
            (piece, work.discard_disk(offset, piece))
        }
        RangeKind::Zero => {
            let most = u32::try_from(bytes).unwrap_or(u32::MAX);
            let piece = u64::from(work.write_allowance(most));
            (piece, work.zero_disk(offset, piece))
        }
    };
    if cleared.is_err() {
        return Job::Done(Outcome::IoError);
    }
    Job::Clear {
        kind,
        offset: offset.saturating_add(piece),
        bytes: bytes.saturating_sub(piece),
    }
}

fn ranges(data: u32, kind: RangeKind) -> Job {
    let size = u32::try_from(RANGE_BYTES).unwrap_or(u32::MAX);
    let most = MOST_RANGES.saturating_mul(size);
    if data.is_multiple_of(size) && data <= most {
        Job::Ranges(kind)
    } else {
        Job::Done(Outcome::IoError)
    }
}

fn done<T, E>(result: Result<T, E>) -> Job {
    Job::Done(match result {
        Ok(_) => Outcome::Ok,
        Err(_) => Outcome::IoError,
    })
}

/// Writes the status, which is the last byte of the answer, and gives the chain back.
fn finish(
    queue: &mut Queue,
    work: &mut Work<'_>,
    room: u32,
    outcome: Outcome,
) -> Result<(), QueueError> {
    if let Some(status) = queue.chain().last_writable() {
        work.write(status, &[outcome as u8])?;
    }
    // Also after an error: the driver looks for the status there.
    queue.complete(work, room.saturating_add(1))
}

fn sectors(bytes: u64) -> u64 {
    bytes.checked_div(SECTOR).unwrap_or(0)
}
