//! A small hypervisor's enums, and every kind of site. The tests of the tool run on it.

pub enum Device {
    Uart(u8),
    GicDistributor,
    GicRedistributor { cpu: usize },
    VirtioBlk,
}

impl Device {
    pub fn base(&self) -> u64 {
        match self {
            Device::Uart(_) => 0x0900_0000,
            Device::GicDistributor => 0x0800_0000,
            Device::GicRedistributor { cpu } => 0x080a_0000 + *cpu as u64 * 0x2_0000,
            Device::VirtioBlk => 0x0a00_0000,
        }
    }

    pub fn size(&self) -> u64 {
        match self {
            Device::Uart(_) | Device::VirtioBlk => 0x1000,
            Device::GicDistributor => 0x1_0000,
            Device::GicRedistributor { .. } => 0x2_0000,
        }
    }

    pub fn read(&self, offset: u64) -> u64 {
        match (self, offset) {
            (Device::Uart(byte), 0) => u64::from(*byte),
            (Device::Uart(_), _) => 0,
            (Device::GicDistributor | Device::GicRedistributor { .. }, _) => 1,
            (Device::VirtioBlk, _) => 2,
        }
    }

    pub fn write(&mut self, value: u8) {
        match self {
            Device::Uart(byte) => *byte = value,
            Device::GicDistributor => {}
            Device::GicRedistributor { cpu } => *cpu = usize::from(value),
            Device::VirtioBlk => {}
        }
    }

    pub fn name(&self) -> &'static str {
        use Device::*;
        match *self {
            Uart(..) => "uart",
            GicDistributor => "gicd",
            GicRedistributor { .. } => "gicr",
            VirtioBlk => "virtio-blk",
        }
    }
}

