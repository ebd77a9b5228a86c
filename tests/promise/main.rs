//! `abaca::promise`: Lwt's model.

mod cancel;
mod chains;
mod gather;
mod oracle;
mod stress;
mod work;
