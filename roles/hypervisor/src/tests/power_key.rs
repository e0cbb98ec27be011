//! The power key of a guest, on its GPIO controller.

use super::bench::*;
use device_model::Effects;
use devices::{Device, PowerKey, pl061::PRESS};

const GPIO: u64 = 0x0903_0000;
const DATA: u64 = GPIO + 0x3fc;
const BOTH_EDGES: u64 = GPIO + 0x408;
const MASK: u64 = GPIO + 0x410;
const CLEAR: u64 = GPIO + 0x41c;
/// The pin in the guest's device tree.
const KEY: u64 = 1 << 3;
/// SPI 7.
const INTERRUPT: u32 = 39;
/// The fake machine's counter, in ticks of a second.
const SECOND: u64 = 62_500_000;

/// Presses the key as an operator would, on the CPU that runs the VM.
fn press(bench: &mut Bench, cpu: usize) {
    let mut pressed = 0;
    bench.on(cpu, |cpu, machine, _| {
        let hypervisor = cpu.hypervisor;
        let vm = &hypervisor.vms[0];
        for (place, attached) in vm.devices.iter().enumerate() {
            let mut effects = Effects::new(hypervisor.moment(machine));
            let key = attached
                .slot
                .lock()
                .poke(&mut effects, Device::press_power_key);
            if key == PowerKey::Pressed {
                pressed += 1;
                cpu.settle(machine, vm, place, &effects);
            }
        }
    });
    assert_eq!(pressed, 1);
}

#[test]
fn the_power_key_interrupts_when_it_goes_down_and_up() {
    let mut guest = Guest::new("alpha", 1);
    guest.devices.push(manifest::Device::Pl061);
    let mut bench = Bench::new(&[guest], 1);
    bench.enable_interrupts(0);
    bench.write(0, 0x0800_0084, 1 << 7);
    bench.write(0, 0x0800_0104, 1 << 7);
    bench.write(0, BOTH_EDGES, KEY);
    bench.write(0, MASK, KEY);
    press(&mut bench, 0);
    bench.settle();
    for (edge, level) in [("down", KEY), ("up", 0)] {
        assert_eq!(bench.acknowledge(0), [INTERRUPT], "{edge}");
        assert_eq!(bench.read(0, DATA), level, "{edge}");
        bench.write(0, CLEAR, KEY);
        bench.end(0);
        // The level is looked at again when the guest has ended its interrupt.
        bench.raise(0, MAINTENANCE);
        bench.settle();
        assert!(bench.take_interrupts(0).is_empty(), "{edge} once");
        // A tick for what was rounded.
        bench.advance(PRESS * SECOND / 1_000_000_000 + 1);
        bench.settle();
    }
    assert!(bench.take_interrupts(0).is_empty());
    bench.check_rest();
}
