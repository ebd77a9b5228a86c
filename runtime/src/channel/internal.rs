//! What `select!` calls: its cases live on the caller's stack. Not for direct use.

use std::time::{Duration, Instant};

pub use super::case::Case;
use super::case::{Operation, Purpose};
use super::receiver::Receiver;
use super::select_loop::{self, Cases, SelectMode};
use super::sender::Sender;
use super::shared::Block;

/// An case, whatever its messages.
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

/// An case that receives.
#[inline]
pub fn receive<T>(receiver: &Receiver<T>) -> Case<'_, T> {
    select_loop::receiving(receiver)
}

/// An case that sends.
#[inline]
pub fn send<T>(sender: &Sender<T>) -> Case<'_, T> {
    select_loop::sending(sender)
}

/// The index of the case that was selected; waits for it.
#[inline]
pub fn wait<const N: usize>(cases: [AnyCase<'_>; N], is_biased: bool) -> Option<usize> {
    choose(&cases, is_biased, Block::Until(None), &mut [(0, 0); N])
}

/// The index of the case that was selected, if one was ready.
#[inline]
pub fn attempt<const N: usize>(cases: [AnyCase<'_>; N], is_biased: bool) -> Option<usize> {
    choose(&cases, is_biased, Block::Never, &mut [(0, 0); N])
}

/// The index of the case that was selected; waits for it until the time is up.
#[inline]
pub fn wait_timeout<const N: usize>(
    cases: [AnyCase<'_>; N],
    is_biased: bool,
    timeout: Duration,
) -> Option<usize> {
    // A timeout that the clock cannot express is no timeout.
    let deadline = Instant::now().checked_add(timeout);
    choose(&cases, is_biased, Block::Until(deadline), &mut [(0, 0); N])
}

fn choose(
    cases: &[AnyCase<'_>],
    is_biased: bool,
    block: Block,
    room: &mut [select_loop::Room],
) -> Option<usize> {
    select_loop::choose(cases, SelectMode { is_biased, block, purpose: Purpose::Select }, room)
}
