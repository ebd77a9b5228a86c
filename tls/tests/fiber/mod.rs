//! Fibers that are switched by hand, each with a block: what a scheduler would do, in the fewest lines.
#![expect(unsafe_code, reason = "switches stacks and exchanges the thread pointer")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::cell::Cell;
use std::process::{Command, ExitStatus, Stdio};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use abaca_asm::stack::{Stack, StackPool};
use abaca_asm::{Context, Exit, prepare, switch};
use abaca_tls::{Block, Carrier, ThreadPointer, finish, reset, set_thread_pointer, thread_pointer};

thread_local! {
    /// The fiber whose storage this is. It is the fiber's own, so no switch has to touch it.
    static CURRENT: Cell<*mut State> = const { Cell::new(null_mut()) };
}

struct State {
    fiber: Context,
    resumer: Context,
    body: Option<Box<dyn FnOnce() + Send>>,
    is_done: bool,
    moves: usize,
}

/// A stack and its block, for one fiber after the other.
pub(crate) struct Fiber {
    state: Box<State>,
    // Dropped in this order: the block before its stack's memory goes.
    block: Block,
    stack: Option<Stack>,
    pool: &'static StackPool,
}

// SAFETY: all that a fiber holds may be used from any thread: its block makes a thread of it.
unsafe impl Send for Fiber {}

/// Stacks that are never unmapped.
pub(crate) fn pool() -> &'static StackPool {
    static POOL: std::sync::OnceLock<StackPool> = std::sync::OnceLock::new();
    POOL.get_or_init(|| StackPool::new(256 * 1024))
}

impl Fiber {
    pub(crate) fn new(body: impl FnOnce() + Send + 'static) -> Self {
        let pool = pool();
        let stack = pool.take().expect("a stack");
        let bytes = stack.top().addr() - stack.bottom().addr();
        // SAFETY: the stack is this fiber's, and the block is dropped before it is given back.
        let block = unsafe { Block::new(stack.bottom(), bytes) }.expect("a block");
        let state = State {
            fiber: Context::dangling(),
            resumer: Context::dangling(),
            body: None,
            is_done: true,
            moves: 0,
        };
        let mut fiber = Self { state: Box::new(state), block, stack: Some(stack), pool };
        fiber.restart(body);
        fiber
    }

    /// The next fiber of the same stack and block.
    pub(crate) fn restart(&mut self, body: impl FnOnce() + Send + 'static) {
        assert!(self.state.is_done, "one fiber after the other");
        self.state.body = Some(Box::new(body));
        self.state.is_done = false;
        let state: *mut State = &raw mut *self.state;
        // SAFETY: the last fiber of the stack is over, and the state stays in its box.
        self.state.fiber = unsafe { prepare(self.block.frames_end(), run, state.cast()) };
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state.is_done
    }

    /// How often it was suspended.
    pub(crate) fn moves(&self) -> usize {
        self.state.moves
    }

    pub(crate) fn pointer(&self) -> ThreadPointer {
        self.block.pointer()
    }

    /// The memory of the stack that holds fibers' frames and the block.
    pub(crate) fn stack_range(&self) -> std::ops::Range<usize> {
        let stack = self.stack.as_ref().expect("it is given back last");
        stack.bottom().addr()..stack.top().addr()
    }

    /// Runs the fiber until it is suspended or over.
    pub(crate) fn resume(&mut self, carrier: &Carrier) {
        let state: *mut State = &raw mut *self.state;
        // SAFETY: the fiber is suspended, and is this handle's alone.
        unsafe { resume(state, self.block.pointer(), carrier) };
    }

    /// Runs it to its end.
    pub(crate) fn run(&mut self, carrier: &Carrier) {
        while !self.is_done() {
            self.resume(carrier);
        }
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        // The block goes with its field, after this. So the stack is not given back: it stays mapped in its pool.
        std::mem::forget(self.stack.take());
    }
}

/// Not inlined, and without thread-local variables.
///
/// # Safety
///
/// The fiber is suspended, and nobody else resumes it.
#[inline(never)]
unsafe fn resume(state: *mut State, block: ThreadPointer, carrier: &Carrier) {
    // SAFETY: the fiber's context was saved by its last switch, or made by `prepare`.
    unsafe {
        carrier.lend(block);
        set_thread_pointer(block);
        switch(&raw mut (*state).resumer, (*state).fiber, 0);
        set_thread_pointer(carrier.pointer());
        carrier.take_back(block);
    }
}

/// Suspends the calling fiber.
pub(crate) fn suspend() {
    let state = CURRENT.get();
    assert!(!state.is_null(), "within a fiber");
    // SAFETY: the state of the calling fiber, whose resumer is suspended.
    unsafe {
        (*state).moves += 1;
        switch(&raw mut (*state).fiber, (*state).resumer, 0);
    }
}

unsafe extern "C" fn run(_: usize, state: *mut ()) -> Exit {
    let state = state.cast::<State>();
    CURRENT.set(state);
    // SAFETY: the state of this fiber. It has a block, and its variables are used no more after `finish`.
    unsafe {
        (*state).body.take().expect("it starts once")();
        finish();
        reset();
        (*state).is_done = true;
        Exit { to: (*state).resumer, word: 0 }
    }
}

/// Runs one body in a fiber of its own, on the calling thread.
pub(crate) fn in_fiber(body: impl FnOnce() + Send + 'static) {
    let carrier = Carrier::of_this_thread().expect("blocks");
    assert_eq!(carrier.pointer(), thread_pointer());
    Fiber::new(body).run(&carrier);
}

/// Whether this process can have blocks; says why not. A test that depends on it returns.
pub(crate) fn has_blocks() -> bool {
    match abaca_tls::support() {
        Ok(_) => true,
        Err(why) => {
            // Where the tests run by default, there are blocks.
            assert!(!must_have_blocks(), "{why}");
            println!("skipped: {why}");
            false
        }
    }
}

fn must_have_blocks() -> bool {
    let watched = cfg!(any(abaca_asan, abaca_tsan, abaca_valgrind));
    cfg!(target_env = "gnu") && !watched && std::env::var_os("ABACA_TLS_MAY_BE_UNSUPPORTED").is_none()
}

/// Runs the named test of this binary again, in a process of its own where [`is_child`] says so, for at most ten minutes. If the
/// environment names a program that runs this one, an emulator or another loader, that runs it.
pub(crate) fn in_child(test: &str) -> ExitStatus {
    in_child_with(test, &[])
}

/// The same, with more variables in the environment.
pub(crate) fn in_child_with(test: &str, variables: &[(&str, &str)]) -> ExitStatus {
    let own = std::env::args().next().expect("a path");
    let runner = std::env::var("ABACA_TLS_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace().chain([own.as_str()]);
    let mut child = Command::new(words.next().expect("the last at least"))
        .args(words)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .spawn()
        .expect("a child");
    let until = Instant::now() + Duration::from_secs(600);
    loop {
        if let Some(status) = child.try_wait().expect("it is a child") {
            return status;
        }
        if Instant::now() > until {
            child.kill().expect("it is a child");
            child.wait().expect("it is a child");
            panic!("{test} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

const CHILD: &str = "ABACA_TLS_CHILD";

pub(crate) fn is_child(test: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == test)
}
