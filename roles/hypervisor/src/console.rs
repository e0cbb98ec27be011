//! The operator's line: what guests and the hypervisor say, and what is typed.
//!
//! With one VM its bytes go out as they are. With several, each VM's bytes are gathered to lines,
//! and each line is marked with the VM's name. A line that nobody ends, such as a prompt, goes out
//! after a while and stays open: it goes on if its VM does, and is ended if anybody else speaks. What is typed goes to the first VM that has not ended,
//! and to no other: while that one is loaded anew, it waits.

use crate::cpu::Cpu;
use crate::shared::Hypervisor;
use crate::vm::Vm;
use addr::VmId;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use bulkhead_core::vm_state::VmState;
use core::fmt::{self, Write};
use device_model::{Effects, InputRoom, Moment};
use machine::Hardware;

/// The longest line that is kept together, in bytes.
const LINE: usize = 160;

/// How many typed bytes wait for a guest that does not take them.
const TYPED: usize = 1024;

/// How long an unfinished line is held back, as a part of a second: 1/10. A guest that shares its CPU
/// with seven others waits 35 ms for its next slice, in the middle of a line too; an operator hardly
/// notices a tenth of a second.
pub(crate) const PATIENCE: u64 = 10;

/// What is on its way between guests and the operator.
pub(crate) struct ConsoleState {
    lines: Vec<ArrayVec<u8, LINE>>,
    typed: VecDeque<u8>,
    /// The VM that it was typed for.
    listener: Option<VmId>,
    /// The VM whose line on the terminal has not been ended.
    open: Option<VmId>,
}

/// Whether something was left in a line that nobody has ended yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Call [`Hypervisor::flush_lines`] in a while.
    Yes,
    /// All is out.
    No,
}

/// Whether a line ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    /// It does.
    Ended,
    /// Its VM may go on with it.
    Open,
}

impl ConsoleState {
    /// Makes the lines of `vms` VMs.
    pub(crate) fn new(vms: usize) -> Self {
        let mut lines = Vec::new();
        lines.resize_with(vms, ArrayVec::new);
        Self {
            lines,
            typed: VecDeque::with_capacity(TYPED),
            listener: None,
            open: None,
        }
    }

    /// Returns the oldest byte that was typed for `vm`.
    fn next_for(&self, vm: VmId) -> Option<u8> {
        let bytes = (self.listener == Some(vm)).then_some(&self.typed)?;
        bytes.front().copied()
    }

    /// Makes `vm` the one that is typed for: what another one has not taken is forgotten.
    fn type_for(&mut self, vm: VmId) {
        if self.listener != Some(vm) {
            self.typed.clear();
            self.listener = Some(vm);
        }
    }
}

impl Hypervisor {
    /// Takes bytes that a guest sent.
    pub(crate) fn guest_output<H: Hardware>(&self, hw: &mut H, vm: &Vm, bytes: &[u8]) -> Pending {
        if self.vms.len() < 2 {
            if let Some(last) = bytes.last() {
                self.console.lock().open = (*last != b'\n').then_some(vm.id);
            }
            hw.write_bytes(bytes);
            return Pending::No;
        }
        for &byte in bytes {
            let mut state = self.console.lock();
            let Some(line) = state.lines.get_mut(usize::from(vm.id.get())) else {
                continue;
            };
            // Line ends are the hypervisor's own, so a carriage return would only blur them.
            let ended = match byte {
                b'\n' => true,
                b'\r' => false,
                b'\t' | b' '..=b'~' | 0x80.. => line.try_push(byte).is_err() || line.is_full(),
                // Other control characters move the cursor: over the mark, or another VM's line.
                _ => line.try_push(b'.').is_err() || line.is_full(),
            };
            if ended {
                let line = core::mem::take(line);
                drop(state);
                self.write_line(hw, vm, &line, LineEnd::Ended);
            }
        }
        let state = self.console.lock();
        match state.lines.get(usize::from(vm.id.get())) {
            Some(line) if !line.is_empty() => Pending::Yes,
            Some(_) | None => Pending::No,
        }
    }

    /// Writes out the lines that nobody has ended.
    pub(crate) fn flush_lines<H: Hardware>(&self, hw: &mut H) {
        if self.vms.len() < 2 {
            return;
        }
        for vm in &self.vms {
            let line = {
                let mut state = self.console.lock();
                state
                    .lines
                    .get_mut(usize::from(vm.id.get()))
                    .map(core::mem::take)
            };
            if let Some(line) = line.filter(|line| !line.is_empty()) {
                self.write_line(hw, vm, &line, LineEnd::Open);
            }
        }
    }

