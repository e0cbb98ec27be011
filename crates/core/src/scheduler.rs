//! Which vCPU runs where.
//!
//! Every CPU has a queue of the vCPUs that are ready, first come first served, with a time slice
//! that the role measures. A pinned vCPU stays with its CPU. A floating one goes to an idle CPU if
//! there is one, else to the shortest queue, and an idle CPU takes floating ones from the longest
//! queue. The whole is a plain value behind one lock; each call touches each CPU once at the most.

use addr::{CpuId, VcpuId};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

/// Where a vCPU may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// On one CPU.
    Pinned(CpuId),
    /// On any CPU; `last` is where it ran last, whose caches it may still find.
    Floating {
        /// The CPU that ran it last.
        last: CpuId,
    },
}

/// Where a vCPU was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an idle CPU sleeps until it is kicked"]
pub struct Placement {
    /// The CPU in whose queue it stands.
    pub cpu: CpuId,
    /// What that CPU was doing.
    pub found: Found,
}

/// What a CPU shall run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The vCPU, which stands in no queue any more.
    pub vcpu: VcpuId,
    /// How many others wait for the same CPU.
    pub others: usize,
}

/// What a CPU was doing when a vCPU was put into its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It sleeps, and must be kicked.
    Idle,
    /// It runs something, and looks into its queue when that one's time is over. It must be told
    /// that somebody waits, if it let its vCPU run without a limit.
    Busy,
}

/// Why a vCPU could not be put anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulerError {
    /// It is pinned to a CPU that the machine has not.
    NoSuchCpu {
        /// The CPU.
        cpu: CpuId,
    },
    /// The queue holds as many vCPUs as there are: one stands in it twice.
    QueueFull {
        /// The CPU whose queue it is.
        cpu: CpuId,
    },
}

impl fmt::Display for SchedulerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCpu { cpu } => write!(f, "there is no CPU {cpu}"),
            Self::QueueFull { cpu } => write!(f, "the run queue of CPU {cpu} is full"),
        }
    }
}

impl core::error::Error for SchedulerError {}

#[derive(Debug)]
struct Queue {
    ready: VecDeque<(VcpuId, Affinity)>,
    state: Found,
}

/// The run queues of all CPUs.
#[derive(Debug)]
pub struct Scheduler {
    queues: Vec<Queue>,
    capacity: usize,
}

impl Scheduler {
    /// Makes empty queues for `cpus` CPUs, all of them busy, with room for `vcpus` vCPUs in each.
    #[must_use]
    pub fn new(cpus: usize, vcpus: usize) -> Self {
        let queue = || Queue {
            ready: VecDeque::with_capacity(vcpus),
            state: Found::Busy,
        };
        Self {
            queues: (0..cpus).map(|_| queue()).collect(),
            capacity: vcpus,
        }
    }

    /// Puts a vCPU that has become ready into a queue.
    ///
    /// # Errors
    /// [`SchedulerError`] if it is pinned to a CPU that is not there, or the queue is full.
    pub fn enqueue(
        &mut self,
        vcpu: VcpuId,
        affinity: Affinity,
    ) -> Result<Placement, SchedulerError> {
        let cpu = match affinity {
            Affinity::Pinned(cpu) => cpu,
            Affinity::Floating { last } => self.place(last),
        };
        let capacity = self.capacity;
        let queue = self
            .queues
            .get_mut(cpu.index())
            .ok_or(SchedulerError::NoSuchCpu { cpu })?;
        if queue.ready.len() >= capacity {
            return Err(SchedulerError::QueueFull { cpu });
        }
        queue.ready.push_back((vcpu, affinity));
        // From here on the CPU counts as busy: the next vCPU goes elsewhere.
        let found = core::mem::replace(&mut queue.state, Found::Busy);
        Ok(Placement { cpu, found })
    }

    /// Takes out the vCPU that `cpu` shall run now. A CPU whose queue is empty helps the longest
    /// one; if nobody waits, it counts as idle until something is put into its queue.
    #[inline]
    pub fn next(&mut self, cpu: CpuId) -> Option<Chosen> {
        let own = self.queues.get_mut(cpu.index())?;
        if let Some((vcpu, _)) = own.ready.pop_front() {
            own.state = Found::Busy;
            let others = own.ready.len();
            return Some(Chosen { vcpu, others });
        }
        let stolen = self.steal();
        if let Some(own) = self.queues.get_mut(cpu.index()) {
            own.state = if stolen.is_some() {
                Found::Busy
            } else {
                Found::Idle
            };
        }
        stolen.map(|vcpu| Chosen { vcpu, others: 0 })
    }

    /// Tells how many vCPUs wait for `cpu`.
    #[must_use]
    pub fn waiting(&self, cpu: CpuId) -> usize {
        self.queues
            .get(cpu.index())
            .map_or(0, |queue| queue.ready.len())
    }

    /// Chooses the CPU for a floating vCPU: the last one if it is idle, else the first idle one,
    /// else the one with the shortest queue, the last one if that is among them.
    fn place(&self, last: CpuId) -> CpuId {
        let length = |cpu: CpuId| {
            self.queues
                .get(cpu.index())
                .map_or(usize::MAX, |queue| match queue.state {
                    Found::Idle => 0,
                    Found::Busy => queue.ready.len().saturating_add(1),
                })
        };
        let mut best = last;
        for cpu in (0..).map(CpuId::new).take(self.queues.len()) {
            if length(cpu) < length(best) {
                best = cpu;
            }
        }
        best
    }

