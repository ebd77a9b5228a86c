//! A worker: an OS thread that runs fibers, and the switches between them. The only file that switches.
//!
//! A worker has one context of its own, the *hub*, on its OS thread's stack. A fiber that parks switches straight
//! to the next fiber; the hub is entered only when there is none, when the tick is up (61 picks), or when a task
//! needs a stack that the worker does not have at hand. A fiber that ends and finds a task next continues with
//! it on the same stack, without a switch.
//!
//! Why a fiber may be put into the ready list before its context is saved: the list is private to this thread,
//! and nothing takes from it until the fiber has switched away. For the same reason a wake-up from another
//! thread needs no hand-shake with the parking fiber: it lands in the inbox, which only this thread drains, in
//! the same pick that the parking fiber makes or in a later one. If that pick yields the fiber itself, it
//! just goes on. A roaming fiber, which others may take, therefore always leaves through the hub.

#![expect(unsafe_code, reason = "switches stacks, and follows pointers to cells that it owns")]

use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use abaca_asm::stack::Stack;
use abaca_asm::{Context, Exit, prepare, switch};
use crossbeam_deque as deque;
use crossbeam_utils::CachePadded;

use super::hub::WORTH_WAKING;
use super::shared::{Phase, Shared};
use crate::fiber::{Ended, Flags, Header, LiveList, Reason};
use crate::os::nudge;
use crate::queue::{Inbox, LifoSlot, ReadyList};
use crate::timer::Wheel;

/// Every how many picks a worker goes through its hub, where it looks at everything else: inbox, injector,
/// timers, poller and its oldest task. A prime, as in the Go scheduler, so that it does not resonate.
const TICK: u32 = 61;

/// A fiber in a queue that other workers may take from: a task, or a started fiber that roams.
pub(crate) struct Stealable(pub(crate) NonNull<Header>);

// SAFETY: tasks are `Send` by `spawn`'s bound, roaming fibers by `spawn_roaming`'s contract, and the queue that
// carries the pointer orders all accesses.
unsafe impl Send for Stealable {}

/// What a fiber that enters the hub asks of it.
#[derive(Clone, Copy)]
pub(super) enum Request {
    Nothing,
    /// Start this task: the fiber that picked it had no stack at hand.
    Start(NonNull<Header>),
    /// Queue this roaming fiber, which has yielded.
    Requeue(NonNull<Header>),
}

impl Request {
    fn encode(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Start(fiber) => fiber.as_ptr() as usize | 1,
            Self::Requeue(fiber) => fiber.as_ptr() as usize | 2,
        }
    }

    fn decode(word: usize) -> Self {
        match (NonNull::new((word & !3) as *mut Header), word & 3) {
            (Some(fiber), 1) => Self::Start(fiber),
            (Some(fiber), 2) => Self::Requeue(fiber),
            _ => Self::Nothing,
        }
    }
}

const _: () = assert!(align_of::<Header>() >= 4, "the low two bits of a header's address are the request's");

/// What comes after the end of a fiber.
enum Next {
    /// This task, on the same stack.
    Run(NonNull<Header>),
    /// The final switch away.
    Exit(Exit),
}

impl Next {
    fn exit(to: Context, request: Request) -> Self {
        Self::Exit(Exit { to, word: request.encode() })
    }
}

/// Aborts when it is dropped by an unwinding: nothing may unwind out of a fiber's entry.
struct AbortGuard;

