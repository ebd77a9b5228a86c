//! What `select!` calls: its arms live on the caller's stack. Not for direct use.

use std::time::{Duration, Instant};

pub use super::arm::Arm;
use super::arm::{Operation, Purpose};
use super::choice::{self, Arms, Rule};
use super::exchange::Patience;
use super::receiver::Receiver;
use super::sender::Sender;

/// An arm, whatever its messages.
#[expect(missing_debug_implementations, reason = "not for direct use")]
pub struct AnyArm<'a>(&'a dyn Operation);

impl<'a, T> From<&'a Arm<'_, T>> for AnyArm<'a> {
    #[inline]
    fn from(arm: &'a Arm<'_, T>) -> Self {
        Self(arm)
    }
}

impl Arms for [AnyArm<'_>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize) -> &dyn Operation {
        self[index].0
    }
}

/// An arm that receives.
#[inline]
pub fn receive<T>(receiver: &Receiver<T>) -> Arm<'_, T> {
    choice::receiving(receiver)
}

/// An arm that sends.
#[inline]
pub fn send<T>(sender: &Sender<T>) -> Arm<'_, T> {
    choice::sending(sender)
}

/// The index of the arm that was selected; waits for it.
#[inline]
pub fn wait<const N: usize>(arms: [AnyArm<'_>; N], is_biased: bool) -> Option<usize> {
    choose(&arms, is_biased, Patience::Until(None), &mut [(0, 0); N])
}

/// The index of the arm that was selected, if one was ready.
#[inline]
pub fn attempt<const N: usize>(arms: [AnyArm<'_>; N], is_biased: bool) -> Option<usize> {
    choose(&arms, is_biased, Patience::None, &mut [(0, 0); N])
}

/// The index of the arm that was selected; waits for it until the time is up.
#[inline]
pub fn wait_timeout<const N: usize>(
    arms: [AnyArm<'_>; N],
    is_biased: bool,
    timeout: Duration,
) -> Option<usize> {
    // A timeout that the clock cannot express is no timeout.
    let deadline = Instant::now().checked_add(timeout);
    choose(&arms, is_biased, Patience::Until(deadline), &mut [(0, 0); N])
}

fn choose(
    arms: &[AnyArm<'_>],
    is_biased: bool,
    patience: Patience,
    room: &mut [choice::Room],
) -> Option<usize> {
    choice::choose(arms, Rule { is_biased, patience, purpose: Purpose::Select }, room)
}
