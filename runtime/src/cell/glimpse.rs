//! What another thread may learn of a running fiber that does not know of it: its name and its id.
//!
//! The fiber may end at any time, and its cell with it, so nothing is followed: the kernel copies what is there
//! (`os/peek.rs`). Whoever asks knows that the fiber has run without a switch before and after, and therefore during, the
//! look; then what was copied was alive, and nobody changes a fiber's name.

#![expect(unsafe_code, reason = "makes values of bytes that the kernel has copied")]

use std::num::NonZeroU64;
use std::ptr::NonNull;

use super::{FiberId, Header, Identity};
use crate::os::peek;

/// Names are cut off after so many bytes.
const NAME_BYTES: usize = 256;

/// See the module's documentation. Both are `None` for a fiber that nobody has asked for them yet, and where the kernel does
/// not let the process look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Glimpse {
    pub(crate) id: Option<FiberId>,
    pub(crate) name: Option<String>,
}

impl Glimpse {
    pub(crate) fn of(header: *const Header) -> Self {
        let place = header.wrapping_byte_add(Header::IDENTITY).cast::<*const Identity>();
        // SAFETY: an address, which is not followed.
        match peek::value(place).map(|copy| unsafe { copy.assume_init() }) {
            Some(identity) if !identity.is_null() => Self { id: id_of(identity), name: name_of(identity) },
            _ => Self::default(),
        }
    }
}

fn id_of(identity: *const Identity) -> Option<FiberId> {
    let place = identity.wrapping_byte_add(Identity::ID).cast::<u64>();
    // SAFETY: a number.
    let number = unsafe { peek::value(place)?.assume_init() };
    NonZeroU64::new(number).map(FiberId::from_number)
}

fn name_of(identity: *const Identity) -> Option<String> {
    // A box is laid out as the pointer that it owns.
    const { assert!(size_of::<Option<Box<str>>>() == size_of::<Option<NonNull<str>>>()) };
    let place = identity.wrapping_byte_add(Identity::NAME).cast::<Option<NonNull<str>>>();
    // SAFETY: an address and a length, neither of which is used but as a number.
    let name = unsafe { peek::value(place)?.assume_init() }?.as_ptr();
    let len = (name as *const [u8]).len().min(NAME_BYTES);
    let bytes = peek::bytes(name.cast_const().cast(), len)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::Fiber;
    use super::{id_of, name_of};
    use crate::os::peek;

    #[test]
    fn a_name_and_an_id_are_found_and_what_is_gone_is_not() {
        if peek::bytes("probe".as_ptr(), 5).is_none() {
            return; // not allowed here
        }
        let fiber = Fiber::new(Some("worker bee".into()));
        assert_eq!(id_of(fiber.identity()), Some(fiber.id()));
        assert_eq!(name_of(fiber.identity()).as_deref(), Some("worker bee"));
        assert_eq!(name_of(Fiber::new(None).identity()), None);
        assert_eq!(name_of(std::ptr::without_provenance(8)), None);
    }
}
