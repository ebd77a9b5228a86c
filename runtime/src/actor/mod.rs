//! Actors: fibers with a mailbox, links, monitors and supervisors, in the manner of Erlang.
