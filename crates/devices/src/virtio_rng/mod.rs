//! The entropy device (virtio 1.3, 5.4).

mod model;
#[cfg(test)]
mod tests;

pub use model::{Config, State, VirtioRng};