impl Drop for AbortGuard {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// The first Rust frame of every fiber's stack: runs the fiber, and then task after task.
unsafe extern "C" fn fiber_main(_word: usize, argument: *mut ()) -> Exit {
    let guard = AbortGuard;
    let mut fiber = NonNull::new(argument.cast::<Header>()).expect("`start` passes the fiber's header");
    loop {
        // SAFETY: this worker started the fiber just now, and nobody else runs it.
        unsafe { Header::run(fiber) };
        // SAFETY: the cell is alive until `finish`.
        let header = unsafe { fiber.as_ref() };
        if header.locals.any() {
            // A panic of a destructor has been reported by the panic hook; the fiber has ended all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| header.locals.destroy()));
        }
        if header.join.is_detached() {
            clear_quietly(fiber);
        }
        let worker = current_worker().expect("a fiber runs on a worker");
        match worker.finish(fiber) {
            Next::Run(task) => fiber = task,
            Next::Exit(exit) => {
                std::mem::forget(guard);
                return exit;
            }
        }
    }
}

/// Drops a result that nobody will take. Its destructor may panic, which the panic hook has reported then.
fn clear_quietly(fiber: NonNull<Header>) {
    // SAFETY: the join word made the cell the worker's, which is the caller.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { Header::clear(fiber) }));
}

/// See the module's documentation. Others may use `remote`, `index` and `shared`; everything else belongs to the
/// worker's own thread.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(super) shared: AtomicPtr<Shared>,
    pub(super) remote: CachePadded<Remote>,
    /// The fiber that runs; `None` in the hub.
    current: Cell<Option<NonNull<Header>>>,
    hub: Cell<Context>,
    picks_left: Cell<u32>,
    /// Started fibers that can go on, and tasks bound to this worker; first in, first out.
    pub(super) ready: ReadyList<Header>,
    /// Tasks that others may steal; newest first.
    pub(super) tasks: deque::Worker<Stealable>,
    /// Stacks of the default size, most recently used last.
    stacks: UnsafeCell<Vec<Stack>>,
    /// A stack of another size that was left behind, for the hub to give back.
    retired: Cell<Option<(u32, Stack)>>,
    pub(super) wheel: Wheel,
    pub(super) live: LiveList,
    pub(super) idle: super::hub::Idling,
}

/// The part of a worker that other threads use.
pub(super) struct Remote {
    /// Wake-ups from other threads, and whether the worker sleeps.
    pub(super) inbox: Inbox<Header>,
    /// The newest task; stealable like the others, once the worker has been busy for a while.
    pub(super) newest: LifoSlot<Header>,
    pub(super) stealer: deque::Stealer<Stealable>,
    /// Counts visits to the hub. A worker whose count stands still is busy with one fiber.
    pub(super) visits: AtomicU32,
    /// Connections placed here; see `Flags::SPREADS`.
    pub(super) placed: AtomicUsize,
    /// The operating system's id of the worker's thread; 0 before it runs.
    thread_id: AtomicI32,
    /// How many started fibers live here.
    pub(super) fibers: AtomicUsize,
    /// What a worker sleeps on when a poller thread does the polling: 1 after a poke.
    pub(super) bed: AtomicU32,
}

// SAFETY: the type's documentation says what other threads may use: `Sync` fields and constants.
unsafe impl Sync for Worker {}
// SAFETY: built by the runtime's thread before the worker's thread takes it over.
unsafe impl Send for Worker {}

thread_local! {
    static CURRENT: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

/// The worker whose thread this is.
///
/// The one accessor of the one thread-local. It is never inlined, so that no address of a thread-local lives
/// across a switch: a roaming fiber may come back on another thread. For the same reason the reference must not
/// be used after a switch of a roaming fiber: ask again.
#[inline(never)]
pub(crate) fn current_worker() -> Option<&'static Worker> {
    // SAFETY: the pointer is set by a worker's thread to its worker, which outlives the thread.
    unsafe { CURRENT.get().as_ref() }
}

impl Worker {
    pub(super) fn new(index: usize) -> Self {
        let tasks = deque::Worker::new_lifo();
        let stealer = tasks.stealer();
        Self {
            index,
            shared: AtomicPtr::new(ptr::null_mut()),
            remote: CachePadded::new(Remote {
                inbox: Inbox::new(),
                newest: LifoSlot::new(),
                stealer,
                visits: AtomicU32::new(0),
                placed: AtomicUsize::new(0),
                thread_id: AtomicI32::new(0),
                fibers: AtomicUsize::new(0),
                bed: AtomicU32::new(0),
            }),
            current: Cell::new(None),
            hub: Cell::new(Context::dangling()),
            picks_left: Cell::new(TICK),
            ready: ReadyList::new(),
            tasks,
            stacks: UnsafeCell::new(Vec::new()),
            retired: Cell::new(None),
            wheel: Wheel::new(0),
            live: LiveList::new(),
            idle: super::hub::Idling::default(),
        }
    }

    pub(super) fn set_thread_id(&self, id: i32) {
        self.remote.thread_id.store(id, Ordering::Relaxed);
    }

    /// Lets the worker report which fiber it is in.
    pub(super) fn nudge(&self) {
        // Relaxed: a number.
        let id = self.remote.thread_id.load(Ordering::Relaxed);
        if id != 0 {
            nudge::nudge(id);
        }
    }

    /// Makes this the calling thread's worker.
    pub(super) fn enter_thread(&self) {
        CURRENT.set(self);
    }

