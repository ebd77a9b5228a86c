//! Descriptors.

mod close;

use crate::table::Hook;

/// The hooks of this room.
pub(crate) const HOOKS: &[&[Hook]] = &[close::HOOKS];
