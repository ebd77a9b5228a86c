//! The monitor's sleep while the workers that are awake stand still and nobody waits for them. `quiet.rs` tells how it ends.

use std::os::fd::AsFd;

use super::Spares;
use crate::os::barrier;
use crate::scheduler::monitor_parker::NEVER;
use crate::scheduler::shared::Shared;
use crate::scheduler::worker::{Position, Worker};

impl Spares {
    /// Sleeps until somebody may wait for one of these workers, which stood still in these positions, or a sleeping one wakes up. Returns
    /// false, at once, if there is something to look at. From the monitor.
    pub(in crate::scheduler) fn keep_vigil(
        &self,
        shared: &Shared,
        standing: &[(&Worker, Position)],
        goes_on: impl Fn() -> bool,
    ) -> bool {
        let is_watched = {
            let _state = self.state();
            shared.quiet.begin();
            standing.iter().all(|(worker, _)| worker.try_carrier().is_some_and(super::Carrier::watch))
        };
        let until = first_timer(standing);
        let pollers: Vec<_> = standing
            .iter()
            .filter_map(|(worker, _)| shared.poller_of(worker.index))
            .map(|poller| poller.as_fd())
            .collect();
        let has_slept = is_watched
            && shared.monitor_parker.sleep(until, &pollers, || {
                barrier::heavy();
                let stays = |(worker, position): &(&Worker, Position)| {
                    let _state = self.state();
                    worker.try_carrier().is_some_and(super::Carrier::stays_outside)
                        && worker.position() == *position
                        && !worker.is_waited_for()
                };
                goes_on()
                    && standing.iter().all(stays)
                    && shared.workers.iter().filter(|worker| !worker.remote.inbox.is_sleeping()).count()
                        == standing.len()
                    && first_timer(standing) >= until
            });
        shared.quiet.end();
        let _state = self.state();
        standing.iter().filter_map(|(worker, _)| worker.try_carrier()).for_each(super::Carrier::unwatch);
        has_slept
    }
}

/// When the first timer of these workers is due, which nobody uses meanwhile.
fn first_timer(standing: &[(&Worker, Position)]) -> u64 {
    standing.iter().filter_map(|(worker, _)| worker.peek_first_timer()).min().unwrap_or(NEVER)
}
