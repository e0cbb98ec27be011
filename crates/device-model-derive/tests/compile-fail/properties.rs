use device_model::{Properties, PropertyValue};

#[derive(Default, Properties)]
struct NoHelp {
    timers: u8,
}

#[derive(Default, Properties)]
struct HalfARange {
    /// How many timers there are.
    #[property(min = 3)]
    timers: u8,
}

#[derive(PropertyValue)]
enum WithFields {
    Level(u8),
}

fn main() {}
