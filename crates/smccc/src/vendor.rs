//! This hypervisor's own calls: who it is (DEN0028, 6.2).

use crate::answer::Answer;

/// A call of the vendor hypervisor range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VendorCall {
    /// Call UID query.
    Uid,
    /// Revision query.
    Revision,
}

/// 6f1c2a9e-8d34-4c57-b1e0-3a7d905e42bb, as DEN0028 2.8 lays a UUID out over w0 to w3.
const UID: [u64; 4] = [0x9e2a_1c6f, 0x574c_348d, 0x7d3a_e0b1, 0xbb42_5e90];

/// The revision of these calls: major and minor.
const REVISION: [u64; 4] = [0, 1, 0, 0];

/// Answers a call of the vendor hypervisor range.
pub const fn vendor_answer(call: VendorCall) -> Answer {
    match call {
        VendorCall::Uid => Answer::Four(UID),
        VendorCall::Revision => Answer::Four(REVISION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_a_uuid_of_version_4_in_little_endian_words() {
        let bytes: [u8; 16] = core::array::from_fn(|i| UID[i / 4].to_le_bytes()[i % 4]);
        assert_eq!(bytes[..4], [0x6f, 0x1c, 0x2a, 0x9e]);
        assert_eq!(bytes[6] >> 4, 4);
        assert_eq!(bytes[8] >> 6, 0b10);
        // 0xffffffff in w0 would mean that there is no such call.
        assert_ne!(UID[0], 0xffff_ffff);
    }
}
