use super::*;
use crate::queue::{Attention, Next, QueueError};
use crate::{ConfigEffect, ConfigSpace, DeviceId, Features, Status, Turn, VirtioDevice};
use addr::Width;
use device_model::migrate::{Plain, Reader, RestoreError, Wire, Writer, restore_all};
use device_model::{
    BackendChange, Effects, GuestError, Host, Level, Migrate, MmioDevice, Model, Moment, Slot,
    TimeBase, WorkRequest,
};
use machine_fakes::{Buffer, FakeGuest, FakeRing, Form};

const RAM: u64 = 0x4000_0000;

/// What the device below keeps: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Migrate)]
#[migrate(version = 1)]
struct EchoState {
    number: u8,
}

/// A device that gives every chain back with what it could have written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Echo {
    started: Option<Features>,
    state: EchoState,
}

impl Migrate for Echo {
    fn kind(&self) -> &'static str {
        "echo"
    }

    fn save(&self, out: &mut Writer) {
        self.state.to_wire().write(out);
    }

    fn restore(&mut self, input: &mut Reader<'_>) -> Result<(), RestoreError> {
        self.state = restore_all(input)?;
        Ok(())
    }
}

impl VirtioDevice for Echo {
    fn id(&self) -> DeviceId {
        DeviceId(0x2a)
    }

    fn features(&self) -> Features {
        Features::from_bits_retain(1 << 3)
    }

    fn queue_sizes(&self) -> impl Iterator<Item = u16> {
        [128, 16].into_iter()
    }

    fn config(&self) -> ConfigSpace {
        ConfigSpace::default()
            .double(0x1122_3344_5566_7788)
            .half(0x99aa)
    }

    fn start(&mut self, features: Features) {
        self.started = Some(features);
    }

    fn reset<H: Host>(&mut self, _: &mut H) {
        self.started = None;
    }

    fn work<H: Host>(&mut self, turn: &mut Turn<'_, '_>, _: &mut H) -> Result<(), QueueError> {
        for index in turn.order() {
            let Some((queue, work)) = turn.queue(index) else {
                continue;
            };
            while queue.attention() == Attention::Due && queue.next(work)? == Next::Chain {
                let written = queue.chain().writable();
                queue.complete(work, written)?;
            }
        }
        Ok(())
    }

    fn backend_changed(&mut self, _: &mut [crate::queue::Queue], _: BackendChange) -> ConfigEffect {
        ConfigEffect::Changed
    }
}

struct Only(VirtioMmio<Echo>);

impl Model for Only {
    fn model<H: Host>(&mut self) -> &mut dyn MmioDevice<H> {
        &mut self.0
    }
}

struct Bench {
    slot: Slot<Only>,
    guest: FakeGuest,
    last: Effects,
}

fn effects() -> Effects {
    Effects::new(Moment {
        ticks: 0,
        base: TimeBase {
            frequency: 1_000_000_000,
            epoch: 0,
        },
    })
}

impl Bench {
    fn new(version: Version) -> Self {
        let config = Config {
            version,
            ..Config::default()
        };
        Self {
            slot: Slot::new(Only(VirtioMmio::new(config, Echo::default()))),
            guest: FakeGuest::new(RAM, 0x4_0000, 0),
            last: effects(),
        }
    }

    fn read(&mut self, register: Register) -> u32 {
        self.last = effects();
        let value = self
            .slot
            .read(&mut self.last, register.offset(), Width::Word);
        u32::try_from(value.unwrap()).unwrap()
    }

    fn write(&mut self, register: Register, value: u32) {
        self.last = effects();
        self.slot
            .write(
                &mut self.last,
                register.offset(),
                Width::Word,
                u64::from(value),
            )
            .unwrap();
    }

    fn errors(&self) -> std::vec::Vec<GuestError> {
        self.last.errors.iter().map(|record| record.error).collect()
    }

