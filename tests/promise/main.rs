//! `abaca::promise`: Lwt's model.
