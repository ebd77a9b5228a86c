//! `abaca::channel`: crossbeam-channel's behaviour, `select!`, and tokio's other channels.

mod broadcast;
mod clocks;
mod macros;
mod oneshot;
mod select;
mod select_cancel;
mod select_errors;
mod select_oracle;
mod select_stress;
mod stress;
mod tokio_oracle;
mod watch;
