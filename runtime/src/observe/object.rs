//! What a fiber waits for, read in the hub of its worker while the fiber waits, and who holds that.

#![expect(unsafe_code, reason = "reads the objects that parked fibers wait for")]

use std::ptr;
use std::time::Instant;

use crate::blocking::JobFacts;
use crate::cell::{FiberId, Header, Reason, Waiter};
use crate::channel::{AwaitedCases, Ends};
use crate::fiber::ScopeShared;
use crate::os::hidden::Hidden;
use crate::os::peek;
use crate::sync::{MUTEX_LAYOUT, Once, RawMutex, RawRwLock, WaitGroupShared};

/// See the module's documentation. Addresses are numbers here, and are not followed any more. Those that lead to what is waited for are
/// hidden from a search of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Object {
    /// The reason says it all.
    #[default]
    None,
    /// Something of which only the address is known.
    Address(Hidden),
    /// A mutex, or a `Once` whose closure runs: an address on the stack of its holder.
    Lock {
        address: Hidden,
        holder: Option<Hidden>,
    },
    /// A lock of pthreads, which libc has written its owner into: by the number by which it knows that, 0 if there is none.
    #[cfg_attr(not(feature = "own-tls"), expect(dead_code, reason = "only the hooks sleep at such locks"))]
    OfThreads {
        address: Hidden,
        owner: u32,
        is_mutex: bool,
    },
    RwLock {
        address: Hidden,
        writer: Option<Hidden>,
        readers: usize,
    },
    /// With the complement of the word that its ends consist of.
    Channel {
        address: usize,
        senders: usize,
        receivers: usize,
        key: usize,
    },
    /// The channels of a select: for each case that has one, as above.
    Channels(Vec<[usize; 4]>),
    /// Something to which others have handles, each of which is a word: with its complement, and how many there are if that is known.
    Handles {
        address: usize,
        key: usize,
        count: Option<usize>,
    },
    /// The fibers that run in a scope: the addresses of their headers, and their ids if they have some.
    Fibers {
        address: Hidden,
        fibers: Vec<(usize, Option<FiberId>)>,
    },
    /// The fiber that is joined: the address of its header, and its id if it has one.
    Fiber(usize, Option<FiberId>),
    /// A job of the pool: the type of its closure, and whether it has begun.
    Job(&'static str, bool),
    /// A file descriptor.
    Descriptor(i32),
    /// The end of a sleep.
    Time(Instant),
}