    fn settle(&mut self) {
        for _ in 0..1000 {
            if self.last.work == WorkRequest::Unchanged {
                return;
            }
            self.last = effects();
            self.slot.work(&mut self.last, &mut self.guest);
        }
        assert_eq!(self.last.work, WorkRequest::Unchanged, "it never rests");
    }

    fn features(&mut self, low: u32, high: u32) {
        self.write(Register::DriverFeaturesSelect, 0);
        self.write(Register::DriverFeatures, low);
        self.write(Register::DriverFeaturesSelect, 1);
        self.write(Register::DriverFeatures, high);
    }

    /// Goes as far as FEATURES_OK.
    fn agree(&mut self, low: u32, high: u32) {
        self.write(Register::Status, 3);
        self.features(low, high);
        self.write(Register::Status, 11);
        assert_eq!(self.read(Register::Status), 11);
    }

    fn place(&mut self, ring: &FakeRing) {
        self.write(Register::QueueSize, u32::from(ring.size));
        let low = |address: u64| (address & 0xffff_ffff) as u32;
        self.write(Register::QueueDescriptorsLow, low(ring.descriptors));
        self.write(Register::QueueDriverLow, low(ring.driver));
        self.write(Register::QueueDeviceLow, low(ring.device));
    }

    fn transport(&self) -> &VirtioMmio<Echo> {
        &self.slot.device().0
    }
}

/// VERSION_1, in the high half.
const V1: u32 = 1;

#[test]
fn the_identification_is_that_of_the_version() {
    for (version, number) in [(Version::Legacy, 1), (Version::Modern, 2)] {
        let mut bench = Bench::new(version);
        assert_eq!(bench.read(Register::Magic), 0x7472_6976);
        assert_eq!(bench.read(Register::Version), number);
        assert_eq!(bench.read(Register::DeviceId), 0x2a);
        assert_eq!(bench.read(Register::VendorId), VENDOR);
    }
}

#[test]
fn registers_of_the_other_version_do_not_exist() {
    let mut bench = Bench::new(Version::Modern);
    for register in [
        Register::GuestPageSize,
        Register::QueueAlign,
        Register::QueuePfn,
    ] {
        bench.write(register, 1);
        assert_eq!(bench.errors(), [GuestError::UnknownOffset], "{register:?}");
        assert_eq!(bench.read(register), 0);
    }
    let mut bench = Bench::new(Version::Legacy);
    for register in [Register::QueueReady, Register::QueueDriverHigh] {
        bench.write(register, 1);
        assert_eq!(bench.errors(), [GuestError::UnknownOffset], "{register:?}");
    }
}

#[test]
fn there_is_no_shared_memory() {
    let mut bench = Bench::new(Version::Modern);
    bench.write(Register::SharedMemorySelect, 0);
    for register in [
        Register::SharedMemoryLengthLow,
        Register::SharedMemoryLengthHigh,
        Register::SharedMemoryBaseLow,
        Register::SharedMemoryBaseHigh,
    ] {
        assert_eq!(bench.read(register), u32::MAX);
    }
}

#[test]
fn b1_registers_take_32_bits_only() {
    let mut bench = Bench::new(Version::Modern);
    for width in [Width::Byte, Width::Half, Width::Double] {
        let mut host = effects();
        assert_eq!(bench.slot.read(&mut host, 0, width), Ok(0));
        assert_eq!(host.errors[0].error, GuestError::BadWidth);
        let status = Register::Status.offset();
        if width.is_aligned(status) {
            bench.slot.write(&mut host, status, width, 1).unwrap();
        }
    }
    assert_eq!(bench.read(Register::Status), 0);
}

#[test]
fn the_configuration_is_read_with_any_width_and_ends_in_zeros() {
    let mut bench = Bench::new(Version::Modern);
    for (offset, width, value) in [
        (0x100, Width::Double, 0x1122_3344_5566_7788),
        (0x104, Width::Word, 0x1122_3344),
        (0x102, Width::Half, 0x5566),
        (0x107, Width::Byte, 0x11),
        (0x108, Width::Double, 0x99aa),
        (0x10a, Width::Half, 0),
        (0x1f8, Width::Double, 0),
    ] {
        assert_eq!(bench.slot.read(&mut effects(), offset, width), Ok(value));
    }
}

