//! A small generator of inputs for tests: always the same sequence from the same start. It looks at
//! no coverage; libFuzzer does.

/// Longest input that is made, in bytes.
pub const MAX_LENGTH: usize = 4096;

/// Pseudo-random numbers (SplitMix64), the same on every machine.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Begins a sequence that depends on `name` alone.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let state = name.bytes().fold(0x6275_6c6b_6865_6164, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { state }
    }

    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }
}

/// Makes an input: a seed with some changes, two seeds joined, or noise.
pub fn input(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = match random.below(8) {
        0 => noise(random, 512),
        1 => {
            let mut joined = pick(random, seeds);
            joined.truncate(random.below(joined.len() + 1));
            let other = pick(random, seeds);
            joined.extend(&other[random.below(other.len() + 1)..]);
            joined
        }
        _ => pick(random, seeds),
    };
    for _ in 0..random.below(8) {
        change(random, &mut bytes);
    }
    bytes.truncate(MAX_LENGTH);
    bytes
}

fn pick(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    if seeds.is_empty() {
        return noise(random, 512);
    }
    seeds[random.below(seeds.len())].clone()
}

fn noise(random: &mut Random, longest: usize) -> Vec<u8> {
    let length = random.below(longest + 1);
    (0..length).map(|_| random.number() as u8).collect()
}

fn change(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len() + 1);
    let length = random.below(16);
    match random.below(6) {
        0 => bytes.truncate(at),
        1 => {
            let more = noise(random, 16);
            bytes.splice(at..at, more);
        }
        2 => {
            let end = bytes.len().min(at + length);
            bytes.drain(at..end);
        }
        3 => {
            let end = bytes.len().min(at + length);
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        _ => {
            // Numbers at the edges hurt most.
            const EDGES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xff, 0x20];
            let value = if random.below(2) == 0 {
                EDGES[random.below(EDGES.len())]
            } else {
                random.number() as u8
            };
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
    }
}
