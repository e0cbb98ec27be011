//! Writes a description as a device tree.

use crate::key::{Key, tree};
use crate::{COMPATIBLE, Description, Disk, DiskAccess, KernelFormat, Pinning, VmDescription};
use alloc::format;
use alloc::vec::Vec;
use dtoolkit::ToPropertyValue;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

/// Writes `description` as the device tree that [`crate::from_dtb`] reads. Nothing is checked: call
/// [`crate::validate`] first.
///
/// # Panics
/// If the tree had more than 4 GB, which no valid description reaches.
#[must_use]
pub fn to_dtb(description: &Description) -> Vec<u8> {
    let mut tree = DeviceTree::new();
    set(&mut tree.root, tree::COMPATIBLE, COMPATIBLE);
    let mut vms = node(tree::VMS);
    for (index, vm) in description.vms.iter().enumerate() {
        vms.add_child(vm_node(index, vm));
    }
    tree.root.add_child(vms);
    tree.to_dtb()
}

fn vm_node(index: usize, vm: &VmDescription) -> DeviceTreeNode {
    let mut vm_node = node(&format!("{}@{index:x}", tree::VM));
    set(&mut vm_node, Key::Name.name(), vm.name.as_str());
    set(&mut vm_node, Key::Vcpus.name(), u32::from(vm.vcpus));
    set(&mut vm_node, Key::Memory.name(), vm.memory);
    set(&mut vm_node, Key::Cmdline.name(), vm.cmdline.as_str());
    set(&mut vm_node, Key::Spis.name(), u32::from(vm.spis));
    set(&mut vm_node, Key::WarmReset.name(), vm.warm_reset.name());
    match &vm.pinning {
        Pinning::Fixed(cpus) => {
            let cpus: Vec<u32> = cpus.iter().map(|cpu| u32::from(cpu.get())).collect();
            set(&mut vm_node, Key::Pinning.name(), cpus);
        }
        // What stands for nothing is not written.
        Pinning::Floating => {}
    }
    if let Some(initrd) = &vm.initrd {
        set(&mut vm_node, Key::Initrd.name(), initrd.as_str());
    }
    vm_node.add_child(kernel_node(vm));
    let mut devices = node(Key::Devices.name());
    let mut disks = 0_usize;
    for device in &vm.devices {
        let name = device.name().name();
        devices.add_child(match device.disk() {
            None => node(name),
            Some(disk) => {
                let node = disk_node(&format!("{name}@{disks:x}"), disk);
                disks = disks.saturating_add(1);
                node
            }
        });
    }
    vm_node.add_child(devices);
    vm_node
}

fn disk_node(name: &str, disk: &Disk) -> DeviceTreeNode {
    let mut node = node(name);
    set(&mut node, tree::IMAGE, disk.image.as_str());
    match disk.access {
        DiskAccess::ReadWrite => {}
        DiskAccess::ReadOnly => set(&mut node, tree::READ_ONLY, [0_u8; 0]),
    }
    node
}

fn kernel_node(vm: &VmDescription) -> DeviceTreeNode {
    let mut kernel = node(Key::Kernel.name());
    set(&mut kernel, tree::FILE, vm.kernel.file.as_str());
    match vm.kernel.format {
        KernelFormat::Image => set(&mut kernel, tree::FORMAT, tree::FORMAT_IMAGE),
        KernelFormat::Flat => set(&mut kernel, tree::FORMAT, tree::FORMAT_FLAT),
        KernelFormat::Raw {
            load,
            entry,
            memory_size,
        } => {
            set(&mut kernel, tree::FORMAT, tree::FORMAT_RAW);
            set(&mut kernel, tree::LOAD_ADDRESS, load.get());
            set(&mut kernel, tree::ENTRY, entry.get());
            set(&mut kernel, tree::MEMORY_SIZE, memory_size);
        }
    }
    kernel
}

/// Makes a node whose name is one of ours, and so needs no check.
fn node(name: &str) -> DeviceTreeNode {
    DeviceTreeNode::new_unchecked(name)
}

fn set(node: &mut DeviceTreeNode, name: &str, value: impl ToPropertyValue) {
    node.add_property(DeviceTreeProperty::new_unchecked(name, value));
}
