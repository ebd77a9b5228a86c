//! The promoter: puts delayed jobs back into the stream when their time has come. All workers do, and none does twice what another did.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;

use super::Worker;
use crate::script;

const AT_ONCE: usize = 256;
/// How much later than its time a job may come back.
const PERIOD: Duration = Duration::from_millis(50);

pub(super) fn run(worker: &Arc<Worker>) -> Result<(), RedisError> {
    let mut link = worker.link()?;
    loop {
        let moved: usize = link.run(|connection| script::promote(&worker.keys, AT_ONCE).query(connection))?;
        if worker.in_flight.pause(if moved < AT_ONCE { PERIOD } else { Duration::ZERO }) {
            return Ok(());
        }
    }
}
