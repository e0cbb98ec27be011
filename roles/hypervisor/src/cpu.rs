//! What each CPU keeps, and what the vectors call.

use crate::device_timer::DeviceTimers;
use crate::exception::Delivery;
use crate::exception::step_over;
use crate::shared::Hypervisor;
use crate::stop::Cause;
use crate::vcpu::{Fp, Vcpu};
use addr::{CpuId, VcpuIndex};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bulkhead_core::Deadlines;
use bulkhead_core::vm_state::VmEdge;
use machine::{Conduit, ExitHandler, Frame, Hardware, Next, Short, Syndrome};
use trap::{Esr, InstructionLength, Wait};

/// One CPU: the vCPU that it runs, and when it wants to be woken.
pub struct Cpu {
    pub(crate) id: CpuId,
    pub(crate) hypervisor: &'static Hypervisor,
    pub(crate) current: Option<Box<Vcpu>>,
    /// What is to be done once all registers of the guest are saved.
    pub(crate) intent: Intent,
    /// When the vCPU has had its time, in ticks; `None` while nobody else wants the CPU.
    pub(crate) slice_end: Option<u64>,
    /// When the vCPUs that were parked here want to be woken.
    pub(crate) deadlines: Deadlines,
    /// When the devices that asked for their timers here want to be called.
    pub(crate) device_timers: DeviceTimers,
    /// When unfinished console lines are written out, in ticks.
    pub(crate) flush_at: Option<u64>,
    /// For each VM, which of its vCPUs left its translations in this CPU's TLB.
    pub(crate) last: Vec<Option<VcpuIndex>>,
}

/// What a CPU does with its vCPU once all registers are saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Goes on with it.
    #[default]
    Continue,
    /// Lets the others have the CPU.
    Yield,
    /// Lets it sleep.
    Sleep,
    /// Switches it off: CPU_OFF, or its VM stops.
    SwitchOff,
    /// Ends its VM, and then switches it off.
    EndVm(VmEdge),
    /// Crashes its VM.
    Crash(Cause),
    /// Puts it to sleep such that it goes on at an entry point (CPU_SUSPEND, SYSTEM_SUSPEND).
    Suspend {
        /// Where it goes on.
        entry: u64,
        /// Its x0.
        context: u64,
    },
}

impl Cpu {
    /// Makes a CPU that runs nothing yet.
    #[must_use]
    pub fn new(id: CpuId, hypervisor: &'static Hypervisor) -> Box<Self> {
        let vcpus = hypervisor.vms.iter().map(|vm| vm.places.len()).sum();
        let mut last = Vec::new();
        last.resize(hypervisor.vms.len(), None);
        Box::new(Self {
            id,
            hypervisor,
            current: None,
            intent: Intent::Continue,
            slice_end: None,
            deadlines: Deadlines::new(vcpus),
            device_timers: DeviceTimers::new(hypervisor),
            flush_at: None,
            last,
        })
    }

    /// Draws a key for this CPU's use from the random numbers of the machine; `None` if it has none.
    #[must_use]
    pub fn draw_key(&self) -> Option<[u64; 2]> {
        let mut low = [0; 8];
        let mut high = [0; 8];
        crate::boot::random_seed(self.hypervisor, &mut low)?;
        crate::boot::random_seed(self.hypervisor, &mut high)?;
        Some([u64::from_le_bytes(low), u64::from_le_bytes(high)])
    }

    /// Waits for the first vCPU, and returns its registers, with everything else loaded.
    pub fn first<H: Hardware>(&mut self, hw: &mut H) -> Box<Frame> {
        let mut frame = Box::default();
        self.run_next(hw, &mut frame);
        frame
    }

    /// Does what [`Intent`] says. All registers of the vCPU are in `frame`; those of the next one are
    /// there afterwards.
    pub(crate) fn carry_out<H: Hardware>(&mut self, hw: &mut H, frame: &mut Box<Frame>) {
        let intent = core::mem::take(&mut self.intent);
        match intent {
            Intent::Continue => {}
            Intent::Yield => self.preempt(hw, frame),
            Intent::Sleep => self.sleep(hw, frame),
            Intent::SwitchOff => self.retire(hw, frame),
            Intent::EndVm(edge) => {
                if let Some(vcpu) = &self.current {
                    self.hypervisor.stop(hw, &vcpu.vm, edge);
                }
                self.retire(hw, frame);
            }
            Intent::Crash(cause) => {
                if let Some(vcpu) = &self.current {
                    self.hypervisor
                        .crash(hw, &vcpu.vm, vcpu.id.index, frame, cause);
                }
                self.retire(hw, frame);
            }
            Intent::Suspend { entry, context } => {
                self.suspend(hw, frame, entry, context);
            }
        }
    }

    /// Returns how an exit goes on after its handler.
    pub(crate) fn next(&self) -> Next {
        if self.intent == Intent::Continue {
            Next::Resume
        } else {
            Next::Full
        }
    }
}

impl<H: Hardware> ExitHandler<H> for Cpu {
    #[inline]
    fn call(&mut self, hw: &mut H, frame: &mut Frame, conduit: Conduit) -> Next {
        self.hypercall(hw, frame, conduit);
        self.next()
    }

    #[inline]
    fn interrupt(&mut self, hw: &mut H) -> Next {
        self.interrupt_guest(hw)
    }

    #[inline]
    fn register(&mut self, hw: &mut H, frame: &mut Frame, esr: u64) -> Short {
        self.short_register(hw, frame, esr)
    }

    #[inline]
    fn access(&mut self, hw: &mut H, frame: &mut Frame, syndrome: &Syndrome) -> Short {
        self.short_access(hw, frame, syndrome)
    }

    fn trap(&mut self, hw: &mut H, frame: &mut Box<Frame>, syndrome: &Syndrome) {
        // As `exception` and `carry_out` would: this is the way of each switch.
        if Wait::is_wfi(Esr::new(syndrome.esr)) {
            step_over(frame, InstructionLength::Four);
            self.sleep(hw, frame);
            return;
        }
        match self.exception(hw, frame, syndrome) {
            Delivery::Impossible { vector } => {
                self.intent = Intent::Crash(Cause::AbortInHandler { vector });
            }
            Delivery::Done => {}
        }
        self.carry_out(hw, frame);
    }

    fn system_error(&mut self, hw: &mut H, frame: &mut Box<Frame>, syndrome: &Syndrome) {
        self.intent = Intent::Crash(Cause::SystemError {
            syndrome: syndrome.esr,
        });
        self.carry_out(hw, frame);
    }

    fn full(&mut self, hw: &mut H, frame: &mut Box<Frame>) {
        self.carry_out(hw, frame);
    }
}

impl Cpu {
    /// Gives the vCPU its FP/SIMD registers.
    pub(crate) fn load_fp<H: Hardware>(&mut self, hw: &mut H) {
        if let Some(vcpu) = &mut self.current {
            hw.load_fp(&vcpu.registers.fp);
            vcpu.fp = Fp::Loaded;
        }
    }
}
