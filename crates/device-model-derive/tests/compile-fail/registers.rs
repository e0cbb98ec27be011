use device_model::Registers;

#[derive(Clone, Copy, Registers)]
enum Unaligned {
    Data = 0x0,
    Flags = 0x6,
}

#[derive(Clone, Copy, Registers)]
enum NotWritten {
    Data = 0x0,
    Flags,
}

#[derive(Clone, Copy, Registers)]
enum Descending {
    Flags = 0x4,
    Data = 0x0,
}

#[derive(Registers)]
struct NoEnum;

fn main() {}
