//! The memory balloon (virtio 1.3, 5.5): the guest gives pages back, reports free ones, and tells
//! how it uses its memory.

mod model;
#[cfg(test)]
mod tests;

pub use model::{Config, MOST_STATISTICS, State, VirtioBalloon};