impl Object {
    /// What the fiber of this waiter waits for.
    ///
    /// # Safety
    ///
    /// The fiber is suspended in the wait of `waiter`, for `reason`, and does not go on meanwhile.
    pub(super) unsafe fn of(reason: Reason, waiter: *const Waiter) -> Self {
        // SAFETY: the caller's promise: the waiter is in a frame of the suspended fiber.
        let Some(waiter) = (unsafe { waiter.as_ref() }) else { return Self::None };
        let object = waiter.object();
        let address = object.addr();
        if object.is_null() {
            return Self::None;
        }
        // SAFETY, for all below: by the contract of `Waiter::on` the object is of the kind that goes with the reason, and is
        // borrowed by a frame of the suspended fiber. What is read of it is atomic, or never changes.
        match reason {
            Reason::Mutex => {
                // SAFETY: as above.
                let mutex = unsafe { &*object.cast::<RawMutex>() };
                Self::Lock { address: Hidden::new(address), holder: mutex.holder().map(Hidden::new) }
            }
            Reason::Once => {
                // SAFETY: as above.
                let once = unsafe { &*object.cast::<Once>() };
                Self::Lock { address: Hidden::new(address), holder: once.holder().map(Hidden::new) }
            }
            Reason::RwLock => {
                // SAFETY: as above.
                let (writer, readers) = unsafe { &*object.cast::<RawRwLock>() }.holders();
                Self::RwLock { address: Hidden::new(address), writer: writer.map(Hidden::new), readers }
            }
            Reason::ChannelSend | Reason::ChannelReceive => {
                // SAFETY: as above.
                let ends = unsafe { &*object.cast::<Ends>() };
                let (senders, receivers) = ends.count();
                Self::Channel { address, senders, receivers, key: ends.key() }
            }
            Reason::Select => {
                // SAFETY: as above.
                let cases = unsafe { &*object.cast::<AwaitedCases<'_>>() };
                let of = |ends: &Ends| {
                    let (senders, receivers) = ends.count();
                    [std::ptr::from_ref(ends).addr(), senders, receivers, ends.key()]
                };
                Self::Channels((0..cases.count).filter_map(|case| (cases.ends)(case).map(of)).collect())
            }
            Reason::WaitGroup => {
                // SAFETY: as above.
                let group = unsafe { &*object.cast::<WaitGroupShared>() };
                Self::Handles { address, key: group.key(), count: Some(group.members()) }
            }
            // Of a receiver; a sender that waits for its end has an even one.
            Reason::Oneshot if address & 1 == 1 => {
                Self::Handles { address, key: !(address & !1), count: None }
            }
            Reason::Scope => {
                // SAFETY: as above, and a scope's latch is in its scope.
                let scope = unsafe { ScopeShared::of(object.cast()) };
                Self::Fibers { address: Hidden::new(address), fibers: scope.fibers().list() }
            }
            Reason::Blocking => {
                // SAFETY: as above.
                let job = unsafe { &*object.cast::<JobFacts>() };
                Self::Job(job.name(), job.has_begun())
            }
            Reason::Sleep => {
                // SAFETY: as above.
                Self::Time(unsafe { *object.cast::<Instant>() })
            }
            Reason::Join => {
                // SAFETY: as above: the fiber owns the handle, so the cell is there until the join is over.
                let joined = unsafe { &*object.cast::<Header>() };
                // Not made here: this may be the end of that fiber, when nobody may attach it to an identity any more.
                Self::Fiber(address, joined.peek_identity().map(|identity| identity.id))
            }
            #[cfg(feature = "own-tls")]
            Reason::Address => {
                Self::of_threads(address).unwrap_or_else(|| Self::without_reading(reason, address))
            }
            _ => Self::without_reading(reason, address),
        }
    }

    /// What a fiber waits for that may go on meanwhile: the kernel copies what is read. It means something only if the fiber has not
    /// gone on.
    pub(super) fn from_outside(reason: Reason, address: usize) -> Self {
        Self::copied(reason, address).unwrap_or_else(|| Self::without_reading(reason, address))
    }

    fn copied(reason: Reason, address: usize) -> Option<Self> {
        match reason {
            Reason::Mutex => {
                let [word, locked, holder] = MUTEX_LAYOUT;
                let word = peek::value(ptr::without_provenance::<u32>(address.wrapping_add(word)))?;
                // SAFETY: any bytes are a valid number.
                let is_locked = unsafe { word.assume_init() } as usize & locked != 0;
                let holder =
                    peek::word(address.wrapping_add(holder)).filter(|holder| is_locked && *holder != 0);
                Some(Self::Lock { address: Hidden::new(address), holder: holder.map(Hidden::new) })
            }
            Reason::ChannelSend | Reason::ChannelReceive => {
                let copy = peek::value(ptr::without_provenance::<Ends>(address))?;
                // SAFETY: it consists of numbers, for which any bytes are valid.
                let ends = unsafe { copy.assume_init_ref() };
                let (senders, receivers) = ends.count();
                Some(Self::Channel { address, senders, receivers, key: ends.key_at(address) })
            }
            Reason::Oneshot if address & 1 == 1 => {
                Some(Self::Handles { address, key: !(address & !1), count: None })
            }
            Reason::Join if address != 0 => Some(Self::Fiber(address, None)),
            #[cfg(feature = "own-tls")]
            Reason::Address => Self::of_threads(address),
            Reason::Sleep => peek::instant(address).map(Self::Time),
            _ => None,
        }
    }

    /// A lock of pthreads, at whose address the hooks sleep with a mark.
    #[cfg(feature = "own-tls")]
    fn of_threads(address: usize) -> Option<Self> {
        use crate::park::by_address::{MUTEX_MARK, RWLOCK_MARK};
        // Where glibc has written the owner: `__owner` of a mutex, `__cur_writer` of a lock.
        let (is_mutex, place) = match address & 7 {
            MUTEX_MARK => (true, 8),
            RWLOCK_MARK => (false, 24),
            _ => return None,
        };
        let lock = address & !7;
        let owner = peek::value(ptr::without_provenance::<u32>(lock + place))?;
        // SAFETY: any bytes are a valid number.
        Some(Self::OfThreads { address: Hidden::new(lock), owner: unsafe { owner.assume_init() }, is_mutex })
    }

    fn without_reading(reason: Reason, address: usize) -> Self {
        match reason {
            _ if address == 0 => Self::None,
            Reason::Read
            | Reason::Write
            | Reason::Connect
            | Reason::Accept
            | Reason::Open
            | Reason::Process
            | Reason::Signal => {
                i32::try_from(address).map_or(Self::Address(Hidden::new(address)), Self::Descriptor)
            }
            _ => Self::Address(Hidden::new(address)),
        }
    }
}

/// The words for a wait.
pub(super) const fn name_of_wait(reason: Reason, object: &Object) -> &'static str {
    match object {
        Object::OfThreads { is_mutex: true, .. } => name_of(Reason::Mutex),
        Object::OfThreads { is_mutex: false, .. } => name_of(Reason::RwLock),
        _ => name_of(reason),
    }
}

/// The words for a reason of a wait.
pub(super) const fn name_of(reason: Reason) -> &'static str {
    match reason {
        Reason::None => "nothing",
        Reason::Park => "park",
        Reason::Join => "join",
        Reason::Sleep => "sleep",
        Reason::Scope => "end of a scope",
        Reason::Mutex => "mutex",
        Reason::Condvar => "condition variable",
        Reason::RwLock => "reader-writer lock",
        Reason::Barrier => "barrier",
        Reason::Once => "once",
        Reason::Semaphore => "semaphore",
        Reason::Notify => "notification",
        Reason::WaitGroup => "wait group",
        Reason::ChannelSend => "channel send",
        Reason::ChannelReceive => "channel receive",
        Reason::Select => "select",
        Reason::Oneshot => "oneshot channel",
        Reason::Broadcast => "broadcast channel",
        Reason::Watch => "watch channel",
        Reason::Read => "read",
        Reason::Write => "write",
        Reason::Connect => "connect",
        Reason::Accept => "accept",
        Reason::Blocking => "blocking call",
        Reason::Open => "open",
        Reason::Process => "child process",
        Reason::Signal => "signal",
        Reason::Future => "future",
        Reason::Queue => "wait queue",
        #[cfg(any(feature = "own-tls", all(test, loom)))]
        Reason::Address => "address",
    }
}
