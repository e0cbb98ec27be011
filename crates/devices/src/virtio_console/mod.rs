//! The console device (virtio 1.3, 5.3).
//!
//! Port 0 is the console: its bytes go to [`device_model::Host::transmit`] and come by
//! [`device_model::MmioDevice::receive`]. Further ports exist if the configuration says so; nothing
//! is connected to them.

mod control;
mod model;
#[cfg(test)]
mod tests;

pub use model::{Config, MOST_PORTS, State, VirtioConsole};
