//! What other CPUs leave for a vCPU.

use crate::sync::{AtomicU32, Ordering};

/// One thing that may be posted. Posting it twice before it is taken is the same as once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    /// An SGI, 0 to 15, in the group that the receiver's configuration gives it. Others are ignored.
    Sgi {
        /// The INTID.
        number: u32,
    },
    /// Something about shared interrupts has changed: look again.
    Shared,
    /// A CPU waits for the list registers to be folded, as GICD_CTLR.RWP shows.
    Fold,
    /// Its VM stops, so it shall.
    Stop,
    /// The deadline of one of its timers has passed.
    Timer,
    /// Another vCPU's access to its redistributor waits in its place.
    Redistributor,
}

/// What was posted to a vCPU since it last looked.
#[derive(Debug, Default)]
pub struct Mailbox(AtomicU32);

/// A set of posts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posts(u32);

impl Post {
    const fn bit(self) -> u32 {
        match self {
            Self::Sgi { number } if number < 16 => 1 << number,
            Self::Sgi { .. } => 0,
            Self::Shared => 1 << 16,
            Self::Fold => 1 << 17,
            Self::Stop => 1 << 18,
            Self::Timer => 1 << 19,
            Self::Redistributor => 1 << 20,
        }
    }
}

impl Posts {
    /// Tells whether nothing was posted.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Tells whether `post` is in the set.
    #[must_use]
    pub const fn contains(self, post: Post) -> bool {
        let bit = post.bit();
        bit != 0 && self.0 & bit == bit
    }

    /// Returns a bit for each SGI in the set.
    #[must_use]
    pub const fn sgis(self) -> u16 {
        let [_, _, high, low] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

impl Mailbox {
    /// Makes an empty mailbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `post`. The poster then looks at the receiver's life cycle, and wakes or kicks it.
    pub fn post(&self, post: Post) {
        self.0.fetch_or(post.bit(), Ordering::SeqCst);
    }

    /// Adds several SGIs at once, a bit for each.
    pub fn post_sgis(&self, sgis: u16) {
        self.0.fetch_or(u32::from(sgis), Ordering::SeqCst);
    }

    /// Takes everything out.
    #[must_use]
    pub fn take(&self) -> Posts {
        // Most looks find nothing: a load is cheaper than a swap, and no post is missed, since a
        // later one comes with a kick of its own.
        if self.0.load(Ordering::SeqCst) == 0 {
            return Posts(0);
        }
        Posts(self.0.swap(0, Ordering::SeqCst))
    }

    /// Tells whether nothing was posted: what a CPU asks after it has parked the vCPU.
    ///
    /// This is a read-modify-write, not a load: either it sees a post, or the poster's own
    /// read-modify-write comes after it and then sees the vCPU parked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.fetch_or(0, Ordering::SeqCst) == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ALL: [Post; 6] = [
        Post::Sgi { number: 3 },
        Post::Shared,
        Post::Fold,
        Post::Stop,
        Post::Timer,
        Post::Redistributor,
    ];

    #[test]
    fn each_post_is_taken_once() {
        for post in ALL {
            let mailbox = Mailbox::new();
            mailbox.post(post);
            mailbox.post(post);
            assert!(!mailbox.is_empty());
            let taken = mailbox.take();
            for other in ALL {
                assert_eq!(taken.contains(other), other == post);
            }
            assert!(mailbox.take().is_empty());
        }
    }

    #[test]
    fn an_sgi_beyond_15_is_ignored() {
        let mailbox = Mailbox::new();
        mailbox.post(Post::Sgi { number: 16 });
        assert!(mailbox.is_empty());
        assert!(!mailbox.take().contains(Post::Sgi { number: 16 }));
    }

    #[test]
    fn sgis_keep_their_numbers() {
        let mailbox = Mailbox::new();
        mailbox.post_sgis(0x8001);
        mailbox.post(Post::Shared);
        assert_eq!(mailbox.take().sgis(), 0x8001);
    }
}
