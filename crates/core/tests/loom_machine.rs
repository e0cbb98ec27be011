//! Two and three CPUs that schedule, wake, power on and stop vCPUs, each step in the order in which
//! `roles` take it. Whatever the interleaving: a vCPU is run by one CPU at a time; none is left asleep
//! with a post in its mailbox, or in a queue that nobody looks into; and the last vCPU to be off is
//! counted as the last exactly once. Explored by loom: `RUSTFLAGS="--cfg loom"`.
//!
//! Where three CPUs take part, loom explores up to three preemptions, which keeps it within seconds.
#![cfg(loom)]

use addr::{CpuId, VcpuId, VcpuIndex, VmId};
use bulkhead_core::vcpu_state::{VcpuEdge, VcpuLife, VcpuState};
use bulkhead_core::vm_state::{VmEdge, VmLife, VmState};
use bulkhead_core::{Affinity, Before, Found, Mailbox, Post, Scheduler};
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// What the role keeps of one vCPU.
struct Place {
    life: VcpuLife,
    mailbox: Mailbox,
    /// The CPU that runs it, or ran it last.
    cpu: AtomicUsize,
    /// It lies here; else a CPU has it.
    here: AtomicBool,
}

/// What all CPUs share.
struct Machine {
    vm: VmLife,
    /// vCPUs that are not off.
    alive: AtomicU32,
    /// How often the last one was switched off.
    ended: AtomicU32,
    places: Vec<Place>,
    scheduler: Mutex<Scheduler>,
    unlimited: Vec<AtomicBool>,
    /// Physical SGIs that wait for their CPU.
    kicks: Vec<AtomicBool>,
}

impl Machine {
    /// Makes a machine with a vCPU in each of `states`; number n was or is on CPU n, if there is one.
    fn new(cpus: usize, states: &[VcpuState]) -> Arc<Self> {
        let place = |(index, state): (usize, &VcpuState)| Place {
            life: VcpuLife::new(*state),
            mailbox: Mailbox::new(),
            cpu: AtomicUsize::new(index % cpus),
            here: AtomicBool::new(*state != VcpuState::Running),
        };
        let alive = states.iter().filter(|state| **state != VcpuState::Off);
        Arc::new(Self {
            vm: VmLife::new(VmState::Running),
            alive: AtomicU32::new(alive.count() as u32),
            ended: AtomicU32::new(0),
            places: states.iter().enumerate().map(place).collect(),
            scheduler: Mutex::new(Scheduler::new(cpus, states.len())),
            unlimited: (0..cpus).map(|_| AtomicBool::new(true)).collect(),
            kicks: (0..cpus).map(|_| AtomicBool::new(false)).collect(),
        })
    }

    fn kick(&self, cpu: usize) {
        self.kicks[cpu].store(true, Ordering::SeqCst);
    }

    fn reach(&self, vcpu: usize, post: Post) {
        let place = &self.places[vcpu];
        if place.mailbox.post(post) == Before::Posted {
            return;
        }
        if place.life.take(VcpuEdge::Wake).is_ok() {
            self.enqueue(vcpu);
        } else if place.life.is(VcpuState::Running) {
            self.kick(place.cpu.load(Ordering::SeqCst));
        }
    }

    fn enqueue(&self, vcpu: usize) {
        let last = self.places[vcpu].cpu.load(Ordering::SeqCst);
        let affinity = Affinity::Floating { last: cpu(last) };
        let placed = self.scheduler.lock().unwrap().enqueue(id(vcpu), affinity);
        let placed = placed.expect("it stands in a queue twice");
        let unlimited = &self.unlimited[placed.cpu.index()];
        if placed.found == Found::Idle || unlimited.load(Ordering::SeqCst) {
            self.kick(placed.cpu.index());
        }
    }

