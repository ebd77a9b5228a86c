//! Each hook of a descriptor's: when it need not wait, when it waits, for a user that wants errors, with a limit, when the other end is
//! closed, when its own descriptor is closed under it, and when its fiber is cancelled.

mod addresses;
mod asynchronous;
mod cancel;
mod connections;
mod devices;
mod ends;
mod files;
mod flushes;
mod gives_up;
mod looks;
mod lookups;
mod loops;
mod numbers;
mod old_names;
mod queues;
mod reads;
mod report;
mod rest;
mod room;
mod scans;
mod sinks;
mod stdio;
mod support;
mod wides;
mod wishes;
mod writes;