#[test]
fn features_are_offered_in_halves() {
    let mut bench = Bench::new(Version::Modern);
    let mut offered = |half| {
        bench.write(Register::DeviceFeaturesSelect, half);
        bench.read(Register::DeviceFeatures)
    };
    assert_eq!(offered(0), 1 << 28 | 1 << 29 | 1 << 3);
    assert_eq!(offered(1), 1 << 0 | 1 << 2);
    assert_eq!(offered(2), 0);
    let mut legacy = Bench::new(Version::Legacy);
    assert_eq!(
        legacy.read(Register::DeviceFeatures),
        1 << 27 | 1 << 28 | 1 << 29 | 1 << 3
    );
    legacy.write(Register::DeviceFeaturesSelect, 1);
    assert_eq!(legacy.read(Register::DeviceFeatures), 0);
}

#[test]
fn without_version_1_the_features_are_refused() {
    let mut bench = Bench::new(Version::Modern);
    bench.write(Register::Status, 3);
    bench.features(1 << 28, 0);
    bench.write(Register::Status, 11);
    assert_eq!(bench.read(Register::Status), 3);
    bench.features(1 << 28, V1);
    bench.write(Register::Status, 11);
    assert_eq!(bench.read(Register::Status), 11);
}

#[test]
fn features_that_were_not_offered_are_refused() {
    for (low, high) in [(1 << 4, V1), (0, V1 | 2), (0, V1 | 1 << 31)] {
        let mut bench = Bench::new(Version::Modern);
        bench.write(Register::Status, 3);
        bench.features(low, high);
        bench.write(Register::Status, 11);
        assert_eq!(bench.read(Register::Status), 3);
    }
}

#[test]
fn f9_driver_ok_before_features_ok_is_refused() {
    let mut bench = Bench::new(Version::Modern);
    bench.features(0, V1);
    bench.write(Register::Status, 7);
    assert_eq!(bench.errors(), [GuestError::Disabled]);
    assert_eq!(bench.read(Register::Status), 3);
    assert_eq!(bench.transport().device().started, None);
    // Both at once, with features that are refused.
    bench.features(0, 0);
    bench.write(Register::Status, 15);
    assert_eq!(bench.read(Register::Status), 3);
}

#[test]
fn f9_features_cannot_change_after_they_were_agreed_upon() {
    let mut bench = Bench::new(Version::Modern);
    bench.agree(1 << 3, V1);
    bench.features(0, V1 | 1 << 2);
    assert_eq!(bench.errors(), [GuestError::Disabled]);
    bench.write(Register::Status, 15);
    let started = bench.transport().device().started;
    assert_eq!(started, Some(Features::from_bits_retain(1 << 3 | 1 << 32)));
}

#[test]
fn f9_queues_are_not_used_before_driver_ok() {
    let mut bench = Bench::new(Version::Modern);
    bench.agree(0, V1);
    let mut ring = FakeRing::new(Form::Split, RAM, 16);
    bench.place(&ring);
    bench.write(Register::QueueReady, 1);
    ring.add(&mut bench.guest, &[Buffer::writable(RAM + 0x1000, 4)]);
    bench.write(Register::QueueNotify, 0);
    assert_eq!(bench.errors(), [GuestError::Disabled]);
    assert_eq!(bench.last.work, WorkRequest::Unchanged);
    bench.slot.work(&mut effects(), &mut bench.guest);
    assert_eq!(ring.take(&bench.guest), None);
    bench.write(Register::Status, 15);
    bench.write(Register::QueueNotify, 0);
    bench.settle();
    assert!(ring.take(&bench.guest).is_some());
}

#[test]
fn f9_a_queue_cannot_start_before_the_features_are_known() {
    let mut bench = Bench::new(Version::Modern);
    bench.write(Register::Status, 3);
    bench.place(&FakeRing::new(Form::Split, RAM, 16));
    bench.write(Register::QueueReady, 1);
    assert_eq!(bench.errors(), [GuestError::BadQueue]);
    assert_eq!(bench.read(Register::QueueReady), 0);
}

