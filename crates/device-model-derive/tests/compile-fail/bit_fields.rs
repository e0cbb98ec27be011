use device_model::bit_fields;

#[bit_fields(u16)]
struct Overlap {
    #[bits(0..=3)]
    level: u8,
    #[bits(3)]
    enabled: bool,
}

#[bit_fields(u16)]
struct TooWide {
    #[bits(0..=8)]
    level: u8,
}

#[bit_fields(u16)]
struct Beyond {
    #[bits(16)]
    enabled: bool,
}

#[bit_fields(i16)]
struct Signed {
    #[bits(0)]
    enabled: bool,
}

fn main() {}
