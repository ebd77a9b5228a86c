//! `abaca::actor`: Erlang's model.
