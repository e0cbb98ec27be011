//! What the entropy device does: it fills buffers from [`device_model::Entropy`].

use addr::Ipa;
use device_model::{Device, Host, Migrate, Wire};
use virtio::queue::{Attention, Next, Queue, QueueError};
use virtio::{DeviceId, Features, Turn, VirtioDevice, Work};

/// Most descriptors of the queue.
const QUEUE_SIZE: u16 = 64;

/// Most bytes of one answer. The driver asks again (5.4.6: at least one byte).
const MOST: u32 = 128;

/// How many bytes are fetched at a time.
const PIECE: u32 = 64;

/// How long to wait for more if the source has none, in nanoseconds.
const PATIENCE: u64 = 10_000_000;

/// What is fixed when the device is made: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config;

/// What the guest sees change: nothing but its queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
pub struct State {}

/// An entropy device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Device)]
#[device(kind = "virtio-rng")]
pub struct VirtioRng {
    config: Config,
    state: State,
}

impl VirtioDevice for VirtioRng {
    fn id(&self) -> DeviceId {
        DeviceId(4)
    }

    fn features(&self) -> Features {
        Features::empty()
    }

    fn queue_sizes(&self) -> impl Iterator<Item = u16> {
        [QUEUE_SIZE].into_iter()
    }

    fn reset<H: Host>(&mut self, host: &mut H) {
        host.cancel_timer();
    }

    fn clock_wire(&self) -> Wire {
        Wire::Present
    }

    fn work<H: Host>(&mut self, turn: &mut Turn<'_, '_>, host: &mut H) -> Result<(), QueueError> {
        let Some((queue, work)) = turn.queue(0) else {
            return Ok(());
        };
        if queue.attention() == Attention::None {
            return Ok(());
        }
        while queue.next(work)? == Next::Chain {
            let written = fill(queue, work)?;
            if work.is_spent() && written == 0 {
                return Ok(());
            }
            if written == 0 && queue.chain().writable() != 0 {
                // The source has nothing now. The chain stays for the next attempt.
                queue.rest();
                host.arm_timer(host.now().saturating_add(PATIENCE));
                return Ok(());
            }
            queue.complete(work, written)?;
        }
        Ok(())
    }

    fn timer_expired<H: Host>(&mut self, queues: &mut [Queue], _: &mut H) {
        for queue in queues {
            queue.attend();
        }
    }
}

/// Writes random bytes into the queue's chain; returns how many it has now.
fn fill(queue: &mut Queue, work: &mut Work<'_>) -> Result<u32, QueueError> {
    let chain = queue.chain();
    while chain.written() < MOST {
        let wanted = work.entropy_allowance(MOST.saturating_sub(chain.written()).min(PIECE));
        let Some(piece) = chain.next_writable(wanted).filter(|it| it.length != 0) else {
            break;
        };
        let copied = random_bytes(work, piece.address, piece.length)?;
        chain.skip_writable(copied);
        if copied < piece.length {
            break;
        }
    }
    Ok(chain.written())
}

/// Copies up to `length` random bytes, at most [`PIECE`], to guest memory.
fn random_bytes(work: &mut Work<'_>, target: Ipa, length: u32) -> Result<u32, QueueError> {
    let mut bytes = [0; PIECE as usize];
    let count = usize::try_from(length.min(PIECE)).unwrap_or(0);
    let wanted = bytes.get_mut(..count).unwrap_or_default();
    let count = work.entropy(wanted);
    let fresh = bytes.get(..count).unwrap_or_default();
    if !fresh.is_empty() {
        work.write(target, fresh)?;
    }
    Ok(u32::try_from(count).unwrap_or(0))
}
