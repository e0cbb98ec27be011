//! The vCPUs as the distributor knows them: what each has to look at, and which SPIs are its own.

use crate::bits::{bit, step};
use crate::distributor::{Distributor, NOBODY, spi_index};
use crate::effects::{Effects, VcpuSet};
use crate::routing::{join, split};
use addr::VcpuIndex;

/// The word of a vCPU's own interrupts.
pub(crate) const PRIVATE_WORD: u32 = 1;

/// What a vCPU has to look at when it is kicked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// One bit to a bank that may hold something for it; never too few.
    pub(crate) words: u32,
    /// Of [`ask`]. One word, so that a switch reads and writes it at once.
    asks: u32,
}

/// What else concerns a vCPU.
pub(crate) mod ask {
    /// What is in its list registers is out of date.
    pub(crate) const REFOLD: u32 = 1;
    /// The wire of an SPI in its list registers fell.
    pub(crate) const LOWERED: u32 = 1 << 1;
    /// It was asked to look at its list registers for another's read.
    pub(crate) const LOOK: u32 = 1 << 2;
    /// It still has to take back what the guest has disabled: GICD_CTLR.RWP.
    pub(crate) const DISABLING: u32 = 1 << 3;
    /// It runs: its list registers may hold something.
    pub(crate) const RESIDENT: u32 = 1 << 4;
}

impl Request {
    /// Tells whether any of `asks` concerns the vCPU.
    #[inline]
    pub(crate) const fn asks(self, asks: u32) -> bool {
        self.asks & asks != 0
    }

    /// Tells whether a vCPU that runs has nothing to do.
    #[inline]
    pub(crate) const fn is_quiet(self) -> bool {
        self.words == 0 && self.asks & !ask::RESIDENT == 0
    }

    #[inline]
    pub(crate) const fn add(&mut self, asks: u32) {
        self.asks |= asks;
    }

    #[inline]
    pub(crate) const fn drop(&mut self, asks: u32) {
        self.asks &= !asks;
    }
}

/// The SPIs of one vCPU, a word for each bank; there are none in word 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Those that go to it.
    targeted: [u32; 32],
    /// Those that are in its list registers or active on it.
    held: [u32; 32],
}

/// Returns the word of a bank; there are never more than 32.
#[inline]
fn of(words: &[u32; 32], word: u32) -> u32 {
    words.get((word & 31) as usize).copied().unwrap_or(0)
}

#[inline]
fn change(words: &mut [u32; 32], word: u32, set: u32, clear: u32) {
    if let Some(place) = words.get_mut((word & 31) as usize) {
        *place = (*place & !clear) | set;
    }
}

impl Distributor {
    /// Returns what a vCPU has to look at.
    #[inline]
    pub(crate) fn request(&self, vcpu: VcpuIndex) -> Request {
        self.requests.get(vcpu.index()).copied().unwrap_or_default()
    }

    /// Replaces what a vCPU has to look at.
    #[inline]
    pub(crate) fn set_request(&mut self, vcpu: VcpuIndex, request: Request) {
        if let Some(place) = self.requests.get_mut(vcpu.index()) {
            *place = request;
        }
    }

    /// Records that a vCPU came to a CPU, and returns what it has to look at.
    #[inline]
    pub(crate) fn join_cpu(&mut self, vcpu: VcpuIndex) -> Request {
        // Ends may have been counted that concern what is active in no list register.
        let asks = if self.active_words == 0 {
            ask::RESIDENT
        } else {
            ask::RESIDENT | ask::REFOLD
        };
        let Some(request) = self.requests.get_mut(vcpu.index()) else {
            return Request::default();
        };
        request.add(asks);
        *request
    }

    /// Records that a vCPU, which has nothing in flight, left its CPU.
    #[inline]
    pub(crate) fn leave_cpu(&mut self, vcpu: VcpuIndex) {
        self.settle(vcpu, u32::MAX);
    }

    /// Records that a vCPU took back all that it had in flight.
    #[inline]
    pub(crate) fn note_folded(&mut self, vcpu: VcpuIndex) {
        self.settle(vcpu, ask::DISABLING | ask::LOOK);
    }

    /// Records that a vCPU has looked at its list registers.
    #[inline]
    pub(crate) fn note_looked(&mut self, vcpu: VcpuIndex) {
        self.settle(vcpu, ask::LOOK);
    }

    /// Returns those of `vcpus` that were asked to look and have not done so.
    pub(crate) fn still_to_look(&self, vcpus: &VcpuSet) -> VcpuSet {
        let mut missing = VcpuSet::EMPTY;
        for vcpu in vcpus.iter() {
            if self.request(vcpu).asks(ask::LOOK) {
                missing.insert(vcpu);
            }
        }
        missing
    }

    #[inline]
    fn settle(&mut self, vcpu: VcpuIndex, asks: u32) {
        if let Some(request) = self.requests.get_mut(vcpu.index()) {
            if request.asks(asks & ask::DISABLING) {
                self.disabling = self.disabling.saturating_sub(1);
            }
            request.drop(asks);
        }
    }