pub fn irq(device: Option<&Device>) -> Option<u32> {
    match device {
        None => None,
        Some(Device::Uart(_)) => Some(33),
        Some(Device::GicDistributor) | Some(Device::GicRedistributor { .. }) => None,
        Some(Device::VirtioBlk) => Some(48),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpState {
    Reset,
    Idle,
    Running,
    Blocked,
    Preempted,
}

impl SpState {
    pub fn may_go(self, to: SpState) -> bool {
        match (self, to) {
            (SpState::Reset, SpState::Idle) => true,
            (SpState::Idle, SpState::Running) => true,
            (SpState::Running, SpState::Idle) => true,
            (SpState::Running, SpState::Blocked) => true,
            (SpState::Blocked, SpState::Running) => true,
            (SpState::Running, SpState::Preempted) => true,
            (SpState::Preempted, SpState::Running) => true,
            _ => false,
        }
    }
}

/// Each kind of site that may swallow, once.
pub enum Kind {
    A,
    B,
    C,
}

pub fn kinds(kind: &Kind, list: &[Kind], other: Option<Kind>) -> u32 {
    let mut count = 0;
    if let Kind::A = kind {
        count += 1;
    }
    let mut iter = list.iter();
    while let Some(Kind::A | Kind::B) = iter.next() {
        count += 1;
    }
    let Some(Kind::C) = other else {
        return count;
    };
    if matches!(kind, Kind::B) {
        count += 1;
    }
    match list {
        [Kind::A, ..] => count += 1,
        // match-audit: absorb(only the first element counts)
        [_, ..] => count += 2,
        [] => {}
    }
    count
}

const LIMIT: u8 = 10;

/// Numbers, constants, characters, strings: all lowered, nothing swallowed.
pub fn numbers(n: u8, m: i32, c: char, s: &str, b: &[u8]) -> u32 {
    let first = match n {
        0..LIMIT => 0,
        LIMIT => 1,
        11..=u8::MAX => 2,
    };
    let second = match m {
        i32::MIN..=-1 => 0,
        0 => 1,
        1.. => 2,
    };
    let third = match c {
        'a'..='z' => 0,
        '\0'.. => 1,
    };
    let fourth = match (s, b) {
        ("x", b"y") => 0,
        ("x", [_, rest @ ..]) => rest.len() as u32,
        (_, []) | (_, _) => 1,
    };
    first + second + third + fourth
}

pub enum Void {}

/// # Safety
///
/// `place` must be valid for reads.
pub unsafe fn empty(place: *const Result<u8, Void>, value: Result<u8, Void>) -> u8 {
    let Ok(byte) = value;
    // SAFETY: the caller vouches for the place.
    unsafe {
        match *place {
            Ok(other) => byte + other,
            Err(_) => 0,
        }
    }
}

pub fn unreachable_arm(kind: Kind) -> u8 {
    #[allow(unreachable_patterns)]
    match kind {
        Kind::A | Kind::B => 0,
        Kind::C => 1,
        Kind::B => 2,
    }
}

macro_rules! is_c {
    ($value:expr) => {
        match $value {
            Kind::C => true,
            _ => false,
        }
    };
}

pub fn by_macro(kind: &Kind) -> bool {
    is_c!(kind)
}

/// Made from something else: a new code is lost in each of these, and no match tells.
pub enum Code {
    A,
    B,
    C,
}

impl Code {
    pub const ALL: [Code; 3] = [Code::A, Code::B, Code::C];

    pub fn from_number(number: u8) -> Option<Code> {
        match number {
            0 => Some(Code::A),
            1 => Some(Self::B),
            _ => None,
        }
    }

    pub fn from_text(text: &str) -> Result<Code, Failure> {
        if text == "a" {
            Ok(Code::A)
        } else if text == "b" {
            Ok(Code::B)
        } else if text.is_empty() {
            Err(Failure::Empty)
        } else {
            Ok(Code::C)
        }
    }

    /// A step from code to code is no conversion, and neither is a table of something else.
    pub fn next(self, number: u8) -> Code {
        let table = [Code::A, Code::A, Code::B];
        match (self, number) {
            (Code::A, 0) => Code::B,
            (Code::B, 1) => Code::C,
            (code @ (Code::A | Code::B | Code::C), _) => {
                drop(table);
                code
            }
        }
    }
}

/// An error says what is wrong with a number; it is not made from it.
pub enum Failure {
    Empty,
    Zero,
    Large,
}

pub fn check(number: u8) -> Result<u8, Failure> {
    match number {
        0 => Err(Failure::Zero),
        200.. => Err(Failure::Large),
        other => Ok(other),
    }
}

/// Both are written by one macro, so that nothing can be forgotten.
macro_rules! coded {
    ($($name:ident = $code:literal),*) => {
        pub enum Coded { $($name),* }
        impl Coded {
            pub fn decode(code: u8) -> Option<Coded> {
                match code {
                    $($code => Some(Coded::$name),)*
                    _ => None,
                }
            }
        }
    };
}

coded!(One = 1, Two = 2);

/// A constant of a block is a constant, and not the one outside.
pub fn in_a_block(number: u8) -> bool {
    const LIMIT: u8 = 255;
    match number {
        0..LIMIT => false,
        LIMIT => true,
    }
}

/// # Safety
///
/// Nobody can call this: there is no such place.
pub unsafe fn answered(place: *const Void) -> u8 {
    // SAFETY: the caller vouches for the place.
    unsafe {
        // match-audit: omitted_empty_arm(the caller has promised a value of an empty type)
        match *place {}
    }
}

/// # Safety
///
/// Nobody can call this: there is no such place.
pub unsafe fn unanswered(place: *const Void) -> u8 {
    // SAFETY: the caller vouches for the place.
    unsafe { match *place {} }
}

#[cfg(grown)]
pub fn only_when_grown(kind: &Kind) -> bool {
    !matches!(kind, Kind::A)
}

pub enum Board {
    Virt,
    #[cfg(grown)]
    Real,
}

pub fn boards(board: &Board) -> bool {
    if let Board::Virt = board { true } else { false }
}

/// A constant that is a struct around a number is looked into.
#[derive(PartialEq, Eq)]
pub struct Code16(pub u16);

impl Code16 {
    pub const LOW: Code16 = Code16(0);
    pub const HIGH: Code16 = Code16(u16::MAX);
}

pub fn codes(code: Code16) -> u8 {
    match code {
        Code16::LOW => 0,
        Code16(1..=0xfffe) => 1,
        Code16::HIGH => 2,
    }
}

/// Two enums of one name, in two functions.
pub fn first(flag: bool) -> bool {
    enum Step {
        On,
        Off,
    }
    let step = if flag { Step::On } else { Step::Off };
    matches!(step, Step::On)
}

pub fn second(flag: bool) -> bool {
    enum Step {
        Up,
        Down,
    }
    let step = if flag { Step::Up } else { Step::Down };
    match step {
        Step::Up => true,
        Step::Down => false,
    }
}
