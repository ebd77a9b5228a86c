//! Where fibers run: they stay at home unless they roam, tasks are stolen from busy workers, nobody starves.

// Looks at the end for what is left behind.
use abaca_tests as _;

mod budget;
mod home;
mod hooks;
mod manners;
mod roam;
mod steal;
mod turns;
mod unwinding;
mod unwinding_coroutine;
