//! What a thread keeps for its coroutines: a list of those that have not ended, and the stack of the last one for the next, which then
//! takes no lock.
//!
//! Only stacks of the default pool are kept, at most one by each thread, until it asks for [the pool](super::default_pool) or ends.
#![expect(unsafe_code, reason = "lists coroutines by address")]

use core::cell::Cell;
use core::ptr;

use super::end::Member;
use super::handle::DEFAULT_POOL;
use crate::stack::Stack;

/// See the module's documentation.
struct Local {
    spare: Cell<Option<Stack>>,
}

/// The coroutines of a thread that have not ended.
pub(super) struct Members(pub(super) Cell<*const Member>);

std::thread_local! {
    /// Not a part of [`Local`], whose destructor has it as `&mut`: the compiler may then take it that nobody else writes to it, and
    /// members do, by the pointer to their place.
    static MEMBERS: Members = const { Members(Cell::new(ptr::null())) };
    static LOCAL: Local = const { Local { spare: Cell::new(None) } };
}

impl Local {
    fn give_back(&self) {
        if let Some(stack) = self.spare.take() {
            DEFAULT_POOL.give(stack);
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        MEMBERS.with(|members| {
            // SAFETY: the contract of `Member::enter`: what is on the list is there.
            while let Some(member) = unsafe { members.0.get().as_ref() } {
                member.close();
            }
        });
        self.give_back();
    }
}

/// The calling thread's spare stack, if it has one.
///
/// Never inlined, like the next two: a caller that roams must not keep the address of a thread-local across a switch. What it returns fits into
/// registers: the next coroutine waits for it.
#[inline(never)]
pub(super) fn take() -> Option<Stack> {
    let stack = LOCAL.try_with(|local| local.spare.take()).ok().flatten();
    #[cfg(abaca_valgrind)]
    stack.iter().for_each(Stack::renew);
    stack
}

/// Puts a coroutine on the list of the calling thread, unless that has ended its list.
///
/// # Safety
///
/// As for [`Member::enter`].
#[inline(never)]
pub(super) unsafe fn enter(member: *const Member) {
    // SAFETY: the caller's promise.
    let _ = LOCAL.try_with(|_| MEMBERS.with(|members| unsafe { Member::enter(member, members) }));
}

/// Keeps a stack of the default pool for the thread's next coroutine, or gives it to the pool.
#[inline(never)]
pub(super) fn put(stack: Stack) {
    let mut stack = Some(stack);
    let _ = LOCAL.try_with(|local| stack = local.spare.replace(stack.take()));
    if let Some(stack) = stack {
        DEFAULT_POOL.give(stack);
    }
}

/// Gives the thread's spare stack to the pool.
#[cold]
pub(super) fn give_back() {
    let _ = LOCAL.try_with(Local::give_back);
}
