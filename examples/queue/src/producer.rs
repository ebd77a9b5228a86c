//! A producer: adds jobs, each once, whatever happens to it or to Redis.

use std::error::Error;

use crate::keys::Keys;
use crate::link::Link;
use crate::script;

/// How many jobs go to Redis in one write.
const AT_ONCE: u64 = 100;

/// Adds the jobs `NAME:1` to `NAME:jobs`. Redis keeps the number of the last, in the same step in which it adds the job. So jobs whose
/// acknowledgement was lost are not added again, and a producer that was killed goes on where it was.
pub(crate) fn run(link: &mut Link, keys: &Keys, name: &str, jobs: u64) -> Result<(), Box<dyn Error>> {
    let mark: Option<u64> =
        link.run(|connection| redis::cmd("HGET").arg(&keys.marks).arg(name).query(connection))?;
    let mut next = mark.unwrap_or(0) + 1;
    while next <= jobs {
        let after = (next + AT_ONCE).min(jobs + 1);
        let mut pipeline = redis::pipe();
        for number in next..after {
            pipeline.add_command(script::add(keys, name, number));
        }
        let _: Vec<u64> = link.run(|connection| pipeline.query(connection))?;
        next = after;
    }
    Ok(())
}
