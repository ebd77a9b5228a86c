//! Where fibers are spawned that are threads to the program: one place for all, by which they are told from others.

use std::panic::Location;

static SITE: &Location<'static> = Location::caller();

/// The place.
#[cfg(feature = "own-tls")]
pub(crate) fn site_of_threads() -> &'static Location<'static> {
    SITE
}

/// Whether a fiber that was spawned there is a thread to the program.
pub(crate) fn is_site_of_threads(site: &'static Location<'static>) -> bool {
    std::ptr::eq(site, SITE)
}
