//! Identifiers of CPUs, VMs, vCPUs, partitions and interrupts.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name($raw);

        impl $name {
            /// Makes an identifier from its raw value.
            #[must_use]
            pub const fn new(value: $raw) -> Self {
                Self(value)
            }

            /// Returns the raw value.
            #[must_use]
            pub const fn get(self) -> $raw {
                self.0
            }

            /// Returns the value as an index into a slice.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id! {
    /// A CPU of the machine: its place in the device tree's list, counted from 0.
    CpuId(u16)
}
id! {
    /// A virtual machine: its place in the machine description, counted from 0. Not the VMID.
    VmId(u16)
}
id! {
    /// A vCPU's place in its VM, counted from 0.
    VcpuIndex(u16)
}
id! {
    /// An FF-A endpoint (DEN0077, "Partition identification"); bit 15 marks the secure world.
    PartitionId(u16)
}
id! {
    /// An interrupt's INTID (IHI0069, 2.2): 0–15 SGI, 16–31 PPI, 32–1019 SPI.
    IntId(u32)
}

/// One vCPU of one VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VcpuId {
    /// The VM.
    pub vm: VmId,
    /// The place in the VM.
    pub index: VcpuIndex,
}

impl fmt::Display for VcpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vm{}.{}", self.vm, self.index)
    }
}

impl IntId {
    /// Number of SGIs.
    pub const SGI_COUNT: u32 = 16;
    /// First INTID of the SPIs; below are a CPU's own interrupts.
    pub const FIRST_SPI: u32 = 32;
    /// Last INTID of the SPIs.
    pub const LAST_SPI: u32 = 1019;
    /// What an acknowledge register returns when nothing is pending (IHI0069, 2.2.1).
    pub const SPURIOUS: Self = Self(1023);

    /// Returns the INTID of private peripheral interrupt `number` (0–15), or `None` beyond.
    #[must_use]
    pub const fn ppi(number: u32) -> Option<Self> {
        if number < 16 {
            Some(Self(number.wrapping_add(16)))
        } else {
            None
        }
    }

    /// Returns the INTID of shared peripheral interrupt `number` (0–987), or `None` beyond.
    #[must_use]
    pub const fn spi(number: u32) -> Option<Self> {
        if number <= Self::LAST_SPI - Self::FIRST_SPI {
            Some(Self(number.wrapping_add(Self::FIRST_SPI)))
        } else {
            None
        }
    }

    /// Tells whether this is a software-generated interrupt.
    #[must_use]
    pub const fn is_sgi(self) -> bool {
        self.0 < Self::SGI_COUNT
    }

    /// Tells whether this interrupt belongs to one CPU: an SGI or a PPI.
    #[must_use]
    pub const fn is_private(self) -> bool {
        self.0 < Self::FIRST_SPI
    }

    /// Tells whether this is a shared peripheral interrupt.
    #[must_use]
    pub const fn is_spi(self) -> bool {
        self.0 >= Self::FIRST_SPI && self.0 <= Self::LAST_SPI
    }
}

/// The affinity fields of a CPU's MPIDR_EL1 (Arm ARM, D24.2.123): Aff3 in bits 39–32, Aff2 to Aff0
/// in bits 23–0; all other bits are 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mpidr(u64);

impl Mpidr {
    /// The bits of MPIDR_EL1 that hold affinity.
    pub const AFFINITY_MASK: u64 = 0xff_00ff_ffff;

    /// Takes the affinity fields out of a value of MPIDR_EL1.
    #[must_use]
    pub const fn from_register(value: u64) -> Self {
        Self(value & Self::AFFINITY_MASK)
    }

    /// Takes an allegation, such as a guest's argument of PSCI CPU_ON: `None` if any bit outside
    /// the affinity fields is set (DEN0022, 5.1.4).
    #[must_use]
    pub const fn from_argument(value: u64) -> Option<Self> {
        if value & !Self::AFFINITY_MASK == 0 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// Makes an affinity value from its four fields.
    #[must_use]
    pub const fn from_fields(aff3: u8, aff2: u8, aff1: u8, aff0: u8) -> Self {
        Self((aff3 as u64) << 32 | (aff2 as u64) << 16 | (aff1 as u64) << 8 | aff0 as u64)
    }

    /// Gives the affinity of the vCPU at `index`: 16 vCPUs to a cluster in Aff0, the clusters in
    /// Aff1 and Aff2, so that one ICC_SGI1R target list reaches a whole cluster.
    #[must_use]
    pub const fn of_vcpu(index: VcpuIndex) -> Self {
        let [high, low] = index.get().to_be_bytes();
        Self::from_fields(0, high >> 4, (high << 4) | (low >> 4), low & 0xf)
    }

    /// Finds the vCPU that [`Mpidr::of_vcpu`] gives this affinity; `None` if no index does. The
    /// caller still compares the index with the number of vCPUs.
    #[must_use]
    pub const fn vcpu(self) -> Option<VcpuIndex> {
        let [_, _, _, aff3, _, aff2, aff1, aff0] = self.0.to_be_bytes();
        if aff3 != 0 || aff2 > 0xf || aff0 > 0xf {
            return None;
        }
        Some(VcpuIndex::new(
            (aff2 as u16) << 12 | (aff1 as u16) << 4 | aff0 as u16,
        ))
    }

    /// Returns the value as it stands in MPIDR_EL1, without the fixed bits.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Mpidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mpidr({:#x})", self.0)
    }
}

impl fmt::Display for Mpidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vcpu_index_survives_its_affinity() {
        for index in 0..=u16::MAX {
            let index = VcpuIndex::new(index);
            assert_eq!(Mpidr::of_vcpu(index).vcpu(), Some(index));
        }
    }

    #[test]
    fn sixteen_vcpus_share_a_cluster() {
        assert_eq!(Mpidr::of_vcpu(VcpuIndex::new(15)).get(), 0xf);
        assert_eq!(Mpidr::of_vcpu(VcpuIndex::new(16)).get(), 0x100);
        assert_eq!(Mpidr::of_vcpu(VcpuIndex::new(0x1000)).get(), 0x1_0000);
    }

    #[test]
    fn foreign_affinities_name_no_vcpu() {
        assert_eq!(Mpidr::from_fields(1, 0, 0, 0).vcpu(), None);
        assert_eq!(Mpidr::from_fields(0, 0x10, 0, 0).vcpu(), None);
        assert_eq!(Mpidr::from_fields(0, 0, 0, 0x10).vcpu(), None);
        assert_eq!(Mpidr::from_argument(1 << 24), None);
        assert_eq!(Mpidr::from_argument(1 << 40), None);
    }

    #[test]
    fn interrupt_kinds_do_not_overlap() {
        for raw in 0..2048 {
            let id = IntId::new(raw);
            assert_eq!(id.is_private(), raw < 32);
            assert_eq!(id.is_spi(), (32..1020).contains(&raw));
        }
        assert_eq!(IntId::spi(987), Some(IntId::new(1019)));
        assert_eq!(IntId::spi(988), None);
        assert_eq!(IntId::ppi(11), Some(IntId::new(27)));
        assert_eq!(IntId::ppi(16), None);
    }
}
