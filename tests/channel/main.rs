//! `abaca::channel`: crossbeam-channel's behaviour, `select!`, and tokio's other channels.

mod clocks;
mod macros;
mod select;
mod select_cancel;
mod select_oracle;
mod select_stress;
