//! One record.

use crate::{Kind, UnknownKind};
use addr::{CpuId, VcpuId, VcpuIndex, VmId};
use core::fmt;

/// Words in a record.
pub const WORDS: usize = 4;

/// The VM number in a record that belongs to none.
const NO_VM: u16 = u16::MAX;

/// One record: 32 bytes as words.
///
/// Word 0 is the time; word 1 holds the kind in bits 15–0, the CPU in 31–16, the VM in 47–32 (all
/// ones: none) and the vCPU in 63–48; words 2 and 3 are the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in ticks of the physical counter.
    pub ticks: u64,
    /// What.
    pub kind: Kind,
    /// On which CPU.
    pub cpu: CpuId,
    /// For which vCPU, if any.
    pub vcpu: Option<VcpuId>,
    /// What else there is to say; the kind tells what.
    pub payload: [u64; 2],
}

impl Record {
    /// Returns the record as it stands in memory.
    #[must_use]
    #[inline]
    pub const fn to_words(&self) -> [u64; WORDS] {
        let (vm, index) = match self.vcpu {
            Some(id) => (id.vm.get(), id.index.get()),
            None => (NO_VM, 0),
        };
        let source = self.kind.code() as u64
            | (self.cpu.get() as u64) << 16
            | (vm as u64) << 32
            | (index as u64) << 48;
        let [first, second] = self.payload;
        [self.ticks, source, first, second]
    }

    /// Decodes a record out of a log in memory or in a dump.
    ///
    /// # Errors
    /// [`UnknownKind`] if the words are no record.
    pub fn from_words(words: [u64; WORDS]) -> Result<Self, UnknownKind> {
        let [ticks, source, first, second] = words;
        let [k0, k1, c0, c1, v0, v1, i0, i1] = source.to_le_bytes();
        let vm = u16::from_le_bytes([v0, v1]);
        Ok(Self {
            ticks,
            kind: Kind::try_from(u16::from_le_bytes([k0, k1]))?,
            cpu: CpuId::new(u16::from_le_bytes([c0, c1])),
            vcpu: (vm != NO_VM).then(|| VcpuId {
                vm: VmId::new(vm),
                index: VcpuIndex::new(u16::from_le_bytes([i0, i1])),
            }),
            payload: [first, second],
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [name, first_name, second_name] = self.kind.words();
        let [first, second] = self.payload;
        write!(f, "{:>16} cpu{} ", self.ticks, self.cpu)?;
        match self.vcpu {
            Some(vcpu) => write!(f, "{vcpu}")?,
            None => f.write_str("-")?,
        }
        write!(
            f,
            " {name}: {first_name} {first:#x}, {second_name} {second:#x}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    fn record() -> Record {
        Record {
            ticks: 1234,
            kind: Kind::ExitMmioWrite,
            cpu: CpuId::new(2),
            vcpu: Some(VcpuId {
                vm: VmId::new(3),
                index: VcpuIndex::new(1),
            }),
            payload: [0x0900_0000, 0x41],
        }
    }

    #[test]
    fn a_record_prints_its_words_by_name() {
        assert_eq!(
            record().to_string(),
            "            1234 cpu2 vm3.1 exit mmio write: address 0x9000000, value 0x41"
        );
        let idle = Record {
            kind: Kind::Idle,
            vcpu: None,
            ..record()
        };
        assert!(idle.to_string().contains("cpu2 - idle: deadline"));
    }

    #[test]
    fn the_layout_is_what_the_host_decodes() {
        assert_eq!(
            record().to_words(),
            [1234, 0x0001_0003_0002_0014, 0x0900_0000, 0x41]
        );
        assert_eq!(
            Record::from_words([0, 0xffff, 0, 0]),
            Err(UnknownKind { code: 0xffff })
        );
    }

    proptest! {
        #[test]
        fn records_survive_their_words(
            ticks: u64,
            kind in proptest::sample::select(Kind::ALL.to_vec()),
            cpu: u16,
            vcpu in proptest::option::of((0..u16::MAX, any::<u16>())),
            payload: [u64; 2],
        ) {
            let record = Record {
                ticks,
                kind,
                cpu: CpuId::new(cpu),
                vcpu: vcpu.map(|(vm, index)| VcpuId {
                    vm: VmId::new(vm),
                    index: VcpuIndex::new(index),
                }),
                payload,
            };
            prop_assert_eq!(Record::from_words(record.to_words()), Ok(record));
        }

        #[test]
        fn any_words_decode_or_are_refused(words: [u64; WORDS]) {
            if let Ok(record) = Record::from_words(words) {
                let _ = record.to_string();
            }
        }
    }
}
