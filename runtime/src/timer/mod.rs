//! Deadlines. A [`Wheel`] per worker holds an [`Entry`] for each wait that has one.
//!
//! It knows neither clock nor fiber: times are nanoseconds since an origin that its owner chooses, and what is due
//! comes back through a callback.

mod entry;
mod nodes;
mod wheel;

#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use entry::Entry;
pub(crate) use wheel::Wheel;
