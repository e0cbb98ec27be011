//! The device models: for each a stream of accesses, input, time, resets and pauses; and for all of
//! them snapshots that nobody has checked.

use crate::input::Input;
use ::devices::{Device, Hpet, Pl011, Pl031, Pl061, Pvpanic, hpet, pl011, pl031, pl061, pvpanic};
use addr::Width;
use device_model::migrate::{ContainerReader, ContainerWriter, Writer};
use device_model::{
    Activity, Effects, GuestError, GuestEvent, Host, LineUpdate, Model, Moment, Signal, Slot,
    TimeBase,
};

const WIDTHS: [Width; 4] = [Width::Byte, Width::Half, Width::Word, Width::Double];

/// Longest snapshot that an embedder looks at.
const LIMIT: usize = 1 << 16;

/// A host with several lines and messages. What a device with one line does must fit into
/// [`Effects`]; what goes beyond is counted here.
struct Board {
    effects: Effects,
    signals: u32,
}

impl Host for Board {
    fn set_line(&mut self, update: LineUpdate) {
        if update.line == 0 {
            self.effects.set_line(update);
        }
    }

    fn signal(&mut self, _: Signal) {
        self.signals += 1;
    }

    fn transmit(&mut self, byte: u8) {
        self.effects.transmit(byte);
    }

    fn transmit_room(&self) -> usize {
        self.effects.transmit_room()
    }

    fn request_work(&mut self) {
        self.effects.request_work();
    }

    fn input_wanted(&mut self) {
        self.effects.input_wanted();
    }

    fn now(&self) -> u64 {
        self.effects.now()
    }

    fn wall_clock(&self) -> u64 {
        self.effects.wall_clock()
    }

    fn arm_timer(&mut self, deadline: u64) {
        self.effects.arm_timer(deadline);
    }

    fn cancel_timer(&mut self) {
        self.effects.cancel_timer();
    }

    fn guest_error(&mut self, error: GuestError, offset: u64) {
        self.effects.guest_error(error, offset);
    }

    fn guest_event(&mut self, event: GuestEvent) {
        self.effects.guest_event(event);
    }
}

/// Lets a guest, an operator and time work on a UART.
///
/// # Panics
/// If a value is wider than its access, a step has more effects than an embedder holds, or the
/// device changes by being saved and restored. So do the others here.
pub fn run_pl011(data: &[u8]) {
    let mut input = Input::new(data);
    let config = pl011::Config {
        disabled_transmitter: input.of(&[
            pl011::DisabledTransmitter::Sends,
            pl011::DisabledTransmitter::Holds,
        ]),
        clock: input.of(&[0, 24_000_000, 1, u32::MAX]),
    };
    stream(
        input,
        Device::from(Pl011::new(config)),
        |input, device, host| {
            let Device::Pl011(uart) = device else {
                return;
            };
            let bits = input.half();
            if input.flag() {
                uart.set_modem_inputs(pl011::Flags::from_bits_truncate(bits));
            } else {
                let errors = pl011::Status::from_bits_truncate(bits);
                let _ = uart.receive_with_errors(host, input.byte(), errors);
            }
        },
    );
}

/// Lets a guest and time work on a clock.
pub fn run_pl031(data: &[u8]) {
    let device = Device::from(Pl031::new(pl031::Config));
    stream(Input::new(data), device, |_, _, _| ());
}

/// Lets a guest, its key, other pins and time work on a GPIO.
pub fn run_pl061(data: &[u8]) {
    let mut input = Input::new(data);
    let config = pl061::Config { key: input.byte() };
    stream(
        input,
        Device::from(Pl061::new(config)),
        |input, device, host| {
            let Device::Pl061(gpio) = device else {
                return;
            };
            if input.flag() {
                gpio.press(host);
            } else {
                gpio.set_input(input.byte(), input.flag().into());
            }
        },
    );
}

/// Lets a guest work on a panic device.
pub fn run_pvpanic(data: &[u8]) {
    let device = Device::from(Pvpanic::new(pvpanic::Config::default()));
    stream(Input::new(data), device, |_, _, _| ());
}

