//! The nodes of devices, one function a kind.

use crate::nodes::{CLOCK_PHANDLE, Name, Writer, reg, specifier};
use crate::{DeviceKind, GuestDevice};

/// The phandle of the GPIO controller.
const GPIO_PHANDLE: u32 = 3;
/// The GPIO controller's line that the power key is on.
const POWER_KEY_LINE: u32 = 3;
/// Linux' code of the power key (include/uapi/linux/input-event-codes.h, KEY_POWER).
const KEY_POWER: u32 = 116;

/// Returns the name of a device's node, without its unit address.
pub(crate) fn name(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Pl011 => "pl011",
        DeviceKind::Pl031 => "pl031",
        DeviceKind::Pl061 => "pl061",
        DeviceKind::Pvpanic => "pvpanic",
        DeviceKind::VirtioMmio => "virtio_mmio",
    }
}

/// Adds a device's nodes to the root.
pub(crate) fn add(root: &mut Writer, device: &GuestDevice) {
    if device.kind == DeviceKind::Pl061 {
        root.node("gpio-keys", power_key);
    }
    root.node_at(name(device.kind), device.range.start().get(), |node| {
        match device.kind {
            DeviceKind::Pl011 => pl011(node),
            DeviceKind::Pl031 => primecell(node, "arm,pl031"),
            DeviceKind::Pl061 => pl061(node),
            DeviceKind::Pvpanic => node.text(Name::Compatible, "qemu,pvpanic-mmio"),
            DeviceKind::VirtioMmio => virtio(node),
        }
        reg(node, device.range);
        if let Some(interrupt) = device.interrupt {
            node.cells(Name::Interrupts, &specifier(interrupt));
        }
    });
}

fn pl011(uart: &mut Writer) {
    uart.texts(Name::Compatible, &["arm,pl011", "arm,primecell"]);
    uart.cells(Name::Clocks, &[CLOCK_PHANDLE, CLOCK_PHANDLE]);
    uart.texts(Name::ClockNames, &["uartclk", "apb_pclk"]);
}

fn primecell(device: &mut Writer, compatible: &str) {
    device.texts(Name::Compatible, &[compatible, "arm,primecell"]);
    device.cell(Name::Clocks, CLOCK_PHANDLE);
    device.text(Name::ClockNames, "apb_pclk");
}

fn pl061(gpio: &mut Writer) {
    primecell(gpio, "arm,pl061");
    gpio.flag(Name::GpioController);
    gpio.cell(Name::GpioCells, 2);
    gpio.cell(Name::Phandle, GPIO_PHANDLE);
}

fn power_key(keys: &mut Writer) {
    keys.text(Name::Compatible, "gpio-keys");
    keys.node("poweroff", |key| {
        key.text(Name::Label, "GPIO Key Poweroff");
        key.cell(Name::LinuxCode, KEY_POWER);
        key.cells(Name::Gpios, &[GPIO_PHANDLE, POWER_KEY_LINE, 0]);
    });
}

fn virtio(device: &mut Writer) {
    device.text(Name::Compatible, "virtio,mmio");
    // The host accesses the same memory through its caches.
    device.flag(Name::DmaCoherent);
}
