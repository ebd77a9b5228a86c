//! A snapshot of a running fiber that another thread takes without the fiber's help: its name, its id and its labels.
//!
//! The fiber may end at any time, and its cell with it, so no address is dereferenced: the kernel copies the memory
//! (`os/peek.rs`). If the caller then finds that the fiber has run without a switch from before the copy until after it, the
//! copied memory was alive; and a fiber's name never changes.

#![expect(unsafe_code, reason = "makes values of bytes that the kernel has copied")]

use std::cell::Cell;
use std::num::NonZeroU64;
use std::panic::Location;
use std::ptr::NonNull;

use abaca_asm::Context;
use abaca_asm::stack::Stack;

use super::header::VTable;
use super::own::Own;
use super::wait::{CoarseTime, Wait};
use super::{FiberId, Flags, Header, Identity, Labels, Reason, Waiter};
use crate::os::peek;
use crate::queue::Links;

/// The longest name in a snapshot, in bytes; the rest is cut off. So it is with names and values of labels.
const NAME_BYTES: usize = 256;

/// The most labels of a fiber in a snapshot.
const MOST_LABELS: usize = 64;

/// See the module's documentation. Both fields are `None` for a fiber that has no identity yet, and where the kernel does not
/// let the process copy its own memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FiberSnapshot {
    pub(crate) id: Option<FiberId>,
    pub(crate) name: Option<String>,
}

impl FiberSnapshot {
    pub(crate) fn of(header: *const Header) -> Self {
        identity_of(header)
            .map_or_else(Self::default, |identity| Self { id: id_of(identity), name: name_of(identity) })
    }

    /// The labels of the fiber, which only it changes.
    pub(crate) fn labels_of(header: *const Header) -> Vec<(String, String)> {
        identity_of(header).and_then(labels_of).unwrap_or_default()
    }
}

fn identity_of(header: *const Header) -> Option<*const Identity> {
    let place = header.wrapping_byte_add(Header::IDENTITY).cast::<*const Identity>();
    // SAFETY: the value is an address, which is not followed.
    let identity = unsafe { peek::value(place)?.assume_init() };
    (!identity.is_null()).then_some(identity)
}

fn id_of(identity: *const Identity) -> Option<FiberId> {
    let place = identity.wrapping_byte_add(Identity::ID).cast::<u64>();
    // SAFETY: the value is a number, for which all bytes are valid.
    let number = unsafe { peek::value(place)?.assume_init() };
    NonZeroU64::new(number).map(FiberId::from_number)
}

fn name_of(identity: *const Identity) -> Option<String> {
    text_at(identity.wrapping_byte_add(Identity::NAME).cast())
}

/// The text to which a box or an optional box leads.
fn text_at(place: *const Option<Box<str>>) -> Option<String> {
    // A box is laid out as the pointer that it owns.
    const { assert!(size_of::<Option<Box<str>>>() == size_of::<Option<NonNull<str>>>()) };
    // SAFETY: the value is an address and a length, and both are used only as numbers.
    let name = unsafe { peek::value(place.cast::<Option<NonNull<str>>>())?.assume_init() }?.as_ptr();
    let len = (name as *const [u8]).len().min(NAME_BYTES);
    let bytes = peek::bytes(name.cast_const().cast(), len)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn labels_of(identity: *const Identity) -> Option<Vec<(String, String)>> {
    let (first, count) = Labels::peek(identity.wrapping_byte_add(Identity::LABELS).cast())?;
    let text =
        |index: usize, offset: usize| text_at(first.wrapping_add(index).wrapping_byte_add(offset).cast());
    let [name, value] = Labels::OFFSETS;
    (0..count.min(MOST_LABELS)).map(|index| Some((text(index, name)?, text(index, value)?))).collect()
}

/// Where a debugger finds the fields of a header, in bytes from its start: the next fiber in its list, the context, the number of the
/// reason, the waiter, the spawn site, the identity, the stack's handle, and what fibers with storage of their own have besides, the
/// greatest number if there are none.
pub(crate) const HEADER_OFFSETS: [usize; 9] = [
    std::mem::offset_of!(Header, live) + Links::<Header>::NEXT,
    std::mem::offset_of!(Header, context),
    std::mem::offset_of!(Header, wait) + Wait::REASON,
    std::mem::offset_of!(Header, waiting),
    std::mem::offset_of!(Header, spawn_site),
    Header::IDENTITY,
    std::mem::offset_of!(Header, stack),
    own_offset(0),
    own_offset(1),
];

const fn own_offset(index: usize) -> usize {
    match Own::OFFSETS {
        Some(offsets) => std::mem::offset_of!(Header, own) + offsets[index],
        None => usize::MAX,
    }
}

const _: () = assert!(
    size_of::<Cell<Option<Stack>>>() == size_of::<Stack>(),
    "a debugger reads the handle where the option is"
);

/// Where a debugger finds the id and the name in an identity, and the object in a waiter.
pub(crate) const IDENTITY_OFFSETS: [usize; 3] = [Identity::ID, Identity::NAME, Waiter::OBJECT];

/// A snapshot of a fiber's header, for those who look at the fibers of a worker that does not move. It means something only if the
/// worker has not moved meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderSnapshot {
    pub(crate) context: Option<Context>,
    pub(crate) reason: Reason,
    pub(crate) since: CoarseTime,
    /// The address of the waiter.
    pub(crate) waiter: *const Waiter,
    /// Whether a deadline around the wait may end it.
    pub(crate) may_have_deadline: bool,
    /// The thread pointer with which the fiber runs; 0 if that is its worker's.
    pub(crate) thread_pointer: usize,
    /// The address of the place where the fiber was spawned, and of its vtable.
    spawn_site: usize,
    vtable: usize,
    /// The next fiber in the list of live fibers.
    pub(crate) next: *const Header,
}