    /// Lets a CPU look for work; returns the vCPU that it runs then, `None` if it sleeps.
    fn run_next(&self, on: usize) -> Option<usize> {
        loop {
            self.unlimited[on].store(true, Ordering::SeqCst);
            let next = self.scheduler.lock().unwrap().next(cpu(on))?;
            let vcpu = usize::from(next.vcpu.index.get());
            let place = &self.places[vcpu];
            place
                .life
                .take(VcpuEdge::Dispatch)
                .expect("it is not ready");
            place.cpu.store(on, Ordering::SeqCst);
            if !self.vm.is(VmState::Running) {
                let _ = place.mailbox.take();
                self.switch_off(vcpu);
                continue;
            }
            let was_here = place.here.swap(false, Ordering::SeqCst);
            assert!(was_here, "two CPUs run vCPU {vcpu}");
            if next.others != 0 {
                self.unlimited[on].store(false, Ordering::SeqCst);
            }
            if self.look(vcpu) {
                return Some(vcpu);
            }
        }
    }

    /// Does what was posted to a vCPU that a CPU has; returns whether it goes on.
    fn look(&self, vcpu: usize) -> bool {
        let posts = self.places[vcpu].mailbox.take();
        if posts.contains(Post::Stop) {
            self.unload(vcpu);
            self.switch_off(vcpu);
            return false;
        }
        true
    }

    fn unload(&self, vcpu: usize) {
        let was_here = self.places[vcpu].here.swap(true, Ordering::SeqCst);
        assert!(!was_here, "vCPU {vcpu} was here and on a CPU");
    }

    fn preempt(&self, vcpu: usize) {
        self.unload(vcpu);
        self.places[vcpu].life.take(VcpuEdge::Preempt).unwrap();
        self.enqueue(vcpu);
    }

    fn sleep(&self, vcpu: usize) {
        self.unload(vcpu);
        let place = &self.places[vcpu];
        place.life.take(VcpuEdge::Wait).unwrap();
        if !place.mailbox.is_empty() && place.life.take(VcpuEdge::Wake).is_ok() {
            self.enqueue(vcpu);
        }
    }