    /// Writes a VM's line, or a part of one: with its mark, unless it goes on where it was.
    fn write_line<H: Hardware>(&self, hw: &mut H, vm: &Vm, line: &[u8], end: LineEnd) {
        let before = {
            let after = match end {
                LineEnd::Ended => None,
                LineEnd::Open => Some(vm.id),
            };
            core::mem::replace(&mut self.console.lock().open, after)
        };
        let name = vm.name.as_bytes().get(..31).unwrap_or(vm.name.as_bytes());
        let mut text = ArrayVec::<u8, { LINE + 40 }>::new();
        let mut add = |part: &[u8]| {
            // The parts are shorter than the whole by construction.
            let _ = text.try_extend_from_slice(part);
        };
        if before != Some(vm.id) {
            if before.is_some() {
                add(b"\r\n");
            }
            add(b"[");
            add(name);
            add(b"] ");
        }
        add(line);
        if end == LineEnd::Ended {
            add(b"\r\n");
        }
        hw.write_bytes(&text);
    }

    /// Writes a line of the hypervisor's own, after what guests have said so far.
    pub(crate) fn log<H: Hardware>(&self, hw: &mut H, message: fmt::Arguments<'_>) {
        self.flush_lines(hw);
        if self.console.lock().open.take().is_some() {
            hw.write_bytes(b"\r\n");
        }
        log(hw, message);
    }

    /// Takes what was typed from the UART; returns for whom.
    fn typed<H: Hardware>(&self, hw: &mut H) -> Option<&Vm> {
        let listener = self.listener();
        for _ in 0..TYPED {
            let Some(byte) = hw.read_byte() else { break };
            let Some(vm) = listener else { continue };
            let mut state = self.console.lock();
            state.type_for(vm.id);
            if state.typed.len() < TYPED {
                state.typed.push_back(byte);
            }
        }
        listener
    }

    /// Finds the VM that the operator types for.
    fn listener(&self) -> Option<&Vm> {
        let listens = |vm: &&Arc<Vm>| match vm.life.state() {
            Ok(
                VmState::Loading
                | VmState::Running
                | VmState::PoweringOff
                | VmState::Resetting
                | VmState::Crashing,
            ) => true,
            Ok(VmState::Off | VmState::Crashed) | Err(_) => false,
        };
        self.vms.iter().find(listens).map(|vm| &**vm)
    }

    /// Gives a VM's console what was typed for it, as far as it has room; returns its place and what
    /// came of it, to be applied.
    fn deliver_typed<H: Hardware>(&self, hw: &mut H, vm: &Vm) -> Option<(usize, Effects)> {
        if !vm.life.is(VmState::Running) {
            return None;
        }
        let place = vm.console?;
        let attached = vm.devices.get(place)?;
        let moment = Moment {
            ticks: hw.now(),
            base: self.time_base,
        };
        let mut effects = Effects::new(moment);
        {
            let mut slot = attached.slot.lock();
            // One byte at a time, so that a byte leaves the queue only when the guest has it.
            for _ in 0..TYPED {
                let mut state = self.console.lock();
                let Some(byte) = state.next_for(vm.id) else {
                    break;
                };
                if slot.receive(&mut effects, &[byte]) == 0 {
                    break;
                }
                let _ = state.typed.pop_front();
            }
        }
        Some((place, effects))
    }
}

impl Cpu {
    /// Takes what was typed from the UART and passes it on, as far as the guest has room.
    pub(crate) fn typed<H: Hardware>(&mut self, hw: &mut H) {
        let hypervisor = self.hypervisor;
        if let Some(vm) = hypervisor.typed(hw) {
            self.pass_on(hw, vm);
        }
    }

    /// Gives a VM's console what was typed for it, as far as it has room.
    pub(crate) fn pass_on<H: Hardware>(&mut self, hw: &mut H, vm: &Vm) {
        if let Some((place, mut effects)) = self.hypervisor.deliver_typed(hw, vm) {
            // All that there is room for was delivered.
            effects.input = InputRoom::Unchanged;
            self.settle(hw, vm, place, &effects);
            // Not here: work makes room for more input, which would lead back to here.
            self.work_later(hw, vm, place, &effects);
        }
    }
}

/// Writes a line of the hypervisor's own while no guest runs.
pub(crate) fn log<H: Hardware>(hw: &mut H, message: fmt::Arguments<'_>) {
    let mut out = Gather {
        hw,
        line: ArrayVec::new(),
    };
    let _ = write!(out, "bulkhead: {message}\r\n");
    out.send();
}

/// Gathers a message, so that it goes out in one piece if it is not too long.
struct Gather<'a, H: Hardware> {
    hw: &'a mut H,
    line: ArrayVec<u8, 256>,
}

impl<H: Hardware> Gather<'_, H> {
    fn send(&mut self) {
        self.hw.write_bytes(&self.line);
        self.line.clear();
    }
}

impl<H: Hardware> Write for Gather<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.line.is_full() {
                self.send();
            }
            let _ = self.line.try_push(byte);
        }
        Ok(())
    }
}