impl HeaderSnapshot {
    pub(crate) fn of(header: *const Header) -> Option<Self> {
        let copy = peek::value(header)?;
        let copy = copy.as_ptr();
        // SAFETY: the copy's bytes are all there. They may be of something else by now, so each field is read as numbers or
        // addresses, for which all bytes are valid.
        unsafe {
            let context = (&raw const (*copy).context).cast::<usize>().read();
            let wait = (&raw const (*copy).wait).cast::<Wait>();
            Some(Self {
                context: (context != 0).then(|| (&raw const (*copy).context).cast::<Context>().read()),
                reason: Reason::from_number(Wait::reason_of(wait)),
                since: Wait::since_of(wait),
                waiter: (&raw const (*copy).waiting).cast::<*const Waiter>().read(),
                may_have_deadline: (&raw const (*copy).cancel_scopes).cast::<usize>().read() != 0
                    || Flags::of_number((&raw const (*copy).flags).cast::<u16>().read()).has(Flags::PINNED)
                    || Own::TIMER.is_some_and(|timer| {
                        (&raw const (*copy).own).byte_add(timer).cast::<usize>().read() != 0
                    }),
                thread_pointer: Own::OFFSETS.map_or(0, |[pointer, _]| {
                    (&raw const (*copy).own).byte_add(pointer).cast::<usize>().read()
                }),
                spawn_site: (&raw const (*copy).spawn_site).cast::<usize>().read(),
                vtable: (&raw const (*copy).vtable).cast::<usize>().read(),
                next: (&raw const (*copy).live).as_ref().map_or(std::ptr::null(), Links::next),
            })
        }
    }

    /// Where the fiber was spawned. `is_static` tells whether an address is that of a loaded object, which stays as it is.
    pub(crate) fn spawn_site(&self, is_static: impl Fn(usize) -> bool) -> Option<&'static Location<'static>> {
        let address = self.spawn_site;
        let is_aligned = address.is_multiple_of(align_of::<Location<'_>>());
        // SAFETY: the compiler puts locations into loaded objects. Something else is there only if the header is none any more,
        // and then the caller throws this away without looking at it.
        (is_aligned && is_static(address))
            .then(|| unsafe { &*std::ptr::with_exposed_provenance::<Location<'static>>(address) })
    }

    /// The size of the fiber's cell.
    ///
    /// # Safety
    ///
    /// The worker has not moved since before the snapshot: it is one of a fiber that lives.
    pub(crate) unsafe fn cell_bytes(&self) -> usize {
        // SAFETY: the caller's promise. A vtable is static data.
        unsafe { &*std::ptr::with_exposed_provenance::<VTable>(self.vtable) }.size.bytes()
    }

    /// What the waiter of the fiber waits for, as an address.
    pub(crate) fn object(&self) -> usize {
        let place = self.waiter.wrapping_byte_add(Waiter::OBJECT).cast::<usize>();
        // SAFETY: any bytes are a valid number.
        let object = peek::value(place).map(|object| unsafe { object.assume_init() });
        if self.waiter.is_null() { 0 } else { object.unwrap_or_default() }
    }

    /// Whether somebody has ended the wait of the fiber, which has not gone on yet.
    pub(crate) fn has_ended(&self) -> bool {
        let (offset, waiting) = Waiter::STATE;
        let state = peek::value(self.waiter.wrapping_byte_add(offset).cast::<u32>());
        // SAFETY: any bytes are a valid number.
        !self.waiter.is_null() && state.is_none_or(|state| unsafe { state.assume_init() } != waiting)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::Fiber;
    use super::{id_of, labels_of, name_of};
    use crate::os::peek;

    #[test]
    fn a_name_and_an_id_are_found_and_a_bad_address_gives_none() {
        if peek::bytes("probe".as_ptr(), 5).is_none() {
            return; // not allowed here
        }
        let fiber = Fiber::new(Some("worker bee".into()));
        assert_eq!(id_of(fiber.identity()), Some(fiber.id()));
        assert_eq!(name_of(fiber.identity()).as_deref(), Some("worker bee"));
        assert_eq!(name_of(Fiber::new(None).identity()), None);
        assert_eq!(name_of(std::ptr::without_provenance(8)), None);
        assert_eq!(labels_of(fiber.identity()), None);
        fiber.identity().change_labels(|labels| labels.with("request", "4711").with("user", "ada"));
        let labels = [("request", "4711"), ("user", "ada")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(labels_of(fiber.identity()), Some(labels.to_vec()));
        assert_eq!(labels_of(std::ptr::without_provenance(8)), None);
    }
}