    fn switch_off(&self, vcpu: usize) {
        self.places[vcpu].life.take(VcpuEdge::PowerOff).unwrap();
        if self.alive.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        let _ = self.vm.take(VmEdge::PowerOff);
        self.vm.take(VmEdge::Stopped).expect("nothing stopped it");
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    fn power_on(&self, vcpu: usize) -> bool {
        let place = &self.places[vcpu];
        if place.life.take(VcpuEdge::PowerOn).is_err() {
            return false;
        }
        self.alive.fetch_add(1, Ordering::SeqCst);
        place.life.take(VcpuEdge::Prepared).unwrap();
        self.enqueue(vcpu);
        if !self.vm.is(VmState::Running) {
            self.reach(vcpu, Post::Stop);
        }
        true
    }

    fn stop(&self) {
        if self.vm.take(VmEdge::PowerOff).is_err() {
            return;
        }
        for vcpu in 0..self.places.len() {
            self.reach(vcpu, Post::Stop);
        }
    }

    /// Delivers the physical SGIs that are on their way, one CPU after the other, until there are
    /// none. `running` says which vCPU each CPU has.
    fn settle(&self, running: &mut [Option<usize>]) {
        while let Some(on) = (0..running.len()).find(|on| self.kicks[*on].load(Ordering::SeqCst)) {
            self.kicks[on].store(false, Ordering::SeqCst);
            match running[on] {
                Some(vcpu) if self.look(vcpu) => {
                    if self.scheduler.lock().unwrap().waiting(cpu(on)) != 0 {
                        self.unlimited[on].store(false, Ordering::SeqCst);
                    }
                }
                Some(_) | None => running[on] = self.run_next(on),
            }
        }
    }

    /// Checks what must hold once everything that was on its way has arrived.
    fn check(&self, running: &[Option<usize>]) {
        for (vcpu, place) in self.places.iter().enumerate() {
            let has = running.iter().filter(|on| **on == Some(vcpu)).count();
            let state = place.life.state().unwrap();
            assert_eq!(has, usize::from(state == VcpuState::Running), "vCPU {vcpu}");
            assert_ne!(state, VcpuState::Starting);
            let may_hold_posts = state == VcpuState::Ready || state == VcpuState::Off;
            assert!(
                may_hold_posts || place.mailbox.is_empty(),
                "vCPU {vcpu} is {state:?} and does not know of a post"
            );
        }
        let mut scheduler = self.scheduler.lock().unwrap();
        for (on, vcpu) in running.iter().enumerate() {
            let waiting = scheduler.waiting(cpu(on)) != 0;
            let looks_later = vcpu.is_some() && !self.unlimited[on].load(Ordering::SeqCst);
            assert!(!waiting || looks_later, "CPU {on} does not know who waits");
        }
        let ready = |place: &&Place| place.life.is(VcpuState::Ready);
        let ready = self.places.iter().filter(ready).count();
        let queued = (0..running.len()).map(|on| scheduler.waiting(cpu(on)));
        assert_eq!(queued.sum::<usize>(), ready);
        // What stands in the queues is what is ready, each once.
        let mut seen = vec![false; self.places.len()];
        for on in 0..running.len() {
            while let Some(next) = scheduler.next(cpu(on)) {
                let vcpu = usize::from(next.vcpu.index.get());
                assert!(self.places[vcpu].life.is(VcpuState::Ready));
                assert!(!core::mem::replace(&mut seen[vcpu], true));
            }
        }
    }

    fn check_ended(&self) {
        assert_eq!(self.ended.load(Ordering::SeqCst), 1);
        assert_eq!(self.alive.load(Ordering::SeqCst), 0);
        assert!(
            self.places
                .iter()
                .all(|place| place.life.is(VcpuState::Off))
        );
    }
}

fn id(vcpu: usize) -> VcpuId {
    VcpuId {
        vm: VmId::new(0),
        index: VcpuIndex::new(vcpu as u16),
    }
}

fn cpu(index: usize) -> CpuId {
    CpuId::new(index as u16)
}

fn spawn<T: 'static>(
    machine: &Arc<Machine>,
    step: impl FnOnce(&Machine) -> T + 'static,
) -> thread::JoinHandle<T> {
    let machine = Arc::clone(machine);
    thread::spawn(move || step(&machine))
}

/// Explores with three CPUs.
fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

const RUNNING: VcpuState = VcpuState::Running;
const WAITING: VcpuState = VcpuState::Waiting;
const READY: VcpuState = VcpuState::Ready;
const OFF: VcpuState = VcpuState::Off;

#[test]
fn two_cpus_never_run_the_same_vcpu() {
    loom::model(|| {
        let machine = Machine::new(2, &[READY, READY]);
        machine.enqueue(0);
        machine.enqueue(1);
        let other = spawn(&machine, |machine| machine.run_next(1));
        let mut running = [machine.run_next(0), other.join().unwrap()];
        machine.settle(&mut running);
        machine.check(&running);
        assert!(running[0].is_some() && running[1].is_some());
    });
}

#[test]
fn a_post_finds_a_vcpu_that_goes_to_sleep_while_another_cpu_becomes_idle() {
    loom::model(|| {
        let machine = Machine::new(2, &[RUNNING]);
        let other = spawn(&machine, |machine| {
            machine.reach(0, Post::Shared);
            machine.run_next(1)
        });
        machine.sleep(0);
        let mut running = [machine.run_next(0), None];
        running[1] = other.join().unwrap();
        machine.settle(&mut running);
        machine.check(&running);
        assert!(
            running.contains(&Some(0)),
            "it was woken and nobody runs it"
        );
    });
}

#[test]
fn a_cpu_that_takes_a_vcpu_without_a_limit_learns_of_the_next_one() {
    loom::model(|| {
        let machine = Machine::new(1, &[RUNNING, WAITING]);
        machine.unlimited[0].store(false, Ordering::SeqCst);
        let other = spawn(&machine, |machine| machine.reach(1, Post::Timer));
        machine.preempt(0);
        let mut running = [machine.run_next(0)];
        other.join().unwrap();
        machine.settle(&mut running);
        machine.check(&running);
    });
}

