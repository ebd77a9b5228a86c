//! `abaca::future`: fibers and futures, in both directions.

mod hyper;
