//! What other CPUs leave for a vCPU.

use crate::sync::{AtomicU32, Ordering};

/// One thing that may be posted. Posting it twice before it is taken is the same as once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    /// Something about shared interrupts has changed: look again.
    Shared,
    /// Its VM stops, so it shall.
    Stop,
    /// The deadline of one of its timers has passed.
    Timer,
    /// Another vCPU's access to its redistributor waits in its place.
    Redistributor,
}

/// What was posted to a vCPU since it last looked.
#[derive(Debug, Default)]
pub struct Mailbox {
    posts: AtomicU32,
    sgis: AtomicU32,
}

/// What was in a mailbox when something was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing: the receiver has to be told.
    Empty,
    /// Something that the receiver has not looked at: it is being told.
    Posted,
}

impl Before {
    const fn from_bits(bits: u32) -> Self {
        if bits == 0 { Self::Empty } else { Self::Posted }
    }
}

/// What was taken out of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posts {
    posts: u32,
    sgis: u32,
}

/// The bit that says that there are SGIs.
const SGIS: u32 = 1 << 31;

impl Post {
    const fn bit(self) -> u32 {
        match self {
            Self::Shared => 1,
            Self::Stop => 1 << 1,
            Self::Timer => 1 << 2,
            Self::Redistributor => 1 << 3,
        }
    }
}

impl Posts {
    /// Tells whether nothing was posted.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.posts == 0 && self.sgis == 0
    }

    /// Tells whether `post` is among them.
    #[must_use]
    pub const fn contains(self, post: Post) -> bool {
        self.posts & post.bit() != 0
    }

    /// Returns the SGIs as they were posted, a bit for each.
    #[must_use]
    pub const fn sgis(self) -> u32 {
        self.sgis
    }
}

impl Mailbox {
    /// Makes an empty mailbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `post`. If nothing was there before, the poster then looks at the receiver's life cycle,
    /// and wakes or kicks it. Otherwise an earlier poster does, or has done, so.
    #[must_use = "a post that nobody looks at is lost"]
    pub fn post(&self, post: Post) -> Before {
        Before::from_bits(self.posts.fetch_or(post.bit(), Ordering::SeqCst))
    }

    /// Adds SGIs, a bit for each kind; then as [`Mailbox::post`].
    #[must_use = "a post that nobody looks at is lost"]
    pub fn post_sgis(&self, sgis: u32) -> Before {
        self.sgis.fetch_or(sgis, Ordering::SeqCst);
        Before::from_bits(self.posts.fetch_or(SGIS, Ordering::SeqCst))
    }

    /// Takes everything out.
    #[must_use]
    pub fn take(&self) -> Posts {
        // Most looks find nothing: a load is cheaper than a swap, and no post is missed, since a
        // later one comes with a kick of its own.
        if self.posts.load(Ordering::SeqCst) == 0 {
            return Posts::default();
        }
        let posts = self.posts.swap(0, Ordering::SeqCst);
        let sgis = if posts & SGIS == 0 {
            0
        } else {
            self.sgis.swap(0, Ordering::SeqCst)
        };
        Posts {
            posts: posts & !SGIS,
            sgis,
        }
    }

    /// Tells whether nothing was posted: what a CPU asks after it has parked the vCPU.
    ///
    /// This is a read-modify-write, not a load: either it sees a post, or the poster's own
    /// read-modify-write comes after it and then sees the vCPU parked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.posts.fetch_or(0, Ordering::SeqCst) == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ALL: [Post; 4] = [Post::Shared, Post::Stop, Post::Timer, Post::Redistributor];

    #[test]
    fn each_post_is_taken_once() {
        for post in ALL {
            let mailbox = Mailbox::new();
            assert_eq!(mailbox.post(post), Before::Empty);
            assert_eq!(mailbox.post(post), Before::Posted);
            assert!(!mailbox.is_empty());
            let taken = mailbox.take();
            assert!(!taken.is_empty());
            for other in ALL {
                assert_eq!(taken.contains(other), other == post);
            }
            assert!(mailbox.take().is_empty());
        }
    }

    #[test]
    fn sgis_come_alone() {
        let mailbox = Mailbox::new();
        assert_eq!(mailbox.post_sgis(4), Before::Empty);
        let taken = mailbox.take();
        assert!(!taken.is_empty());
        assert_eq!(taken.sgis(), 4);
        assert!(ALL.iter().all(|post| !taken.contains(*post)));
        assert!(mailbox.take().is_empty());
    }

    #[test]
    fn sgis_keep_their_numbers() {
        let mailbox = Mailbox::new();
        assert_eq!(mailbox.post_sgis(0x8000_0001), Before::Empty);
        assert_eq!(mailbox.post_sgis(2), Before::Posted);
        assert_eq!(mailbox.post(Post::Shared), Before::Posted);
        let taken = mailbox.take();
        assert_eq!(taken.sgis(), 0x8000_0003);
        assert!(taken.contains(Post::Shared));
        assert!(mailbox.is_empty());
    }
}
