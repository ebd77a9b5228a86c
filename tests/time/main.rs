//! `abaca::time`: deadlines around any blocking code, and intervals.
