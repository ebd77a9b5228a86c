//! A set of fibers whose results are taken in the order in which they end.
