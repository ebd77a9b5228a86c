//! A job: what the queue is about.

use crate::entry::Entry;

/// One job, as a worker gets it. A real queue would have a payload beside the name.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Its name, by which a handler knows that it has seen it before.
    pub(crate) name: String,
    /// 1 when it is tried for the first time. Deliveries that a worker's death cut short are not counted.
    pub(crate) attempt: u32,
}

impl Job {
    /// The job of an entry of the stream, or what is wrong with the entry.
    pub(crate) fn of(entry: &Entry) -> Result<Self, String> {
        let name = entry.field("job").ok_or("it has no field `job`")?;
        let attempt = entry.field("attempt").and_then(|text| text.parse().ok());
        Ok(Self { name: name.to_owned(), attempt: attempt.ok_or("it has no number in `attempt`")? })
    }
}
