//! What the balloon does.

use addr::{Ipa, PAGE_SIZE};
use device_model::{BackendChange, Device, Host, Migrate, Wire};
use virtio::queue::{Attention, Next, Queue, QueueError};
use virtio::{
    ConfigEffect, ConfigSpace, ConfigWrite, DeviceId, Features, Turn, VirtioDevice, Work,
};

/// Most descriptors of a queue.
const QUEUE_SIZE: u16 = 128;

/// How many statistics are kept: all that virtio 1.3 names, and some more.
pub const MOST_STATISTICS: usize = 16;

/// Size of a statistic in bytes: a tag of 16 bits and a value of 64.
const STATISTIC_BYTES: usize = 10;

/// How many page numbers are copied at a time.
const PIECE: usize = 64;

/// VIRTIO_BALLOON_F_MUST_TELL_HOST.
const MUST_TELL_HOST: Features = Features::from_bits_retain(1 << 0);
/// VIRTIO_BALLOON_F_STATS_VQ.
const STATS_VQ: Features = Features::from_bits_retain(1 << 1);
/// VIRTIO_BALLOON_F_DEFLATE_ON_OOM.
const DEFLATE_ON_OOM: Features = Features::from_bits_retain(1 << 2);
/// VIRTIO_BALLOON_F_PAGE_REPORTING.
const PAGE_REPORTING: Features = Features::from_bits_retain(1 << 5);

/// Offset of `actual` in the configuration.
const ACTUAL: u64 = 4;

/// The queues that are always there. The others follow without gaps, as far as they were agreed
/// upon: that is how drivers count them.
const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const FIRST_OPTIONAL: usize = 2;

/// What is fixed when the device is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How often the driver is asked for statistics, in nanoseconds; `None`: only once.
    pub statistics_interval: Option<u64>,
}

/// What the guest sees change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct State {
    /// How many pages the guest is asked to give back.
    pub target: u32,
    /// How many it says it has given back.
    pub actual: u32,
    /// Whether statistics were agreed upon.
    pub has_statistics: bool,
    /// Whether reports of free pages were agreed upon.
    pub has_reports: bool,
    /// What the guest said last of each statistic, by its tag (5.5.6.3).
    pub statistics: [Option<u64>; MOST_STATISTICS],
}

/// A memory balloon.
#[derive(Clone, Debug, PartialEq, Eq, Device)]
#[device(kind = "virtio-balloon")]
pub struct VirtioBalloon {
    config: Config,
    state: State,
    /// Whether the driver's buffer for statistics is to be given back, so that it brings new ones.
    ask: Ask,
}

/// Whether the driver is asked for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ask {
    #[default]
    No,
    Yes,
}

impl VirtioDevice for VirtioBalloon {
    fn id(&self) -> DeviceId {
        DeviceId(5)
    }

    fn features(&self) -> Features {
        MUST_TELL_HOST | STATS_VQ | DEFLATE_ON_OOM | PAGE_REPORTING
    }

    fn queue_sizes(&self) -> impl Iterator<Item = u16> {
        [QUEUE_SIZE; 4].into_iter()
    }

    fn config(&self) -> ConfigSpace {
        ConfigSpace::default()
            .word(self.state.target)
            .word(self.state.actual)
            .double(0) // free_page_hint_cmd_id, poison_val: not offered
    }

    fn write_config<H: Host>(
        &mut self,
        _: &mut H,
        _: Features,
        offset: u64,
        bytes: &[u8],
    ) -> ConfigWrite {
        match <[u8; 4]>::try_from(bytes) {
            Ok(bytes) if offset == ACTUAL => {
                self.state.actual = u32::from_le_bytes(bytes);
                ConfigWrite::Accepted
            }
            Ok(_) | Err(_) => ConfigWrite::Refused,
        }
    }

    fn start(&mut self, features: Features) {
        self.state.has_statistics = features.contains(STATS_VQ);
        self.state.has_reports = features.contains(PAGE_REPORTING);
    }

    fn reset<H: Host>(&mut self, host: &mut H) {
        // What is asked for is not the guest's.
        self.state = State {
            target: self.state.target,
            ..State::default()
        };
        self.ask = Ask::No;
        host.cancel_timer();
    }