    pub(super) fn leave_thread(&self) {
        CURRENT.set(ptr::null());
    }

    pub(crate) fn shared(&self) -> &Shared {
        // SAFETY: set before any thread can see the worker; the runtime's shared state owns the workers.
        unsafe { &*self.shared.load(Ordering::Relaxed) }
    }

    #[inline(always)]
    pub(crate) fn current(&self) -> Option<NonNull<Header>> {
        self.current.get()
    }

    /// Puts a started fiber that can go on where it will be picked. On the worker's own thread.
    #[inline]
    pub(crate) fn make_ready(&self, fiber: NonNull<Header>) {
        // SAFETY: the caller was handed the fiber by its claim, so the cell is alive and in no other list.
        let header = unsafe { fiber.as_ref() };
        if header.has(Flags::ROAMING) && header.is_started() && !header.has(Flags::ANCHORED) {
            // From here on others may run it, so a canceller must not touch its waiter any more.
            header.set_waiting(ptr::null(), Reason::None);
            self.tasks.push(Stealable(fiber));
        } else {
            // SAFETY: as above.
            unsafe { self.ready.push_back(fiber) };
        }
    }

    /// Queues a task of the current fiber: the newest in the slot, the one before it in the deque.
    #[inline]
    pub(super) fn push_task(&self, task: NonNull<Header>) {
        let Some(older) = self.remote.newest.put(task) else { return };
        self.tasks.push(Stealable(older));
        if self.tasks.len() >= WORTH_WAKING && self.shared().sleepers.anyone_asleep() {
            self.shared().wake_a_sleeper();
        }
    }

    /// Gives a task to the worker that has the fewest placed fibers, this one included.
    #[cold]
    pub(super) fn place(&self, task: NonNull<Header>) {
        let shared = self.shared();
        let target = shared.least_loaded();
        // SAFETY: a task that is in no queue yet is ours.
        unsafe { task.as_ref() }.set_flag(Flags::PLACED);
        // Relaxed: a load figure.
        target.remote.placed.fetch_add(1, Ordering::Relaxed);
        if ptr::eq(target, self) {
            self.make_ready(task);
        } else {
            shared.deliver(target, task);
        }
    }

    /// The next fiber to run, from the sources that cost nothing to look at; `None` sends the caller to the hub.
    #[inline]
    fn pick(&self) -> Option<NonNull<Header>> {
        let left = self.picks_left.get() - 1;
        self.picks_left.set(left);
        if left == 0 {
            return None;
        }
        match self.ready.pop_front() {
            Some(fiber) => Some(fiber),
            None => self.pick_beyond_ready(),
        }
    }

    #[inline]
    pub(super) fn pick_beyond_ready(&self) -> Option<NonNull<Header>> {
        if self.drain_inbox() {
            return self.ready.pop_front().or_else(|| self.pick_task());
        }
        self.pick_task()
    }

    #[inline]
    pub(super) fn pick_task(&self) -> Option<NonNull<Header>> {
        self.remote.newest.take().or_else(|| self.tasks.pop().map(|task| task.0))
    }

    /// Moves the inbox's fibers to where they will be picked; false when it was empty.
    #[inline]
    pub(super) fn drain_inbox(&self) -> bool {
        if !self.remote.inbox.has_mail() {
            return false;
        }
        let arrived = self.remote.inbox.drain();
        while let Some(fiber) = arrived.pop_front() {
            self.make_ready(fiber);
        }
        true
    }

    pub(super) fn tick_is_up(&self) -> bool {
        self.picks_left.get() == 0
    }

    /// Starts a new tick: the hub has looked at everything.
    pub(super) fn renew_tick(&self) {
        self.picks_left.set(TICK);
    }