/// Lets a guest and time work on event timers.
pub fn run_hpet(data: &[u8]) {
    let mut input = Input::new(data);
    let device = Hpet::new(hpet::Config {
        timers: 3 + input.byte() % 30,
        period: input.of(&[10_000_000, 1_000_000, 100_000_000, 69_841_279]),
        routes: input.word(),
    });
    stream(input, device, |_, _, _| ());
}

fn stream<D: Model>(
    mut input: Input<'_>,
    device: D,
    outside: impl Fn(&mut Input<'_>, &mut D, &mut Board),
) {
    let mut slot = Slot::new(device);
    let base = TimeBase {
        frequency: input.of(&[62_500_000, 1, 1_000_000_000, 24_000_000]),
        epoch: input.value(),
    };
    let mut ticks = 0_u64;
    for _ in 0..1024 {
        if input.is_empty() {
            return;
        }
        let mut board = Board {
            effects: Effects::new(Moment { ticks, base }),
            signals: 0,
        };
        match input.below(18) {
            16 => slot.poke(&mut board, |device, host| outside(&mut input, device, host)),
            17 => pause(&mut slot, &mut board),
            choice => step(choice, &mut input, &mut slot, &mut board, &mut ticks),
        }
        let effects = &board.effects;
        assert_eq!(effects.lost, 0, "too many effects of one step: {effects:?}");
        assert!(board.signals <= 32, "{} signals of one step", board.signals);
    }
}

fn step<D: Model>(
    choice: usize,
    input: &mut Input<'_>,
    slot: &mut Slot<D>,
    board: &mut Board,
    ticks: &mut u64,
) {
    match choice {
        0..=5 => {
            let (offset, width) = place(input);
            if let Ok(value) = slot.read(board, offset, width) {
                assert_eq!(value & !width.mask(), 0, "{value:#x} of {width:?}");
            }
        }
        6..=11 => {
            let (offset, width) = place(input);
            let value = input.value();
            let _ = slot.write(board, offset, width, value);
        }
        12 | 13 => {
            let bytes: Vec<u8> = (0..input.below(40)).map(|_| input.byte()).collect();
            assert!(slot.receive(board, &bytes) <= bytes.len());
        }
        14 => {
            *ticks = ticks.saturating_add(input.value());
            board.effects.moment.ticks = *ticks;
            slot.timer_expired(board);
        }
        _ if input.byte() & 7 == 0 => slot.reset(board),
        _ => {}
    }
}

/// Saves the device and restores it from that; nothing changes.
fn pause<D: Model>(slot: &mut Slot<D>, board: &mut Board) {
    slot.pause(board).expect("it runs");
    let saved = save(slot);
    slot.restore(&saved).expect("its own state");
    assert_eq!(save(slot), saved);
    slot.resume(board).expect("it is paused");
}

fn save<D: Model>(slot: &mut Slot<D>) -> Vec<u8> {
    let mut out = Writer::new(LIMIT);
    slot.save(&mut out).expect("it is paused");
    out.finish().expect("a short state")
}

fn place(input: &mut Input<'_>) -> (u64, Width) {
    let width = input.of(&WIDTHS);
    let offset = match input.below(5) {
        0 => input.value(),
        1 => u64::from(input.half() & 0xfff),
        2 => 0x400 | u64::from(input.byte()),
        3 => 0x100 | u64::from(input.byte()),
        _ => u64::from(input.byte()) & 0x4f,
    };
    (offset, width)
}

/// Makes a stream: a bit of everything, after bytes that choose a configuration.
#[must_use]
pub fn stream_seeds() -> Vec<Vec<u8>> {
    (0..4)
        .map(|choice| {
            let mut bytes = vec![choice, choice, 0, 0, 0, 0, 0, 0];
            for offset in (0..0x48).step_by(4) {
                bytes.extend([6, 2, 4, offset, 0, 0x55]);
                bytes.extend([0, 2, 4, offset]);
                bytes.extend([6, 3, 3, offset * 2, 2, 9]);
                bytes.extend([12, 3, b'a', b'b', b'c']);
                bytes.extend([16, 1, 0, 1, 17]);
                bytes.extend([14, 4, 0, 0, 0, 1]);
            }
            bytes
        })
        .collect()
}

/// Restores a snapshot into each device: alone, and as a file of all. What is accepted is what is
/// saved again, and a guest can work with it.
///
/// # Panics
/// If that is not so.
pub fn run_snapshot(data: &[u8]) {
    if let Ok(mut reader) = ContainerReader::open(data, LIMIT) {
        let mut out = ContainerWriter::new(LIMIT);
        if each(|slot| restore_from(slot, &mut reader, &mut out)).is_some()
            && reader.finish().is_ok()
        {
            // Older versions are saved as the newest.
            let again = out.finish().expect("as long as before");
            assert!(again == data || again.len() > data.len());
        }
    }
    let _ = each(|slot| {
        restore(slot, data);
        Some(())
    });
}

/// Calls `work` with each device, paused, until it returns `None`.
fn each(mut work: impl FnMut(&mut dyn Snapshot) -> Option<()>) -> Option<()> {
    work(&mut paused(Device::from(Pl011::default())))?;
    work(&mut paused(Device::from(Pl031::default())))?;
    work(&mut paused(Device::from(Pl061::default())))?;
    work(&mut paused(Device::from(Pvpanic::default())))?;
    work(&mut paused(Hpet::new(hpet::Config {
        timers: 32,
        ..hpet::Config::default()
    })))
}

/// A slot of any device.
trait Snapshot {
    fn kind(&mut self) -> &'static str;
    /// Pauses it, if it runs, and saves it.
    fn state(&mut self) -> Vec<u8>;
    /// Restores and saves again; `None` if it is refused.
    fn restore_and_save(&mut self, data: &[u8]) -> Option<Vec<u8>>;
    /// Goes on, as a guest would let it.
    fn work(&mut self);
}

impl<D: Model> Snapshot for Slot<D> {
    fn kind(&mut self) -> &'static str {
        Slot::kind(self)
    }

    fn state(&mut self) -> Vec<u8> {
        // An error says that it is paused already.
        let _ = self.pause(&mut moment());
        save(self)
    }

    fn restore_and_save(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let before = save(self);
        if self.restore(data).is_ok() {
            return Some(save(self));
        }
        assert_eq!(save(self), before, "half restored");
        None
    }

    fn work(&mut self) {
        let mut board = Board {
            effects: moment(),
            signals: 0,
        };
        self.resume(&mut board).expect("it is paused");
        for offset in (0..0x600).step_by(4) {
            board.effects = moment();
            let _ = self.read(&mut board, offset, Width::Word);
            let _ = self.write(&mut board, offset, Width::Word, 0xffff_ffff);
            assert_eq!(board.effects.lost, 0);
        }
        assert_eq!(self.activity(), Activity::Running);
    }
}

