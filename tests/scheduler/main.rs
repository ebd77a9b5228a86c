//! Where fibers run: started fibers stay on their worker unless they roam, unstarted fibers are stolen from busy workers, and no
//! fiber starves.

// Checks at the end that nothing is left behind.
use abaca_tests as _;

mod budget;
mod facade;
mod flight;
mod flight_causes;
mod flight_coarse;
mod flight_forms;
mod flight_stacks;
mod home;
mod hooks;
mod manners;
mod metrics;
mod metrics_depths;
mod observed;
mod probe;
mod protobuf;
mod relief;
mod roam;
mod steal;
mod turns;
mod unwinding;
mod unwinding_coroutine;