    fn steal(&mut self) -> Option<VcpuId> {
        let floats = |entry: &(VcpuId, Affinity)| matches!(entry.1, Affinity::Floating { .. });
        let victim = self
            .queues
            .iter_mut()
            .filter(|queue| queue.ready.iter().any(floats))
            .max_by_key(|queue| queue.ready.len())?;
        let place = victim.ready.iter().position(floats)?;
        victim.ready.remove(place).map(|(vcpu, _)| vcpu)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use addr::{VcpuIndex, VmId};
    use proptest::prelude::*;

    fn vcpu(index: u16) -> VcpuId {
        VcpuId {
            vm: VmId::new(0),
            index: VcpuIndex::new(index),
        }
    }

    fn cpu(index: u16) -> CpuId {
        CpuId::new(index)
    }

    fn floating(last: u16) -> Affinity {
        Affinity::Floating { last: cpu(last) }
    }

    #[test]
    fn a_queue_is_first_come_first_served() {
        let mut scheduler = Scheduler::new(1, 4);
        for index in 0..3 {
            let _ = scheduler.enqueue(vcpu(index), floating(0)).unwrap();
        }
        let order: Vec<_> =
            core::iter::from_fn(|| scheduler.next(cpu(0)).map(|next| next.vcpu)).collect();
        assert_eq!(order, [vcpu(0), vcpu(1), vcpu(2)]);
    }

    #[test]
    fn an_idle_cpu_is_found_and_must_be_kicked() {
        let mut scheduler = Scheduler::new(3, 4);
        assert_eq!(scheduler.next(cpu(2)), None);
        let placed = scheduler.enqueue(vcpu(0), floating(0)).unwrap();
        assert_eq!(
            placed,
            Placement {
                cpu: cpu(2),
                found: Found::Idle
            }
        );
        let placed = scheduler.enqueue(vcpu(1), floating(0)).unwrap();
        assert_eq!(
            placed,
            Placement {
                cpu: cpu(0),
                found: Found::Busy
            }
        );
    }

    #[test]
    fn an_idle_cpu_helps_the_longest_queue() {
        let mut scheduler = Scheduler::new(2, 4);
        for index in 0..2 {
            let _ = scheduler
                .enqueue(vcpu(index), Affinity::Pinned(cpu(0)))
                .unwrap();
        }
        assert_eq!(scheduler.next(cpu(1)), None, "pinned vCPUs stay");
        scheduler.queues[1].state = Found::Busy;
        scheduler.queues[0].ready.push_back((vcpu(2), floating(0)));
        assert_eq!(
            scheduler.next(cpu(1)),
            Some(Chosen {
                vcpu: vcpu(2),
                others: 0
            })
        );
    }

    #[test]
    fn absent_cpus_and_full_queues_are_errors() {
        let mut scheduler = Scheduler::new(1, 1);
        let absent = scheduler.enqueue(vcpu(0), Affinity::Pinned(cpu(1)));
        assert_eq!(absent, Err(SchedulerError::NoSuchCpu { cpu: cpu(1) }));
        let _ = scheduler.enqueue(vcpu(0), floating(0)).unwrap();
        let full = scheduler.enqueue(vcpu(1), floating(0));
        assert_eq!(full, Err(SchedulerError::QueueFull { cpu: cpu(0) }));
        for (error, words) in [
            (absent, "there is no CPU 1"),
            (full, "the run queue of CPU 0 is full"),
        ] {
            assert_eq!(error.unwrap_err().to_string(), words);
        }
    }

    proptest! {
        /// Whatever is put in comes out exactly once, pinned ones at their CPU, and no CPU idles
        /// while a floating vCPU waits.
        #[test]
        fn nothing_is_lost_or_doubled(steps in proptest::collection::vec((0_u16..8, 0_u16..3, any::<bool>()), 1..200)) {
            let mut scheduler = Scheduler::new(3, 8);
            let mut waiting: Vec<(u16, Option<u16>)> = Vec::new();
            for (index, on, pin) in steps {
                if waiting.iter().any(|(other, _)| *other == index) {
                    match scheduler.next(cpu(on)) {
                        Some(Chosen { vcpu: taken, others }) => {
                            prop_assert_eq!(others, scheduler.waiting(cpu(on)));
                            let place = waiting.iter().position(|(other, _)| vcpu(*other) == taken);
                            let (_, pinned) = waiting.swap_remove(place.unwrap());
                            prop_assert!(pinned.is_none_or(|pinned| pinned == on));
                        }
                        None => prop_assert!(
                            waiting.iter().all(|(_, pinned)| pinned.is_some_and(|pinned| pinned != on))
                        ),
                    }
                } else {
                    let affinity = if pin { Affinity::Pinned(cpu(on)) } else { floating(on) };
                    let _ = scheduler.enqueue(vcpu(index), affinity).unwrap();
                    waiting.push((index, pin.then_some(on)));
                }
                let queued: usize = (0..3).map(|index| scheduler.waiting(cpu(index))).sum();
                prop_assert_eq!(queued, waiting.len());
            }
        }
    }
}
