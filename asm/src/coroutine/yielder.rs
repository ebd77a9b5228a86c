//! The inside of a coroutine: how its body starts, suspends and ends.
//!
//! The two sides talk through a [`Call`], which lies in the frame of the resumer: the resumer puts the input there, passes its
//! address as the word of the switch, and finds there what came of it. An input that is absent is the order to unwind.
#![expect(unsafe_code, reason = "reaches into the resumer's frame, and its own body is read from raw memory")]

use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};
use std::boxed::Box;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use crate::context::{Context, Exit};
use crate::switching::switch;

/// One resumption, in the frame of the resumer. The yielder, which does not know the type of the result, sees only this part.
#[repr(C)]
pub(super) struct Call<Input, Yield> {
    /// Taken by the coroutine at once. Absent: unwind.
    pub(super) input: Option<Input>,
    /// Set by a coroutine that suspends.
    pub(super) yielded: Option<Yield>,
}

/// A [`Call`] with the place for the result.
#[repr(C)]
pub(super) struct FullCall<Input, Yield, Return> {
    /// The first field: a pointer to the whole is a pointer to it.
    pub(super) call: Call<Input, Yield>,
    /// Set by a coroutine that ends, unless it was dropped before it began.
    pub(super) returned: Option<thread::Result<Return>>,
}

/// The payload that unwinds a suspended coroutine which is dropped.
pub(super) struct Unwound;

/// The coroutine's end of the conversation: its body is called with a reference to one.
pub struct Yielder<Input, Yield> {
    /// Where the coroutine goes on, while it is suspended.
    pub(super) context: Cell<Context>,
    /// Where the resumer goes on, while the coroutine runs.
    pub(super) resumer: NonNull<Context>,
    /// The current resumption; valid while the coroutine runs.
    call: Cell<*mut Call<Input, Yield>>,
    /// Set for good when an input was absent.
    unwinding: Cell<bool>,
}

impl<Input, Yield> Yielder<Input, Yield> {
    /// Suspends the coroutine: the current [`resume`](super::Coroutine::resume) returns `value`, and this call returns the input of
    /// the next one.
    ///
    /// If the coroutine is dropped instead of resumed, this call unwinds.
    #[inline]
    pub fn suspend(&self, value: Yield) -> Input {
        if self.unwinding.get() {
            unwind();
        }
        // SAFETY: a body can call this only while its coroutine runs, since the yielder is lent to it for that time and
        // stays on its thread: so the call is valid, the resumer suspended, and `context` is free.
        let word = unsafe {
            (*self.call.get()).yielded = Some(value);
            let resumer = self.resumer.read();
            switch(self.context.as_ptr(), resumer, 0)
        };
        // SAFETY: the word comes from `resume`.
        match unsafe { self.answer(word) } {
            Some(input) => input,
            None => unwind(),
        }
    }

    /// Begins a resumption and takes its input.
    ///
    /// # Safety
    ///
    /// `word` is the exposed address of the call of a resumer that is suspended.
    #[inline]
    unsafe fn answer(&self, word: usize) -> Option<Input> {
        let call = ptr::with_exposed_provenance_mut::<Call<Input, Yield>>(word);
        self.call.set(call);
        // SAFETY: the caller's promise; the resumer does not look at its frame while it is suspended.
        let input = unsafe { (*call).input.take() };
        if input.is_none() {
            self.unwinding.set(true);
        }
        input
    }
}

impl<Input, Yield> core::fmt::Debug for Yielder<Input, Yield> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Yielder").field("unwinding", &self.unwinding).finish_non_exhaustive()
    }
}

/// Unwinds the coroutine up to `run`, without calling the panic hook.
#[cold]
fn unwind() -> ! {
    panic::resume_unwind(Box::new(Unwound))
}

/// What lies at the top of a coroutine's stack, above its initial frame.
#[repr(C)]
pub(super) struct Start<Input, Yield, Body> {
    pub(super) yielder: Yielder<Input, Yield>,
    /// Read once, by `run`.
    body: ManuallyDrop<Body>,
}

impl<Input, Yield, Body> Start<Input, Yield, Body> {
    pub(super) fn new(context: Context, resumer: NonNull<Context>, body: Body) -> Self {
        let yielder = Yielder {
            context: Cell::new(context),
            resumer,
            call: Cell::new(ptr::null_mut()),
            unwinding: Cell::new(false),
        };
        Self { yielder, body: ManuallyDrop::new(body) }
    }
}

/// The entry function of a coroutine's stack.
///
/// # Safety
///
/// `start` points to a `Start` of these types whose body was not read, and `word` is the exposed address of a `FullCall` of these
/// types, in the frame of a resumer that is suspended. The same holds for the word of each later switch to the coroutine.
pub(super) unsafe extern "C" fn run<Input, Yield, Return, Body>(word: usize, start: *mut ()) -> Exit
where
    Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
{
    let start = start.cast::<Start<Input, Yield, Body>>();
    // SAFETY: the contract of this function. The body is read here and nowhere else.
    let (yielder, body) = unsafe { (&(*start).yielder, ManuallyDrop::take(&mut (*start).body)) };
    // SAFETY: the contract of this function.
    let input = unsafe { yielder.answer(word) };
    let returned = panic::catch_unwind(AssertUnwindSafe(|| match input {
        Some(input) => Some(body(yielder, input)),
        // Dropped before it was first resumed. There is nothing to unwind, which may not even be possible.
        None => {
            drop(body);
            None
        }
    }));
    // SAFETY: the coroutine was resumed by a call which is not over, and every call is part of a `FullCall`.
    unsafe {
        let call = yielder.call.get().cast::<FullCall<Input, Yield, Return>>();
        (*call).returned = returned.transpose();
        Exit { to: yielder.resumer.read(), word: 0 }
    }
}
