//! Child processes: the shape of [`std::process`].
