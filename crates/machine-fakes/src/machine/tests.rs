use super::*;
use addr::{IntId, PaRange};
use alloc::vec;
use machine::{Active, Hardware, IrqHardware, TimerHardware, VirtualCpuInterface};

fn is_hardware<H: Hardware>(_: &H) {}

#[test]
fn the_fake_is_everything_that_a_role_asks_for() {
    is_hardware(&FakeMachine::default());
}

#[test]
fn siblings_share_memory_and_nothing_else() {
    let mut first = FakeMachine::default();
    let mut second = first.sibling(CpuId::new(1));
    let range = PaRange::new(Pa::new(0x4000_0000), 0x2000).unwrap();
    first.memory.borrow_mut().add(range);
    GuestMemory::write(&first, Pa::new(0x4000_0ffe), b"abcd").unwrap();
    let mut buffer = [0; 4];
    GuestMemory::read(&second, Pa::new(0x4000_0ffe), &mut buffer).unwrap();
    assert_eq!(&buffer, b"abcd");
    let table = second.allocate(0).unwrap();
    TableMemory::write(&mut second, table, 511, 7);
    assert_eq!(TableMemory::read(&first, table, 511), 7);
    assert!(first.calls.is_empty());
    first.set_deadline(Some(5));
    assert_eq!(second.clock.deadline, None);
    assert!(!first.clock.advance(4));
    assert!(first.clock.advance(1));
}

#[test]
fn what_is_not_ram_is_refused() {
    let machine = FakeMachine::default();
    let range = PaRange::new(Pa::new(0x4000_0000), 0x1000).unwrap();
    machine.memory.borrow_mut().add(range);
    for (address, size) in [(0x3fff_ffff, 1), (0x4000_0fff, 2), (0x4000_1000, 1)] {
        let address = Pa::new(address);
        let mut buffer = vec![0; size];
        assert_eq!(
            GuestMemory::read(&machine, address, &mut buffer),
            Err(GuestMemoryError {
                address,
                size: size as u64
            })
        );
    }
    machine.zero(range).unwrap();
    machine
        .copy(Pa::new(0x4000_0800), Pa::new(0x4000_0000), 0x800)
        .unwrap();
}

#[test]
fn tables_have_a_quota_and_come_back() {
    let mut machine = FakeMachine::default();
    machine.tables.borrow_mut().quota = 5;
    let root = machine.allocate(2).unwrap();
    assert_eq!(root.get() % 0x4000, 0);
    TableMemory::write(&mut machine, root, 2047, 1);
    assert_eq!(
        TableMemory::read(&machine, Pa::new(root.get() + 0x3000), 511),
        1
    );
    assert_eq!(machine.allocate(1), None);
    machine.free(root, 2);
    assert_eq!(machine.tables.borrow().in_use(), 0);
    assert!(machine.allocate(1).is_some());
}

#[test]
#[should_panic(expected = "was not allocated so")]
fn a_table_freed_twice_fails_the_test() {
    let mut machine = FakeMachine::default();
    let table = machine.allocate(0).unwrap();
    machine.free(table, 0);
    machine.free(table, 0);
}

#[test]
fn an_interrupt_goes_through_its_states() {
    let mut machine = FakeMachine::default();
    let id = IntId::new(27);
    assert_eq!(machine.acknowledge(), None);
    machine.gic.pending.push_back(id);
    let interrupt = machine.acknowledge().unwrap();
    assert_eq!(machine.private_active(id), Active::Yes);
    machine.drop_priority(interrupt);
    machine.deactivate(id);
    assert_eq!(machine.private_active(id), Active::No);
    assert_eq!(
        machine.take_calls(),
        [
            Call::Acknowledge(id),
            Call::DropPriority(id),
            Call::Deactivate(id)
        ]
    );
}

#[test]
#[should_panic(expected = "before its priority is dropped")]
fn a_deactivation_without_priority_drop_fails_the_test() {
    let mut machine = FakeMachine::default();
    machine.gic.pending.push_back(IntId::new(40));
    let _ = machine.acknowledge();
    machine.deactivate(IntId::new(40));
}

#[test]
fn list_registers_tell_whether_they_are_empty() {
    let mut machine = FakeMachine::default();
    machine.set_list_register(0, 1 << 62);
    machine.set_list_register(1, 1 << 41);
    machine.set_list_register(2, 1 << 61);
    machine.set_list_register(4, u64::MAX);
    assert_eq!(machine.empty_list_registers(), 0b1100);
    assert_eq!(machine.eoi_list_registers(), 0b0010);
    assert_eq!(machine.list_register(4), 0);
}

#[test]
fn saved_timers_are_switched_off() {
    let mut machine = FakeMachine::default();
    machine.timers.registers.cntv_ctl = 1;
    machine.timers.registers.cntv_cval = 9;
    let saved = machine.save_timers();
    assert_eq!((saved.cntv_ctl, saved.cntv_cval), (1, 9));
    assert_eq!(machine.timers.registers.cntv_ctl, 0);
    machine.load_timers(&saved);
    assert_eq!(machine.timers.registers, saved);
}

#[test]
fn firmware_without_an_answer_supports_nothing() {
    let mut machine = FakeMachine::default();
    machine.firmware.answers.push_back(SmcccResult([3; 18]));
    assert_eq!(machine.call(&[1; 18]).0[0], 3);
    assert_eq!(machine.call(&[1; 18]).0[0], u64::MAX);
    assert_eq!(machine.firmware.calls.len(), 2);
}