    /// Parks the current fiber: returns when somebody has made it ready and it was picked again.
    ///
    /// Its waiter is registered, or it is in a queue itself. If it roams, `self` must not be used afterwards.
    #[inline]
    pub(super) fn suspend(&self, me: NonNull<Header>) {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::ROAMING) {
            return self.enter_hub(header, Request::Nothing);
        }
        match self.pick() {
            Some(next) if next == me => {}
            Some(next) => self.continue_with(header, next),
            None => self.enter_hub(header, Request::Nothing),
        }
    }

    /// Lets every other ready fiber run once before the current one goes on.
    #[inline]
    pub(super) fn yield_now(&self, me: NonNull<Header>) {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::ROAMING) {
            return self.enter_hub(header, Request::Requeue(me));
        }
        // SAFETY: a running fiber is in no list.
        unsafe { self.ready.push_back(me) };
        self.suspend(me);
    }

    #[inline]
    fn continue_with(&self, me: &Header, next: NonNull<Header>) {
        // SAFETY: `next` came out of a queue, which made it ours.
        let header = unsafe { next.as_ref() };
        if header.is_started() && !header.has(Flags::ROAMING) {
            self.current.set(Some(next));
            // SAFETY: `next` is suspended (a started fiber in a queue is), and its context was saved on this
            // thread by the switch that suspended it. `me` is the running fiber.
            unsafe { switch(me.context.as_ptr(), header.context.get(), 0) };
            return;
        }
        if !header.is_started() && header.stack_bytes.get() == 0 {
            // SAFETY: this thread is the only user, and no borrow outlives a statement.
            if let Some(stack) = unsafe { &mut *self.stacks.get() }.pop() {
                let to = self.start(next, stack);
                self.current.set(Some(next));
                // SAFETY: `to` is freshly prepared; `me` is the running fiber.
                unsafe { switch(me.context.as_ptr(), to, 0) };
                return;
            }
        }
        self.enter_hub(me, Request::Start(next));
    }

    /// Switches from a fiber to the hub.
    #[inline]
    fn enter_hub(&self, me: &Header, request: Request) {
        self.current.set(None);
        // SAFETY: while a fiber runs, the hub is suspended in `resume`.
        unsafe { switch(me.context.as_ptr(), self.hub.get(), request.encode()) };
    }

    /// Runs `fiber` from the hub until some fiber switches back, and returns what that one asks for.
    ///
    /// A task is given a stack first; `Err` hands it back when there is none to be had.
    pub(super) fn resume(
        &self,
        fiber: NonNull<Header>,
    ) -> Result<Request, (NonNull<Header>, std::io::Error)> {
        // SAFETY: `fiber` came out of a queue, which made it ours.
        let header = unsafe { fiber.as_ref() };
        let to = if header.is_started() {
            self.adopt(header);
            header.context.get()
        } else {
            match self.obtain_stack(header) {
                Ok(stack) => self.start(fiber, stack),
                Err(error) => return Err((fiber, error)),
            }
        };
        self.current.set(Some(fiber));
        // SAFETY: `to` is suspended or freshly prepared; see `continue_with`. The cell of `self.hub` is written
        // before control leaves, and read only by fibers that run afterwards.
        let word = unsafe { switch(self.hub.as_ptr(), to, 0) };
        self.current.set(None);
        if let Some((bytes, stack)) = self.retired.take() {
            self.shared().stacks.give_sized(bytes, stack);
        }
        Ok(Request::decode(word))
    }

    /// Gives the stacks beyond the newest `keep` to the runtime's pool. From the hub.
    pub(super) fn trim_stacks(&self, keep: usize) {
        // SAFETY: this thread is the only user, and in the hub no fiber stands on a stack of the list.
        let stacks = unsafe { &mut *self.stacks.get() };
        if stacks.len() > keep {
            let surplus = stacks.len() - keep;
            self.shared().stacks.give(stacks.drain(..surplus));
        }
    }

    /// A roaming fiber changes its home when it is resumed on another worker.
    fn adopt(&self, header: &Header) {
        // Relaxed: wakers learn of the fiber from something it does after this.
        header.home.store(ptr::from_ref(self).cast_mut().cast(), Ordering::Relaxed);
    }

    /// A stack for a task, from the worker's own ones if it wants the default size.
    fn obtain_stack(&self, header: &Header) -> std::io::Result<Stack> {
        if header.stack_bytes.get() != 0 {
            return self.shared().stacks.take_sized(header.stack_bytes.get());
        }
        // SAFETY: this thread is the only user, and no borrow outlives a statement.
        let stacks = unsafe { &mut *self.stacks.get() };
        if stacks.is_empty() {
            self.shared().stacks.refill(stacks)?;
        }
        Ok(stacks.pop().expect("a refill gives at least one stack or an error"))
    }

    /// Turns a task into a started fiber on `stack`; returns the context of its first switch.
    #[inline]
    fn start(&self, task: NonNull<Header>, stack: Stack) -> Context {
        let top = stack.top();
        self.settle(task, stack);
        // SAFETY: `top` is the top of a stack that nobody else uses, and the cell outlives the fiber.
        unsafe { prepare(top, fiber_main, task.as_ptr().cast()) }
    }

    /// Gives a task its home and stack and enters it in the list of started fibers.
    #[inline]
    fn settle(&self, task: NonNull<Header>, stack: Stack) {
        // SAFETY: the task came out of a queue, which made it ours.
        let header = unsafe { task.as_ref() };
        self.adopt(header);
        header.put_stack(stack);
        if self.shared().phase() == Phase::Closing {
            // It came too late to be cancelled with the others.
            header.request_cancellation();
        }
        if header.has(Flags::ROAMING) {
            self.shared().roaming.insert(task);
        } else {
            // SAFETY: alive, in no list yet, removed in `finish` before it is freed.
            unsafe { self.live.insert(task) };
            // Relaxed: a hint for placement, written by this thread alone.
            self.remote.fibers.store(self.live.len(), Ordering::Relaxed);
        }
    }

    /// The end of a fiber, on its own stack: takes everything back, settles the join, and picks what comes next.
    #[inline]
    fn finish(&self, fiber: NonNull<Header>) -> Next {
        // SAFETY: the cell is alive until the join word's protocol lets it go, which is below.
        let bytes = unsafe { fiber.as_ref() }.stack_bytes.get();
        let mut stack = self.unsettle(fiber);
        self.shared().dismiss();
        // SAFETY: as above.
        match unsafe { fiber.as_ref() }.join.end() {
            Ended::Owner(woken) => {
                if let Some(woken) = woken {
                    super::wake(woken);
                }
            }
            Ended::Worker => {
                // SAFETY: the cell is ours now.
                if !unsafe { Header::is_clear(fiber) } {
                    // The handle was dropped at the last moment, so the result's destructor is ours to run,
                    // as this fiber: it may park.
                    self.settle(fiber, stack);
                    self.current.set(Some(fiber));
                    clear_quietly(fiber);
                    stack = self.unsettle(fiber);
                }
                // SAFETY: as above; it is clear.
                unsafe { Header::free(fiber) };
            }
        }
        self.follow(stack, bytes)
    }

    /// Undoes `settle` and makes nobody current.
    #[inline]
    fn unsettle(&self, fiber: NonNull<Header>) -> Stack {
        // SAFETY: called while the cell is alive, by the worker that runs the fiber.
        let header = unsafe { fiber.as_ref() };
        let stack = header.take_stack().expect("a running fiber has a stack");
        if header.has(Flags::ROAMING) {
            self.shared().roaming.remove(fiber);
        } else {
            // SAFETY: inserted by `settle` on this worker: only roaming fibers change their home.
            unsafe { self.live.remove(fiber) };
            self.remote.fibers.store(self.live.len(), Ordering::Relaxed);
        }
        if header.has(Flags::PLACED) {
            // Relaxed: a load figure.
            self.remote.placed.fetch_sub(1, Ordering::Relaxed);
        }
        self.current.set(None);
        stack
    }

    /// What to do on `stack`, whose fiber has ended, next: a task continues on it, else it is left behind.
    #[inline]
    fn follow(&self, stack: Stack, bytes: u32) -> Next {
        let Some(next) = self.pick() else {
            self.leave_behind(stack, bytes);
            return Next::exit(self.hub.get(), Request::Nothing);
        };
        // SAFETY: `next` came out of a queue, which made it ours.
        let header = unsafe { next.as_ref() };
        if header.is_started() {
            self.leave_behind(stack, bytes);
            if header.has(Flags::ROAMING) {
                return Next::exit(self.hub.get(), Request::Start(next));
            }
            self.current.set(Some(next));
            return Next::exit(header.context.get(), Request::Nothing);
        }
        if bytes == 0 && header.stack_bytes.get() == 0 {
            self.settle(next, stack);
            self.current.set(Some(next));
            return Next::Run(next);
        }
        self.leave_behind(stack, bytes);
        Next::exit(self.hub.get(), Request::Start(next))
    }

    /// Puts away a stack that this very code still runs on. Nothing else runs on this thread before the switch
    /// that follows, and only this thread takes from where it is put.
    #[inline]
    fn leave_behind(&self, stack: Stack, bytes: u32) {
        if bytes == 0 {
            // SAFETY: this thread is the only user, and no borrow outlives a statement.
            unsafe { &mut *self.stacks.get() }.push(stack);
        } else {
            self.retired.set(Some((bytes, stack)));
        }
    }
}
