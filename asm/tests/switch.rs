//! The switch itself: words, registers, depth, order, threads.
#![expect(unsafe_code, reason = "switching is unsafe")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "each test switches between stacks that it owns")]

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;

use abaca_asm::stack::{Stack, StackPool};
use abaca_asm::{
    Context, Entry, Exit, can_switch_with, leave_with, prepare, switch, switch_with, thread_pointer,
};

/// A fiber and the computation that continues it. Both access it by pointer only.
struct Pair {
    caller: Context,
    fiber: Context,
    stack: Option<Stack>,
}

impl Pair {
    fn new(pool: &StackPool, entry: Entry) -> Box<Self> {
        let stack = pool.take().expect("a stack");
        let top = stack.top();
        let pair = Pair { caller: Context::dangling(), fiber: Context::dangling(), stack: Some(stack) };
        let mut pair = Box::new(pair);
        let argument = &raw mut *pair;
        pair.fiber = unsafe { prepare(top, entry, argument.cast()) };
        pair
    }

    fn go_on(&mut self, word: usize) -> usize {
        unsafe { switch(&raw mut self.caller, self.fiber, word) }
    }

    /// Called on the fiber.
    unsafe fn suspend(this: *mut Self, word: usize) -> usize {
        unsafe { switch(&raw mut (*this).fiber, (*this).caller, word) }
    }

    unsafe fn exit(this: *mut Self, word: usize) -> Exit {
        Exit { to: unsafe { (*this).caller }, word }
    }

    fn end(mut self, pool: &StackPool) {
        pool.give(self.stack.take().expect("ended once"));
    }
}

/// Answers each word with its successor; ends at 0 with `usize::MAX`.
unsafe extern "C" fn successor(mut word: usize, pair: *mut ()) -> Exit {
    let pair = pair.cast::<Pair>();
    while word != 0 {
        word = unsafe { Pair::suspend(pair, word + 1) };
    }
    unsafe { Pair::exit(pair, usize::MAX) }
}

#[test]
fn words_travel_both_ways() {
    let pool = StackPool::new(64 * 1024);
    let mut pair = Pair::new(&pool, successor);
    for word in 1..1000 {
        assert_eq!(pair.go_on(word), word + 1);
    }
    assert_eq!(pair.go_on(0), usize::MAX);
    pair.end(&pool);
}

#[test]
fn a_stack_serves_many_fibers_one_after_the_other() {
    let pool = StackPool::new(64 * 1024);
    let mut tops = Vec::new();
    for _ in 0..100 {
        let mut pair = Pair::new(&pool, successor);
        tops.push(pair.stack.as_ref().map(Stack::top));
        assert_eq!(pair.go_on(7), 8);
        assert_eq!(pair.go_on(0), usize::MAX);
        pair.end(&pool);
    }
    tops.dedup();
    assert_eq!(tops.len(), 1);
}

/// Keeps two dozen integers and as many floats alive over `between`, more than there are registers, and
/// returns them summed up.
#[inline(always)]
fn hold_registers(seed: u64, between: impl FnOnce()) -> (u64, f64) {
    let integers: [u64; 24] = std::array::from_fn(|index| black_box(seed + index as u64));
    let floats: [f64; 24] = std::array::from_fn(|index| black_box(seed as f64 + index as f64 / 2.0));
    between();
    (integers.iter().sum(), floats.iter().sum())
}

fn expected_registers(seed: u64) -> (u64, f64) {
    (24 * seed + 276, 24.0 * seed as f64 + 138.0)
}

unsafe extern "C" fn register_holder(mut word: usize, pair: *mut ()) -> Exit {
    let pair = pair.cast::<Pair>();
    while word != 0 {
        let mut next = 0;
        let sums = hold_registers(word as u64, || next = unsafe { Pair::suspend(pair, word) });
        if sums != expected_registers(word as u64) {
            return unsafe { Pair::exit(pair, 0) };
        }
        word = next;
    }
    unsafe { Pair::exit(pair, usize::MAX) }
}

#[test]
fn values_in_registers_survive_on_both_sides() {
    let pool = StackPool::new(64 * 1024);
    let mut pair = Pair::new(&pool, register_holder);
    for word in 1..200 {
        let mut answer = 0;
        let sums = hold_registers(1_000_000 + word as u64, || answer = pair.go_on(word));
        assert_eq!(sums, expected_registers(1_000_000 + word as u64));
        assert_eq!(answer, word);
    }
    assert_eq!(pair.go_on(0), usize::MAX);
    pair.end(&pool);
}

/// Suspends at the bottom of a recursion of the depth that it is sent, and again on the way up at each level.
#[inline(never)]
unsafe fn descend(pair: *mut Pair, depth: usize) -> usize {
    let local = black_box(depth * 3);
    if depth > 0 {
        let below = unsafe { descend(pair, depth - 1) };
        assert_eq!(below, (depth - 1) * 3);
    }
    let word = unsafe { Pair::suspend(pair, depth) };
    assert_eq!(word, depth);
    black_box(local)
}

unsafe extern "C" fn diver(depth: usize, pair: *mut ()) -> Exit {
    let pair = pair.cast();
    let result = unsafe { descend(pair, depth) };
    unsafe { Pair::exit(pair, result + 1) }
}

