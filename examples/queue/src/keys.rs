//! The keys of a queue.

/// The names of what a queue has in Redis. They share what is in braces, so that a cluster keeps them on one node.
#[derive(Clone)]
pub(crate) struct Keys {
    /// The stream of jobs that wait or are in flight. An entry leaves it when its job is settled.
    pub(crate) jobs: String,
    /// A sorted set of failed jobs, by the time (of Redis's clock, in ms) at which each is to be tried again.
    pub(crate) delayed: String,
    /// The stream of jobs that are not tried again.
    pub(crate) dead: String,
    /// A hash: how many jobs were ever added, done, and so on.
    pub(crate) counters: String,
    /// A hash: the number of the last job of each producer.
    pub(crate) marks: String,
}

impl Keys {
    pub(crate) fn new(name: &str) -> Self {
        let key = |part| format!("{{{name}}}:{part}");
        Self {
            jobs: key("jobs"),
            delayed: key("delayed"),
            dead: key("dead"),
            counters: key("counters"),
            marks: key("marks"),
        }
    }
}

/// The consumer group of the workers.
pub(crate) const GROUP: &str = "workers";
