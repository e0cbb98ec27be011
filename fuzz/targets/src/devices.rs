//! The device models: streams of accesses, input, time and resets.

use crate::input::Input;
use ::devices::{Device, Pl011, Pl031, Pvpanic, pl011, pl031, pvpanic};
use addr::Width;
use device_model::{Effects, Moment, Slot, TimeBase};

const WIDTHS: [Width; 4] = [Width::Byte, Width::Half, Width::Word, Width::Double];

/// Lets a guest, an operator and time work on a device that the first byte chooses.
///
/// # Panics
/// If a value is wider than its access, or one step has more effects than an embedder holds.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let hold = pl011::Config {
        disabled_transmitter: pl011::DisabledTransmitter::Holds,
    };
    let mut slot = Slot::new(match input.below(4) {
        0 => Device::from(Pl011::new(pl011::Config::default())),
        1 => Device::from(Pl011::new(hold)),
        2 => Device::from(Pl031::new(pl031::Config)),
        _ => Device::from(Pvpanic::new(pvpanic::Config::default())),
    });
    let base = TimeBase {
        frequency: input.of(&[62_500_000, 1, 1_000_000_000, 24_000_000]),
        epoch: input.value(),
    };
    let mut ticks = 0_u64;
    for _ in 0..1024 {
        if input.is_empty() {
            return;
        }
        let mut effects = Effects::new(Moment { ticks, base });
        step(&mut input, &mut slot, &mut effects, &mut ticks);
        assert_eq!(effects.lost, 0, "too many effects of one step: {effects:?}");
        if let Some(update) = effects.line {
            let _ = update;
        }
    }
}

fn step(input: &mut Input<'_>, slot: &mut Slot<Device>, effects: &mut Effects, ticks: &mut u64) {
    match input.below(16) {
        0..=5 => {
            let (offset, width) = place(input);
            if let Ok(value) = slot.read(effects, offset, width) {
                assert_eq!(value & !width.mask(), 0, "{value:#x} of {width:?}");
            }
        }
        6..=11 => {
            let (offset, width) = place(input);
            let value = input.value();
            let _ = slot.write(effects, offset, width, value);
        }
        12 | 13 => {
            let bytes: Vec<u8> = (0..input.below(40)).map(|_| input.byte()).collect();
            assert!(slot.receive(effects, &bytes) <= bytes.len());
        }
        14 => {
            *ticks = ticks.saturating_add(input.value());
            slot.timer_expired(effects);
        }
        _ if input.byte() & 7 == 0 => slot.reset(effects),
        _ => {}
    }
}

fn place(input: &mut Input<'_>) -> (u64, Width) {
    let width = input.of(&WIDTHS);
    let offset = match input.below(4) {
        0 => input.value(),
        1 => u64::from(input.half() & 0xfff),
        _ => u64::from(input.byte()) & 0x4f,
    };
    (offset, width)
}

/// Makes a stream for each device: identification registers, then a bit of everything.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    (0..4)
        .map(|device| {
            let mut bytes = vec![device, 0, 0, 0];
            for offset in (0..0x48).step_by(4) {
                bytes.extend([6, 2, 2, offset, 0, 0x55]);
                bytes.extend([0, 2, 2, offset]);
                bytes.extend([12, 3, b'a', b'b', b'c']);
            }
            bytes
        })
        .collect()
}
