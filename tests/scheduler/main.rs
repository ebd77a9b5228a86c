//! Where fibers run: they stay at home unless they roam, tasks are stolen from busy workers, nobody starves.

mod budget;
mod home;
mod hooks;
mod roam;
mod steal;
mod unwinding;
