use device_model::Migrate;

#[derive(Migrate)]
struct NoVersion {
    mask: u32,
}

#[derive(Migrate)]
#[migrate(version = 1)]
struct FromTheFuture {
    #[migrate(since = 2)]
    mask: u32,
}

#[derive(Migrate)]
#[migrate(version = 1)]
struct Misspelled {
    #[migrate(maximum = 3)]
    mask: u32,
}

#[derive(Migrate)]
enum Mode {
    Off,
    On,
}

fn main() {}
