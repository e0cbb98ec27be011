//! The nodes of devices, one function a kind.

use crate::nodes::{CLOCK_PHANDLE, flag, node, reg, set, specifier};
use crate::{DeviceKind, GuestDevice};
use alloc::format;
use alloc::string::String;
use dtoolkit::model::DeviceTreeNode;

/// The phandle of the GPIO controller.
const GPIO_PHANDLE: u32 = 3;
/// The GPIO controller's line that the power key is on.
const POWER_KEY_LINE: u32 = 3;
/// Linux' code of the power key (include/uapi/linux/input-event-codes.h, KEY_POWER).
const KEY_POWER: u32 = 116;

/// Returns the name of a device's node.
pub(crate) fn name(device: &GuestDevice) -> String {
    let base = match device.kind {
        DeviceKind::Pl011 => "pl011",
        DeviceKind::Pl031 => "pl031",
        DeviceKind::Pl061 => "pl061",
        DeviceKind::Pvpanic => "pvpanic",
        DeviceKind::VirtioMmio => "virtio_mmio",
    };
    format!("{base}@{:x}", device.range.start().get())
}

/// Adds a device's nodes to the root.
pub(crate) fn add(root: &mut DeviceTreeNode, device: &GuestDevice) {
    let mut device_node = node(name(device));
    match device.kind {
        DeviceKind::Pl011 => pl011(&mut device_node),
        DeviceKind::Pl031 => primecell(&mut device_node, "arm,pl031"),
        DeviceKind::Pl061 => {
            pl061(&mut device_node);
            root.add_child(power_key());
        }
        DeviceKind::Pvpanic => set(&mut device_node, "compatible", "qemu,pvpanic-mmio"),
        DeviceKind::VirtioMmio => virtio(&mut device_node),
    }
    reg(&mut device_node, &[device.range]);
    if let Some(interrupt) = device.interrupt {
        set(&mut device_node, "interrupts", specifier(interrupt));
    }
    root.add_child(device_node);
}

fn pl011(uart: &mut DeviceTreeNode) {
    set(
        uart,
        "compatible",
        ["arm,pl011", "arm,primecell"].as_slice(),
    );
    set(uart, "clocks", [CLOCK_PHANDLE, CLOCK_PHANDLE]);
    set(uart, "clock-names", ["uartclk", "apb_pclk"].as_slice());
}

fn primecell(device: &mut DeviceTreeNode, compatible: &str) {
    set(
        device,
        "compatible",
        [compatible, "arm,primecell"].as_slice(),
    );
    set(device, "clocks", CLOCK_PHANDLE);
    set(device, "clock-names", "apb_pclk");
}

fn pl061(gpio: &mut DeviceTreeNode) {
    primecell(gpio, "arm,pl061");
    flag(gpio, "gpio-controller");
    set(gpio, "#gpio-cells", 2u32);
    set(gpio, "phandle", GPIO_PHANDLE);
}

fn power_key() -> DeviceTreeNode {
    let mut key = node("poweroff");
    set(&mut key, "label", "GPIO Key Poweroff");
    set(&mut key, "linux,code", KEY_POWER);
    set(&mut key, "gpios", [GPIO_PHANDLE, POWER_KEY_LINE, 0]);
    let mut keys = node("gpio-keys");
    set(&mut keys, "compatible", "gpio-keys");
    keys.add_child(key);
    keys
}

fn virtio(device: &mut DeviceTreeNode) {
    set(device, "compatible", "virtio,mmio");
    // The host accesses the same memory through its caches.
    flag(device, "dma-coherent");
}