#[test]
fn only_the_device_says_that_it_needs_a_reset() {
    let mut bench = Bench::new(Version::Modern);
    bench.write(Register::Status, 1 | 64);
    assert_eq!(bench.read(Register::Status), 1);
    bench.write(Register::Status, 128 | 1);
    assert_eq!(bench.read(Register::Status), 129);
}

#[test]
fn f7_a_queue_of_a_size_that_it_cannot_have_does_not_start() {
    for (packed, size, starts) in [
        (0, 0, false),
        (0, 3, false),
        (0, 129, false),
        (0, 256, false),
        (0, 0x1_0010, false),
        (0, 0xffff_ffff, false),
        (0, 1, true),
        (0, 128, true),
        (4, 0, false),
        (4, 129, false),
        (4, 3, true),
        (4, 128, true),
    ] {
        let mut bench = Bench::new(Version::Modern);
        bench.agree(0, V1 | packed);
        bench.place(&FakeRing::new(Form::Split, RAM, 16));
        bench.write(Register::QueueSize, size);
        bench.write(Register::QueueReady, 1);
        assert_eq!(
            bench.read(Register::QueueReady),
            u32::from(starts),
            "{size}"
        );
    }
}

#[test]
fn f7_areas_that_are_unaligned_or_wrap_do_not_start() {
    for packed in [0, 4] {
        for (register, value) in [
            (Register::QueueDescriptorsLow, 0x4000_0008),
            (Register::QueueDriverLow, 0x4000_1001),
            (Register::QueueDeviceLow, 0x4000_2002),
        ] {
            let mut bench = Bench::new(Version::Modern);
            bench.agree(0, V1 | packed);
            bench.place(&FakeRing::new(Form::Split, RAM, 16));
            bench.write(register, value);
            bench.write(Register::QueueReady, 1);
            assert_eq!(bench.read(Register::QueueReady), 0, "{register:?}");
        }
        for register in [
            Register::QueueDescriptorsLow,
            Register::QueueDriverLow,
            Register::QueueDeviceLow,
        ] {
            let mut bench = Bench::new(Version::Modern);
            bench.agree(0, V1 | packed);
            bench.place(&FakeRing::new(Form::Split, RAM, 16));
            let high = Register::try_from(register.offset() + 4).unwrap();
            bench.write(register, 0xffff_fff0);
            bench.write(high, u32::MAX);
            bench.write(Register::QueueReady, 1);
            let starts = packed != 0 && register != Register::QueueDescriptorsLow;
            assert_eq!(bench.read(Register::QueueReady), u32::from(starts));
        }
    }
}

#[test]
fn f7_a_running_queue_cannot_be_moved() {
    let mut bench = Bench::new(Version::Modern);
    bench.agree(0, V1);
    let mut ring = FakeRing::new(Form::Split, RAM, 16);
    bench.place(&ring);
    bench.write(Register::QueueReady, 1);
    bench.write(Register::Status, 15);
    for register in [
        Register::QueueSize,
        Register::QueueDescriptorsLow,
        Register::QueueDescriptorsHigh,
        Register::QueueDriverLow,
        Register::QueueDriverHigh,
        Register::QueueDeviceLow,
        Register::QueueDeviceHigh,
    ] {
        bench.write(register, 8);
        assert_eq!(bench.errors(), [GuestError::Disabled], "{register:?}");
    }
    let id = ring.add(&mut bench.guest, &[Buffer::writable(RAM + 0x1000, 4)]);
    bench.write(Register::QueueNotify, 0);
    bench.settle();
    assert_eq!(ring.take(&bench.guest).map(|used| used.id), Some(id));
    // Stopped, it can.
    bench.write(Register::QueueReady, 0);
    bench.write(Register::QueueSize, 8);
    assert_eq!(bench.errors(), []);
}

