//! The machine: one CPU, and what all CPUs share.

use crate::{Call, FakeGic, FakeInterface, FakeMemory, FakeTables, FakeTimers, FakeWorld};
use addr::{CpuId, Pa, Range};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use machine::{
    Accounting, Clock, Console, CpuPower, GuestMemory, GuestMemoryError, Invalidation, OwnMemory,
    Random, Randomness, SecureCall, SmcccResult, TableMemory, Tlb,
};

/// One CPU of a fake machine. Implements [`machine::Hardware`].
#[derive(Clone, Debug)]
pub struct FakeMachine {
    /// Which CPU this is.
    pub cpu: CpuId,
    /// What was done to this CPU, in order.
    pub calls: Vec<Call>,
    /// The counter and EL2's timer.
    pub clock: FakeClock,
    /// The loaded vCPU's timers.
    pub timers: FakeTimers,
    /// The physical GIC.
    pub gic: FakeGic,
    /// The virtual CPU interface.
    pub interface: FakeInterface,
    /// The loaded vCPU's registers.
    pub world: FakeWorld,
    /// Sleep and power.
    pub power: FakePower,
    /// The firmware.
    pub firmware: FakeFirmware,
    /// The operator's UART.
    pub console: FakeConsole,
    /// Translation tables; shared by all CPUs.
    pub tables: Rc<RefCell<FakeTables>>,
    /// Guests' memory; shared by all CPUs.
    pub memory: Rc<RefCell<FakeMemory>>,
    /// What the CPU's source of random numbers gives next; absent once this is empty.
    pub random: VecDeque<Random>,
}

/// The counter and EL2's timer.
#[derive(Clone, Copy, Debug)]
pub struct FakeClock {
    /// The counter, in ticks.
    pub now: u64,
    /// Its frequency in Hz.
    pub frequency: u64,
    /// What EL2's timer is armed for.
    pub deadline: Option<u64>,
}

impl FakeClock {
    /// Lets time pass; tells whether EL2's timer interrupts afterwards.
    pub fn advance(&mut self, ticks: u64) -> bool {
        self.now += ticks;
        self.deadline.is_some_and(|deadline| deadline <= self.now)
    }
}

/// Sleep and power.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakePower {
    /// How often the CPU slept.
    pub waits: usize,
    /// How often the machine was turned off.
    pub off: usize,
    /// What happens when the CPU sleeps. A role sleeps in a loop until somebody wakes it; a test
    /// that drives several CPUs unwinds out of the loop here.
    pub on_wait: Option<fn()>,
}

/// The firmware: answers calls as the test says.
#[derive(Clone, Debug, Default)]
pub struct FakeFirmware {
    /// The next answers; without one, the answer is NOT_SUPPORTED.
    pub answers: VecDeque<SmcccResult>,
    /// The arguments of all calls.
    pub calls: Vec<[u64; 18]>,
}

/// The operator's UART.
#[derive(Clone, Debug, Default)]
pub struct FakeConsole {
    /// What was written.
    pub output: Vec<u8>,
    /// What will be typed.
    pub input: VecDeque<u8>,
}

impl Default for FakeMachine {
    fn default() -> Self {
        Self::new(CpuId::new(0))
    }
}

impl FakeMachine {
    /// Makes a machine with one CPU, no guest memory, and room for 1024 tables.
    #[must_use]
    pub fn new(cpu: CpuId) -> Self {
        Self {
            cpu,
            calls: Vec::new(),
            clock: FakeClock {
                now: 0,
                frequency: 62_500_000,
                deadline: None,
            },
            timers: FakeTimers::default(),
            gic: FakeGic::default(),
            interface: FakeInterface::default(),
            world: FakeWorld::default(),
            power: FakePower::default(),
            firmware: FakeFirmware::default(),
            console: FakeConsole::default(),
            tables: Rc::new(RefCell::new(FakeTables::new(Pa::new(0x1000_0000), 1024))),
            memory: Rc::new(RefCell::new(FakeMemory::default())),
            random: VecDeque::new(),
        }
    }

