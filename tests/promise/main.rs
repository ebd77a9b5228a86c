//! `abaca::promise`: Lwt's model.

mod cancel;
mod chains;
mod future;
mod gather;
mod oracle;
mod storm;
mod stress;
mod work;