    /// Records for the holder of an SPI in flight, or else its target, that it must look at it.
    pub(crate) fn notify(&mut self, word: u32, number: u32, effects: &mut Effects) {
        let in_flight = self.bank(word).map_or(0, |bank| bank.in_flight());
        let vcpu = if in_flight & bit(number) != 0 {
            self.holder(word, number)
        } else {
            self.target(join(word, number))
                .map_or(NOBODY, VcpuIndex::get)
        };
        if let Some(request) = self.requests.get_mut(usize::from(vcpu)) {
            request.words |= bit(word);
            effects.kick.insert(VcpuIndex::new(vcpu));
        }
    }

    /// Records what a vCPU must do, and that it must be kicked for it.
    pub(crate) fn ask(&mut self, vcpu: u16, asks: u32, effects: &mut Effects) {
        if let Some(request) = self.requests.get_mut(usize::from(vcpu)) {
            if asks & ask::DISABLING != 0 && !request.asks(ask::DISABLING) {
                self.disabling = self.disabling.saturating_add(1);
            }
            request.add(asks);
            effects.kick.insert(VcpuIndex::new(vcpu));
        }
    }

    /// Has all vCPUs look at everything: the forwarded groups have changed. RWP reads as 1 until
    /// those that run have taken back what was `disabled`.
    pub(crate) fn ask_all(&mut self, disabled: Disabled) {
        let words = self.all_words();
        for request in &mut self.requests {
            step();
            let waits = match disabled {
                Disabled::Some => request.asks(ask::RESIDENT) && !request.asks(ask::DISABLING),
                Disabled::Nothing => false,
            };
            if waits {
                request.add(ask::DISABLING);
                self.disabling = self.disabling.saturating_add(1);
            }
            request.add(ask::REFOLD);
            request.words = words;
        }
    }

    /// Returns the vCPU that an SPI goes to.
    #[inline]
    pub(crate) fn target(&self, id: u32) -> Option<VcpuIndex> {
        self.targets
            .get(spi_index(id))
            .filter(|target| **target != NOBODY)
            .map(|target| VcpuIndex::new(*target))
    }

    /// Has an SPI go to a vCPU, or to [`NOBODY`].
    #[inline]
    pub(crate) fn set_target(&mut self, id: u32, target: u16) {
        let (word, number) = split(id);
        let Some(place) = self.targets.get_mut(spi_index(id)) else {
            return;
        };
        let old = core::mem::replace(place, target);
        if let Some(share) = self.shares.get_mut(usize::from(old)) {
            change(&mut share.targeted, word, 0, bit(number));
        }
        if let Some(share) = self.shares.get_mut(usize::from(target)) {
            change(&mut share.targeted, word, bit(number), 0);
        }
    }

    /// Returns the index of the vCPU that holds an SPI, in flight or active.
    #[inline]
    pub(crate) fn holder(&self, word: u32, number: u32) -> u16 {
        self.holders
            .get(spi_index(join(word, number)))
            .copied()
            .unwrap_or(NOBODY)
    }

    /// Gives an SPI to a vCPU.
    #[inline]
    pub(crate) fn set_holder(&mut self, id: u32, holder: u16) {
        let (word, number) = split(id);
        let Some(place) = self.holders.get_mut(spi_index(id)) else {
            return;
        };
        let old = core::mem::replace(place, holder);
        if old == holder {
            return;
        }
        if let Some(share) = self.shares.get_mut(usize::from(old)) {
            change(&mut share.held, word, 0, bit(number));
        }
        if let Some(share) = self.shares.get_mut(usize::from(holder)) {
            change(&mut share.held, word, bit(number), 0);
        }
    }

    /// Returns the SPIs of a bank that go to a vCPU.
    #[inline]
    pub(crate) fn targeted(&self, vcpu: VcpuIndex, word: u32) -> u32 {
        self.shares
            .get(vcpu.index())
            .map_or(0, |share| of(&share.targeted, word))
    }

    /// Returns the SPIs of a bank that are in a vCPU's list registers or active on it (or were so
    /// last).
    #[inline]
    pub(crate) fn held(&self, vcpu: VcpuIndex, word: u32) -> u32 {
        self.shares
            .get(vcpu.index())
            .map_or(0, |share| of(&share.held, word))
    }

    /// Has all SPIs go to the first vCPU, and none be held: the reset state.
    pub(crate) fn reset_shares(&mut self) {
        self.targets.fill(0);
        self.holders.fill(NOBODY);
        self.requests.fill(Request::default());
        self.disabling = 0;
        self.shares.fill(Share::default());
        if let Some(first) = self.shares.first_mut() {
            for (word, bank) in (1..).zip(&self.banks) {
                change(&mut first.targeted, word, bank.implemented(), 0);
            }
        }
    }
}

/// Whether a change disables something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disabled {
    /// Interrupts were disabled that may be in list registers.
    Some,
    /// No interrupt was.
    Nothing,
}