    /// Makes another CPU of this machine.
    #[must_use]
    pub fn sibling(&self, cpu: CpuId) -> Self {
        Self {
            clock: self.clock,
            tables: Rc::clone(&self.tables),
            memory: Rc::clone(&self.memory),
            ..Self::new(cpu)
        }
    }

    /// Returns what was done since the last time, and forgets it.
    pub fn take_calls(&mut self) -> Vec<Call> {
        core::mem::take(&mut self.calls)
    }
}

impl Clock for FakeMachine {
    fn frequency(&self) -> u64 {
        self.clock.frequency
    }

    fn now(&self) -> u64 {
        self.clock.now
    }

    fn set_deadline(&mut self, deadline: Option<u64>) {
        self.calls.push(Call::SetDeadline(deadline));
        self.clock.deadline = deadline;
    }
}

impl Accounting for FakeMachine {
    fn own_memory(&self) -> OwnMemory {
        OwnMemory::default()
    }
}

impl TableMemory for FakeMachine {
    fn read(&self, table: Pa, index: usize) -> u64 {
        self.tables.borrow().read(table, index)
    }

    fn write(&mut self, table: Pa, index: usize, descriptor: u64) {
        self.calls.push(Call::WriteDescriptor {
            table,
            index,
            descriptor,
        });
        self.tables.borrow_mut().write(table, index, descriptor);
    }

    fn allocate(&mut self, order: u32) -> Option<Pa> {
        let table = self.tables.borrow_mut().allocate(order);
        self.calls.push(Call::AllocateTables { table, order });
        table
    }

    fn free(&mut self, table: Pa, order: u32) {
        self.calls.push(Call::FreeTables { table, order });
        self.tables.borrow_mut().free(table, order);
    }
}

impl Tlb for FakeMachine {
    fn invalidate(&mut self, invalidation: Invalidation) {
        self.calls.push(Call::Invalidate(invalidation));
    }
}

impl GuestMemory for FakeMachine {
    fn read(&self, address: Pa, buffer: &mut [u8]) -> Result<(), GuestMemoryError> {
        let memory = self.memory.borrow();
        buffer.copy_from_slice(memory.bytes(address, size(buffer))?);
        Ok(())
    }

    fn write(&self, address: Pa, bytes: &[u8]) -> Result<(), GuestMemoryError> {
        let mut memory = self.memory.borrow_mut();
        memory
            .bytes_mut(address, size(bytes))?
            .copy_from_slice(bytes);
        Ok(())
    }

    fn copy(&self, target: Pa, source: Pa, size: u64) -> Result<(), GuestMemoryError> {
        self.memory.borrow_mut().copy(target, source, size)
    }

    fn zero(&self, range: Range<Pa>) -> Result<(), GuestMemoryError> {
        let mut memory = self.memory.borrow_mut();
        memory.bytes_mut(range.start(), range.size())?.fill(0);
        memory.zeroed.push(range);
        Ok(())
    }

    fn publish(&self, range: Range<Pa>) {
        self.memory.borrow_mut().published.push(range);
    }
}

impl CpuPower for FakeMachine {
    fn wait_for_interrupt(&mut self) {
        self.calls.push(Call::WaitForInterrupt);
        self.power.waits += 1;
        if let Some(hook) = self.power.on_wait {
            hook();
        }
    }

    fn system_off(&mut self) {
        self.calls.push(Call::SystemOff);
        self.power.off += 1;
    }
}

impl Randomness for FakeMachine {
    fn random(&mut self) -> Random {
        self.random.pop_front().unwrap_or(Random::Absent)
    }
}

impl SecureCall for FakeMachine {
    fn call(&mut self, arguments: &[u64; 18]) -> SmcccResult {
        self.calls.push(Call::SecureCall(arguments[0]));
        self.firmware.calls.push(*arguments);
        self.firmware.answers.pop_front().unwrap_or_else(|| {
            let mut registers = *arguments;
            // NOT_SUPPORTED is −1 (DEN0028, 5.2).
            registers[0] = u64::MAX;
            SmcccResult(registers)
        })
    }
}

impl Console for FakeMachine {
    fn write_bytes(&mut self, bytes: &[u8]) {
        self.console.output.extend_from_slice(bytes);
    }

    fn read_byte(&mut self) -> Option<u8> {
        self.console.input.pop_front()
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