#[test]
fn queues_that_do_not_exist_are_nothing() {
    let mut bench = Bench::new(Version::Modern);
    bench.agree(0, V1);
    for select in [2, 64, u32::MAX] {
        bench.write(Register::QueueSelect, select);
        assert_eq!(bench.read(Register::QueueSizeMax), 0);
        bench.write(Register::QueueReady, 1);
        assert_eq!(bench.read(Register::QueueReady), 0);
    }
    bench.write(Register::Status, 15);
    for notify in [0, 1, 2, 0x1_0000, u32::MAX] {
        bench.write(Register::QueueNotify, notify);
        assert_eq!(bench.errors(), [GuestError::Disabled], "{notify}");
        assert_eq!(bench.last.work, WorkRequest::Unchanged);
    }
}

#[test]
fn f13_notifications_without_buffers_cost_little_and_end() {
    let mut bench = Bench::new(Version::Modern);
    bench.agree(1 << 29, V1);
    bench.place(&FakeRing::new(Form::Split, RAM, 16));
    bench.write(Register::QueueReady, 1);
    bench.write(Register::Status, 15);
    for _ in 0..100 {
        bench.write(Register::QueueNotify, 0);
        assert_eq!(bench.last.work, WorkRequest::Wanted);
        let before = bench.guest.copies;
        bench.last = effects();
        bench.slot.work(&mut bench.last, &mut bench.guest);
        assert!(bench.guest.copies - before <= 3);
        assert_eq!(bench.last.work, WorkRequest::Unchanged);
        assert_eq!(bench.slot.level(), Level::Low);
    }
}

#[test]
fn a_change_of_the_configuration_interrupts_a_driver_that_is_ready() {
    let mut bench = Bench::new(Version::Modern);
    bench.agree(0, V1);
    let before = bench.read(Register::ConfigGeneration);
    bench
        .slot
        .backend_changed(&mut effects(), BackendChange::DiskSize(0));
    assert_eq!(bench.read(Register::InterruptStatus), 0);
    assert_eq!(bench.read(Register::ConfigGeneration), before + 1);
    bench.write(Register::Status, 15);
    bench
        .slot
        .backend_changed(&mut effects(), BackendChange::DiskSize(0));
    assert_eq!(bench.slot.level(), Level::High);
    assert_eq!(bench.read(Register::InterruptStatus), 2);
    bench.write(Register::InterruptAcknowledge, 1);
    assert_eq!(bench.slot.level(), Level::High);
    bench.write(Register::InterruptAcknowledge, 2);
    assert_eq!(bench.slot.level(), Level::Low);
}

#[test]
fn what_a_queue_must_not_hold_breaks_the_device_until_its_reset() {
    let mut bench = Bench::new(Version::Modern);
    bench.agree(0, V1);
    let ring = FakeRing::new(Form::Split, RAM, 16);
    bench.place(&ring);
    bench.write(Register::QueueReady, 1);
    bench.write(Register::Status, 15);
    bench.guest.put(ring.driver + 2, &17_u16.to_le_bytes());
    bench.write(Register::QueueNotify, 0);
    bench.settle();
    assert_eq!(bench.read(Register::Status), 15 | 64);
    assert_eq!(bench.read(Register::InterruptStatus), 2);
    let error = QueueError::IndexJump { from: 0, to: 17 };
    assert_eq!(bench.transport().state().broken, Some(error));
    // The driver cannot talk it out of that.
    bench.write(Register::Status, 15);
    bench.write(Register::QueueNotify, 0);
    assert_eq!(bench.errors(), [GuestError::Disabled]);
    bench.write(Register::Status, 0);
    assert_eq!(bench.read(Register::Status), 0);
    assert_eq!(bench.slot.level(), Level::Low);
    assert_eq!(bench.transport().state().status, Status::empty());
}

fn legacy_queue(bench: &mut Bench, ring: &FakeRing) {
    bench.write(Register::GuestPageSize, 4096);
    bench.write(Register::QueueSize, u32::from(ring.size));
    bench.write(Register::QueueAlign, 4096);
    let page = (ring.descriptors / 4096) as u32;
    bench.write(Register::QueuePfn, page);
    assert_eq!(bench.read(Register::QueuePfn), page);
}