    fn clock_wire(&self) -> Wire {
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
            if index == INFLATE {
                pages(queue, work, Work::pages_unused)?;
            } else if index == DEFLATE {
                pages(queue, work, Work::pages_used)?;
            } else if Some(index) == self.statistics_queue() {
                self.take_statistics(queue, work, host)?;
            } else if Some(index) == self.report_queue() {
                take_reports(queue, work)?;
            } else {
                queue.rest();
            }
        }
        Ok(())
    }

    fn backend_changed(&mut self, _: &mut [Queue], change: BackendChange) -> ConfigEffect {
        match change {
            BackendChange::BalloonTarget(pages) => {
                self.state.target = pages;
                ConfigEffect::Changed
            }
            BackendChange::DiskSize(_) | BackendChange::ConsoleSize { .. } => {
                ConfigEffect::Unchanged
            }
        }
    }

    fn timer_expired<H: Host>(&mut self, queues: &mut [Queue], _: &mut H) {
        let queue = self
            .statistics_queue()
            .and_then(|index| queues.get_mut(index));
        if let Some(queue) = queue {
            self.ask = Ask::Yes;
            queue.attend();
        }
    }
}

impl VirtioBalloon {
    fn statistics_queue(&self) -> Option<usize> {
        self.state.has_statistics.then_some(FIRST_OPTIONAL)
    }

    fn report_queue(&self) -> Option<usize> {
        let before = usize::from(self.state.has_statistics);
        self.state
            .has_reports
            .then(|| FIRST_OPTIONAL.saturating_add(before))
    }

    /// Takes the driver's statistics and keeps its buffer until new ones are wanted (5.5.6.3).
    fn take_statistics<H: Host>(
        &mut self,
        queue: &mut Queue,
        work: &mut Work<'_>,
        host: &mut H,
    ) -> Result<(), QueueError> {
        while queue.next(work)? == Next::Chain {
            let chain = queue.chain();
            if chain.unread() == 0 && self.ask == Ask::Yes {
                self.ask = Ask::No;
                queue.complete(work, 0)?;
                continue;
            }
            // A buffer may be much longer than what is kept of it.
            for _ in 0..MOST_STATISTICS {
                let mut bytes = [0; STATISTIC_BYTES];
                if chain.read(work, &mut bytes)? < STATISTIC_BYTES {
                    break;
                }
                self.take_statistic(bytes);
            }
            while let Some(rest) = chain.next_readable(u32::MAX) {
                chain.skip_readable(rest.length);
            }
            if self.ask == Ask::No {
                queue.rest();
                if let Some(interval) = self.config.statistics_interval {
                    host.arm_timer(host.now().saturating_add(interval));
                }
                return Ok(());
            }
        }
        Ok(())
    }

    fn take_statistic(&mut self, bytes: [u8; STATISTIC_BYTES]) {
        let [t0, t1, value @ ..] = bytes;
        let tag = usize::from(u16::from_le_bytes([t0, t1]));
        if let Some(place) = self.state.statistics.get_mut(tag) {
            *place = Some(u64::from_le_bytes(value));
        }
    }
}

/// Takes page numbers, and tells the back end of each run of pages.
fn pages<'w>(
    queue: &mut Queue,
    work: &mut Work<'w>,
    tell: impl Fn(&mut Work<'w>, Ipa, u64),
) -> Result<(), QueueError> {
    while queue.next(work)? == Next::Chain {
        loop {
            if work.is_spent() {
                return Ok(());
            }
            let mut bytes = [0; 4 * PIECE];
            let count = queue.chain().read(work, &mut bytes)?;
            let numbers = bytes.get(..count).unwrap_or_default().as_chunks::<4>().0;
            let mut run: Option<(u64, u64)> = None;
            for number in numbers {
                let page = u64::from(u32::from_le_bytes(*number));
                run = Some(match run {
                    Some((first, length)) if first.saturating_add(length) == page => {
                        (first, length.saturating_add(1))
                    }
                    Some((first, length)) => {
                        tell_run(work, &tell, first, length);
                        (page, 1)
                    }
                    None => (page, 1),
                });
            }
            if let Some((first, length)) = run {
                tell_run(work, &tell, first, length);
            }
            if count < bytes.len() {
                break;
            }
        }
        queue.complete(work, 0)?;
    }
    Ok(())
}

fn tell_run<'w>(
    work: &mut Work<'w>,
    tell: &impl Fn(&mut Work<'w>, Ipa, u64),
    first: u64,
    length: u64,
) {
    tell(work, Ipa::new(first.saturating_mul(PAGE_SIZE)), length);
}

/// Takes reports of free pages: the buffers are the pages (5.5.6.7). The guest does not use them
/// before their chain comes back, and expects nothing of what is in them then.
fn take_reports(queue: &mut Queue, work: &mut Work<'_>) -> Result<(), QueueError> {
    while queue.next(work)? == Next::Chain {
        while let Some(piece) = queue.chain().next_writable(u32::MAX) {
            if work.is_spent() {
                return Ok(());
            }
            work.pages_unused(piece.address, u64::from(piece.length) / PAGE_SIZE);
            queue.chain().skip_writable(piece.length);
        }
        queue.complete(work, 0)?;
    }
    Ok(())
}