fn restore(slot: &mut dyn Snapshot, data: &[u8]) {
    if let Some(again) = slot.restore_and_save(data) {
        // The newest version has but one encoding.
        if again.get(..2) == data.get(..2) {
            assert_eq!(again, data);
        }
        slot.work();
    }
}

fn restore_from(
    slot: &mut dyn Snapshot,
    reader: &mut ContainerReader<'_>,
    out: &mut ContainerWriter,
) -> Option<()> {
    let kind = slot.kind();
    let state = reader.next(kind).ok()?;
    let again = slot.restore_and_save(state)?;
    out.add(kind, |writer| writer.put(&again));
    Some(())
}

fn moment() -> Effects {
    Effects::new(Moment {
        ticks: 1 << 40,
        base: TimeBase {
            frequency: 1_000_000_000,
            epoch: 1 << 60,
        },
    })
}

fn paused<D: Model>(device: D) -> Slot<D> {
    let mut slot = Slot::new(device);
    slot.pause(&mut moment()).expect("it runs");
    slot
}

/// Makes snapshots of each device, after reset and after some work, and files of all of them.
#[must_use]
pub fn snapshot_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for work in [false, true] {
        let mut file = ContainerWriter::new(LIMIT);
        let _ = each(|slot| {
            if work {
                slot.work();
            }
            let kind = slot.kind();
            let state = slot.state();
            file.add(kind, |writer| writer.put(&state));
            seeds.push(state);
            Some(())
        });
        seeds.push(file.finish().expect("a short file"));
    }
    seeds
}
