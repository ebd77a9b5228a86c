//! The file system: the shape of [`std::fs`], on the blocking pool.
