//! The lab: one small HTTP service in every concurrency model, a load generator, and what runs the two against
//! each other.
//!
//! * [`models`] is the registry: each [`models::Model`] is one way to serve many connections.
//! * [`service`] is what they all serve: the same parser, the same bytes, the same work.
//! * [`child`] runs a model, or the delay server that models wait for, in a process of its own.
//! * [`load`] offers requests at a fixed rate, or as fast as they are answered, and measures latencies.
//! * [`bars`] measures what the project's bars are about.
//! * [`measure`] runs a series of measurements; [`micro`] measures small things that a fiber and a future both do.
//! * [`data`] is what a run found, and [`report`] the page that shows it.
//!
//! A model must differ from the others in its concurrency only; whatever is not about that is in [`service`].

// A future under 64 nested calls is a type of that depth.
#![recursion_limit = "256"]

pub mod bars;
pub mod busy_loop;
pub mod child;
pub mod cpus;
pub mod data;
pub mod delay;
pub mod limits;
pub mod load;
pub mod measure;
pub mod micro;
pub mod models;
pub mod priority;
pub mod report;
pub mod service;
