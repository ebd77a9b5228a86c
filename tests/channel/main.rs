//! `abaca::channel`: crossbeam-channel's behaviour, `select!`, and tokio's other channels.
