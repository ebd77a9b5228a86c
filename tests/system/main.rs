//! `abaca::fs`, `process`, `signal`, `io` and `blocking`: what waits on the operating system.
