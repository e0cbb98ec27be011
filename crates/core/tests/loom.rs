//! A vCPU that goes to sleep while another CPU posts to it is never left asleep with a post in its
//! mailbox, and never stands in two queues. Explored by loom: `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use bulkhead_core::vcpu_state::{VcpuEdge, VcpuLife, VcpuState};
use bulkhead_core::{Before, Mailbox, Post};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

struct Vcpu {
    life: VcpuLife,
    mailbox: Mailbox,
    queued: AtomicUsize,
    kicks: AtomicUsize,
}

impl Vcpu {
    fn running() -> Arc<Self> {
        Arc::new(Self {
            life: VcpuLife::new(VcpuState::Running),
            mailbox: Mailbox::new(),
            queued: AtomicUsize::new(0),
            kicks: AtomicUsize::new(0),
        })
    }

    /// What `roles` do to reach a vCPU.
    fn post(&self, post: Post) {
        if self.mailbox.post(post) == Before::Posted {
            return;
        }
        if self.life.take(VcpuEdge::Wake).is_ok() {
            self.queued.fetch_add(1, Ordering::SeqCst);
        } else {
            self.kicks.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// What `roles` do when a guest waits.
    fn wait(&self) {
        self.life.take(VcpuEdge::Wait).unwrap();
        if !self.mailbox.is_empty() && self.life.take(VcpuEdge::Wake).is_ok() {
            self.queued.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let vcpu = Vcpu::running();
        let poster = {
            let vcpu = Arc::clone(&vcpu);
            thread::spawn(move || vcpu.post(Post::Shared))
        };
        vcpu.wait();
        poster.join().unwrap();
        assert!(vcpu.life.is(VcpuState::Ready));
        assert_eq!(vcpu.queued.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn two_posters_queue_it_once() {
    loom::model(|| {
        let vcpu = Vcpu::running();
        let posters: Vec<_> = [Post::Shared, Post::Timer]
            .into_iter()
            .map(|post| {
                let vcpu = Arc::clone(&vcpu);
                thread::spawn(move || vcpu.post(post))
            })
            .collect();
        vcpu.wait();
        for poster in posters {
            poster.join().unwrap();
        }
        assert!(vcpu.life.is(VcpuState::Ready));
        assert_eq!(vcpu.queued.load(Ordering::SeqCst), 1);
        let posts = vcpu.mailbox.take();
        assert!(posts.contains(Post::Shared) && posts.contains(Post::Timer));
    });
}

#[test]
fn one_of_two_cpus_dispatches_it() {
    loom::model(|| {
        let life = Arc::new(VcpuLife::new(VcpuState::Ready));
        let winners = Arc::new(AtomicUsize::new(0));
        let other = {
            let (life, winners) = (Arc::clone(&life), Arc::clone(&winners));
            thread::spawn(move || {
                if life.take(VcpuEdge::Dispatch).is_ok() {
                    winners.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        if life.take(VcpuEdge::Dispatch).is_ok() {
            winners.fetch_add(1, Ordering::SeqCst);
        }
        other.join().unwrap();
        assert_eq!(winners.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn of_three_calls_of_cpu_on_one_succeeds() {
    loom::model(|| {
        let life = Arc::new(VcpuLife::new(VcpuState::Off));
        let winners = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (life, winners) = (Arc::clone(&life), Arc::clone(&winners));
                thread::spawn(move || {
                    if life.take(VcpuEdge::PowerOn).is_ok() {
                        winners.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        if life.take(VcpuEdge::PowerOn).is_ok() {
            winners.fetch_add(1, Ordering::SeqCst);
        }
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(winners.load(Ordering::SeqCst), 1);
    });
}