#[test]
fn of_two_cpus_that_power_a_vcpu_on_one_succeeds_and_it_runs() {
    loom::model(|| {
        let machine = Machine::new(2, &[RUNNING, RUNNING, OFF]);
        let other = spawn(&machine, |machine| machine.power_on(2));
        let here = machine.power_on(2);
        assert_ne!(here, other.join().unwrap());
        let mut running = [Some(0), Some(1)];
        machine.settle(&mut running);
        machine.check(&running);
        assert!(machine.places[2].life.is(READY));
    });
}

#[test]
fn three_cpus_share_two_vcpus_one_of_which_is_preempted() {
    bounded(|| {
        let machine = Machine::new(3, &[RUNNING, READY]);
        machine.enqueue(1);
        let first = spawn(&machine, |machine| machine.run_next(1));
        let second = spawn(&machine, |machine| machine.run_next(2));
        machine.preempt(0);
        let zeroth = machine.run_next(0);
        let mut running = [zeroth, first.join().unwrap(), second.join().unwrap()];
        machine.settle(&mut running);
        machine.check(&running);
        assert_eq!(running.iter().flatten().count(), 2, "{running:?}");
    });
}

#[test]
fn a_sleeper_is_reached_by_two_others_and_runs_once() {
    bounded(|| {
        let machine = Machine::new(3, &[RUNNING]);
        let first = spawn(&machine, |machine| {
            machine.reach(0, Post::Timer);
            machine.run_next(1)
        });
        let second = spawn(&machine, |machine| {
            machine.reach(0, Post::Shared);
            machine.run_next(2)
        });
        machine.sleep(0);
        let zeroth = machine.run_next(0);
        let mut running = [zeroth, first.join().unwrap(), second.join().unwrap()];
        machine.settle(&mut running);
        machine.check(&running);
        assert_eq!(running.iter().flatten().count(), 1, "{running:?}");
    });
}

#[test]
fn a_stop_reaches_one_that_runs_one_that_sleeps_and_one_that_goes_to_sleep() {
    bounded(|| {
        let machine = Machine::new(3, &[RUNNING, RUNNING, WAITING]);
        let sleeper = spawn(&machine, |machine| {
            machine.sleep(1);
            machine.run_next(1)
        });
        let idle = spawn(&machine, |machine| machine.run_next(2));
        machine.stop();
        let mut running = [Some(0), sleeper.join().unwrap(), idle.join().unwrap()];
        machine.settle(&mut running);
        machine.check(&running);
        machine.check_ended();
    });
}

#[test]
fn a_vcpu_that_is_powered_on_while_its_vm_stops_stops_too() {
    bounded(|| {
        let machine = Machine::new(3, &[RUNNING, RUNNING, OFF]);
        let starter = spawn(&machine, |machine| {
            machine.power_on(2);
        });
        let idle = spawn(&machine, |machine| machine.run_next(2));
        machine.stop();
        starter.join().unwrap();
        let mut running = [Some(0), Some(1), idle.join().unwrap()];
        machine.settle(&mut running);
        machine.check(&running);
        machine.check_ended();
    });
}

#[test]
fn sgis_of_two_senders_arrive_with_a_reason_to_look() {
    loom::model(|| {
        let machine = Machine::new(1, &[RUNNING]);
        let senders: Vec<_> = [1, 2]
            .into_iter()
            .map(|sgi| {
                spawn(&machine, move |machine| {
                    if machine.places[0].mailbox.post_sgis(sgi) == Before::Empty {
                        machine.kick(0);
                    }
                })
            })
            .collect();
        let mut seen = machine.places[0].mailbox.take().sgis();
        for sender in senders {
            sender.join().unwrap();
        }
        if machine.kicks[0].load(Ordering::SeqCst) {
            seen |= machine.places[0].mailbox.take().sgis();
        }
        assert_eq!(seen, 3, "an SGI is left and nobody was told");
    });
}
