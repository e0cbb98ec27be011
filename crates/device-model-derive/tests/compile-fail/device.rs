use device_model::{Device, Migrate};

#[derive(Default, Migrate)]
#[migrate(version = 1)]
struct State;

struct Config;

#[derive(Device)]
struct NoKind {
    config: Config,
    state: State,
}

#[derive(Device)]
#[device(kind = "a kind of device with a long name")]
struct LongKind {
    config: Config,
    state: State,
}

#[derive(Device)]
#[device(kind = "half")]
struct NoState {
    config: Config,
}

fn main() {}
