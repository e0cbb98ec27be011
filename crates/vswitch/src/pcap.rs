//! The format in which a mirror port writes frames: pcap with nanoseconds, little-endian
//! (draft-ietf-opsawg-pcap), which Wireshark and tcpdump read.

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// How many bytes stand before each frame.
pub const RECORD_HEADER_SIZE: usize = 16;

/// What stands at the beginning of a file: magic number (nanoseconds), version 2.4, two reserved
/// words, the longest record, and the link type, Ethernet.
pub const FILE_HEADER: [u8; 24] = [
    0x4d, 0x3c, 0xb2, 0xa1, // magic number 0xa1b23c4d
    2, 0, 4, 0, // version
    0, 0, 0, 0, 0, 0, 0, 0, // reserved
    0, 0, 4, 0, // 262,144 bytes
    1, 0, 0, 0, // LINKTYPE_ETHERNET
];

/// A record: when a frame came, how long it is, and how much of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcap {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// How many bytes of the frame follow.
    pub captured: u32,
    /// How many bytes it had.
    pub length: u32,
}

impl Pcap {
    /// Returns what stands before the frame's bytes. Seconds wrap in 2106, as the format's do.
    #[must_use]
    pub fn record_header(&self) -> [u8; RECORD_HEADER_SIZE] {
        let seconds = self.time.checked_div(SECOND).unwrap_or(0);
        let nanoseconds = self.time.checked_rem(SECOND).unwrap_or(0);
        let words = [low(seconds), low(nanoseconds), self.captured, self.length];
        let mut header = [0; RECORD_HEADER_SIZE];
        for (place, word) in header.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        header
    }
}

fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