/// A ring as a legacy driver lays it out.
fn legacy_ring(size: u16) -> FakeRing {
    let mut ring = FakeRing::new(Form::Split, RAM + 0x2000, size);
    ring.device = (ring.driver + 6 + 2 * u64::from(size)).next_multiple_of(4096);
    ring
}

#[test]
fn a_legacy_driver_finds_its_queue_by_page() {
    let mut bench = Bench::new(Version::Legacy);
    bench.write(Register::Status, 3);
    bench.write(Register::DriverFeatures, u32::MAX);
    assert_eq!(
        bench.transport().state().driver_features.bits(),
        1 << 27 | 1 << 28 | 1 << 29 | 1 << 3
    );
    for size in [128, 16] {
        let mut ring = legacy_ring(size);
        legacy_queue(&mut bench, &ring);
        bench.write(Register::Status, 7);
        let chain = [Buffer::writable(RAM + 0x1_0000, 5)];
        let id = ring.add(&mut bench.guest, &chain);
        bench.write(Register::QueueNotify, 0);
        bench.settle();
        let used = ring.take(&bench.guest).unwrap();
        assert_eq!((used.id, used.written), (id, 5));
        assert_eq!(bench.read(Register::InterruptStatus), 1);
        bench.write(Register::InterruptAcknowledge, 1);
        bench.write(Register::QueuePfn, 0);
        assert_eq!(bench.read(Register::QueuePfn), 0);
        let clean = [0; 0x4000];
        bench.guest.put(RAM + 0x2000, &clean);
    }
}

#[test]
fn a_legacy_driver_need_not_choose_a_size() {
    let mut bench = Bench::new(Version::Legacy);
    bench.write(Register::GuestPageSize, 4096);
    bench.write(Register::QueueAlign, 4096);
    bench.write(Register::QueuePfn, 0x4_0002);
    let mut ring = legacy_ring(128);
    ring.add(&mut bench.guest, &[Buffer::writable(RAM + 0x1_0000, 5)]);
    bench.write(Register::QueueNotify, 0);
    bench.settle();
    assert!(ring.take(&bench.guest).is_some());
}

#[test]
fn the_guest_page_size_survives_the_driver_s_reset_only() {
    let mut bench = Bench::new(Version::Legacy);
    bench.write(Register::GuestPageSize, 4096);
    bench.write(Register::Status, 0);
    assert_eq!(bench.transport().state().guest_page_size, 4096);
    bench.slot.reset(&mut effects());
    assert_eq!(bench.transport().state().guest_page_size, 0);
}

#[test]
fn a_legacy_driver_is_told_of_the_configuration_by_both_bits() {
    let mut bench = Bench::new(Version::Legacy);
    bench.write(Register::Status, 7);
    bench
        .slot
        .backend_changed(&mut effects(), BackendChange::DiskSize(0));
    assert_eq!(bench.read(Register::InterruptStatus), 3);
}

#[test]
fn f7_legacy_queues_without_page_size_or_alignment_do_not_start() {
    for (page_size, align) in [(0, 4096), (4096, 0), (4096, 3), (4096, 0xffff_ffff)] {
        let mut bench = Bench::new(Version::Legacy);
        bench.write(Register::GuestPageSize, page_size);
        bench.write(Register::QueueAlign, align);
        bench.write(Register::QueuePfn, 0x4_0002);
        assert_eq!(bench.errors(), [GuestError::BadQueue]);
        assert_eq!(bench.read(Register::QueuePfn), 0);
    }
    let mut bench = Bench::new(Version::Legacy);
    bench.write(Register::GuestPageSize, u32::MAX);
    bench.write(Register::QueueAlign, 4096);
    bench.write(Register::QueuePfn, u32::MAX);
    assert_eq!(bench.read(Register::QueuePfn), 0);
}
