//! Functions that `select!` calls. Its cases live on the caller's stack. Not for direct use.

use std::time::{Duration, Instant};

pub use super::case::Case;
use super::case::{Operation, Purpose};
use super::receiver::Receiver;
use super::select_loop::{self, Cases, SelectMode};
use super::sender::Sender;
use super::shared::Block;

/// A case of any message type.
#[expect(missing_debug_implementations, reason = "not for direct use")]
pub struct AnyCase<'a>(&'a dyn Operation);

impl<'a, T> From<&'a Case<'_, T>> for AnyCase<'a> {
    #[inline]
    fn from(case: &'a Case<'_, T>) -> Self {
        Self(case)
    }
}

impl Cases for [AnyCase<'_>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize) -> &dyn Operation {
        self[index].0
    }
}

/// A case that receives.
#[inline]
pub fn receive<T>(receiver: &Receiver<T>) -> Case<'_, T> {
    select_loop::receiving(receiver)
}

/// A case that sends.
#[inline]
pub fn send<T>(sender: &Sender<T>) -> Case<'_, T> {
    select_loop::sending(sender)
}

/// Waits until a case is selected, and returns its index.
#[inline]
pub fn wait<const N: usize>(cases: [AnyCase<'_>; N], is_biased: bool) -> Option<usize> {
    run(&cases, is_biased, Block::Until(None), &mut [(0, 0); N])
}

/// The index of the case that was selected; `None` if none was ready.
#[inline]
pub fn try_select<const N: usize>(cases: [AnyCase<'_>; N], is_biased: bool) -> Option<usize> {
    run(&cases, is_biased, Block::Never, &mut [(0, 0); N])
}

/// Waits until a case is selected, and returns its index; `None` when the time is up.
#[inline]
pub fn wait_timeout<const N: usize>(
    cases: [AnyCase<'_>; N],
    is_biased: bool,
    timeout: Duration,
) -> Option<usize> {
    // A timeout that the clock cannot express is no timeout.
    let deadline = Instant::now().checked_add(timeout);
    run(&cases, is_biased, Block::Until(deadline), &mut [(0, 0); N])
}

fn run(
    cases: &[AnyCase<'_>],
    is_biased: bool,
    block: Block,
    lock_order: &mut [select_loop::LockEntry],
) -> Option<usize> {
    select_loop::run(cases, SelectMode { is_biased, block, purpose: Purpose::Select }, lock_order)
}
