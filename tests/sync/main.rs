//! `abaca::sync` and `abaca::channel`: the behaviour of std's and crossbeam's, for fibers and threads.

mod cancel;
mod channel;
mod condvar;
mod disconnect;
mod drops;
mod fibers;
mod mpsc;
mod mutex;
mod once;
mod oracle;
mod rw_lock;
mod semaphore;
mod stress;
mod wait_group;