#[test]
fn frames_survive_at_every_depth() {
    let pool = StackPool::new(256 * 1024);
    let mut pair = Pair::new(&pool, diver);
    let mut word = 500;
    for depth in 0..=500 {
        assert_eq!(pair.go_on(word), depth);
        word = depth;
    }
    assert_eq!(pair.go_on(word), 1501);
    pair.end(&pool);
}

/// A ring in which each fiber continues its neighbour, and the last one the thread's own stack.
struct Ring {
    contexts: Vec<Context>,
    visits: Vec<u32>,
}

/// The first word is the fiber's place in the ring; it runs three rounds. Each continues the next one
/// directly.
unsafe extern "C" fn ring_member(place: usize, ring: *mut ()) -> Exit {
    let ring = ring.cast::<Ring>();
    let next = place + 1;
    for _ in 0..2 {
        unsafe {
            let Ring { contexts, visits } = &mut *ring;
            visits[place] += 1;
            let to = contexts[next];
            switch(&raw mut contexts[place], to, next);
        }
    }
    unsafe {
        let Ring { contexts, visits } = &mut *ring;
        visits[place] += 1;
        Exit { to: contexts[next], word: next }
    }
}

#[test]
fn fibers_continue_each_other_without_going_back_to_the_thread() {
    const FIBERS: usize = 300;
    let pool = StackPool::new(16 * 1024);
    let mut stacks = Vec::new();
    pool.take_many(FIBERS, &mut stacks).expect("stacks");
    assert_eq!(stacks.len(), FIBERS);
    let mut ring = Ring { contexts: Vec::new(), visits: vec![0; FIBERS] };
    let ring = &raw mut ring;
    unsafe {
        let Ring { contexts, .. } = &mut *ring;
        contexts.extend(stacks.iter().map(|stack| prepare(stack.top(), ring_member, ring.cast())));
        contexts.push(Context::dangling());
        for _ in 0..3 {
            let Ring { contexts, .. } = &mut *ring;
            let first = contexts[0];
            assert_eq!(switch(&raw mut contexts[FIBERS], first, 0), FIBERS);
        }
        let Ring { visits, .. } = &*ring;
        assert!(visits.iter().all(|&visits| visits == 3));
    }
    pool.give_many(stacks.into_iter());
}

struct Roaming(Box<Pair>);
unsafe impl Send for Roaming {}

#[test]
fn a_fiber_goes_on_on_another_thread() {
    let pool = StackPool::new(64 * 1024);
    let (to_other, from_first) = mpsc::channel::<Roaming>();
    let (to_first, from_other) = mpsc::channel::<Roaming>();
    let mut pair = Roaming(Pair::new(&pool, successor));
    let other = thread::spawn(move || {
        for mut pair in from_first {
            assert_eq!(pair.0.go_on(100), 101);
            to_first.send(pair).expect("the first thread waits");
        }
    });
    for _ in 0..100 {
        assert_eq!(pair.0.go_on(1), 2);
        to_other.send(pair).expect("the other thread waits");
        pair = from_other.recv().expect("the other thread sends it back");
    }
    drop(to_other);
    other.join().expect("no assertion failed");
    assert_eq!(pair.0.go_on(0), usize::MAX);
    pair.0.end(&pool);
}

/// Starts a fiber of its own, from a fiber.
unsafe extern "C" fn parent(word: usize, pair: *mut ()) -> Exit {
    let pool = StackPool::new(64 * 1024);
    let mut child = Pair::new(&pool, successor);
    let mut sum = child.go_on(word);
    sum += unsafe { Pair::suspend(pair.cast(), sum) };
    sum += child.go_on(1);
    assert_eq!(child.go_on(0), usize::MAX);
    child.end(&pool);
    drop(pool);
    unsafe { Pair::exit(pair.cast(), sum) }
}

#[test]
fn a_fiber_runs_fibers() {
    let pool = StackPool::new(64 * 1024);
    let mut pair = Pair::new(&pool, parent);
    assert_eq!(pair.go_on(10), 11);
    assert_eq!(pair.go_on(20), 33);
    pair.end(&pool);
}

/// Answers each word with its double, by switches that set the thread pointer, and leaves at 0.
unsafe extern "C" fn double(mut word: usize, pair: *mut ()) -> Exit {
    let pair = pair.cast::<Pair>();
    while word != 0 {
        word = unsafe { switch_with(&raw mut (*pair).fiber, (*pair).caller, 2 * word, thread_pointer()) };
    }
    unsafe { leave_with((*pair).caller, usize::MAX, thread_pointer()) }
}

/// A thread's own thread pointer, as its `thread_local!`s see it.
fn address_of_a_thread_local() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| (&raw const *here).addr())
}

#[test]
fn a_switch_may_set_the_thread_pointer() {
    if !can_switch_with() {
        return;
    }
    let pool = StackPool::new(64 * 1024);
    let mut pair = Pair::new(&pool, double);
    let before = address_of_a_thread_local();
    for word in [3, 40, 500] {
        let answer = unsafe { switch_with(&raw mut pair.caller, pair.fiber, word, thread_pointer()) };
        assert_eq!(answer, 2 * word);
    }
    // Both kinds of switch save the same.
    assert_eq!(pair.go_on(7), 14);
    assert_eq!(pair.go_on(0), usize::MAX);
    assert_eq!(address_of_a_thread_local(), before);
    pair.end(&pool);
}
