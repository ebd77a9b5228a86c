//! Mapped guards beside parking_lot's, since std's are unstable: what each gives access to, when the lock is free again,
//! and that a guard which `filter_map` returns is the one it was given.
//!
//! The value is a row of numbers, and a map takes one half of the guard's part, so that maps nest in any order. Poison is
//! ignored, since parking_lot does not have it; `tests/sync/rw_lock.rs` is about that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use abaca::sync::{TryLockError, TryLockResult};
use proptest::prelude::*;

use super::{everywhere, quiet_panic};

/// A step with the guard of that number, modulo their number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Take,
    /// Maps to the left or right half.
    Map(usize, bool),
    /// Maps to that half if it is not empty.
    FilterMap(usize, bool),
    /// Adds to the first number, if the guard may write.
    Add(usize, u32),
    Look(usize),
    /// Panics in the closure of a `map` or of a `filter_map`.
    Panic(usize, bool),
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Step::*;
    let which = || 0..4_usize;
    let step = prop_oneof![
        6 => Just(Take),
        4 => (which(), any::<bool>()).prop_map(|(which, left)| Map(which, left)),
        4 => (which(), any::<bool>()).prop_map(|(which, left)| FilterMap(which, left)),
        4 => (which(), 1..100_u32).prop_map(|(which, n)| Add(which, n)),
        2 => which().prop_map(Look),
        1 => (which(), any::<bool>()).prop_map(|(which, filters)| Panic(which, filters)),
        3 => which().prop_map(Drop),
    ];
    prop::collection::vec(step, 0..40)
}

type Row = Box<[u32]>;

fn row() -> Row {
    (1..=6).collect()
}

/// The operations on a read guard.
mod shared {
    pub(super) fn half(part: &[u32], left: bool) -> &[u32] {
        let (first, second) = part.split_at(part.len() / 2);
        if left { first } else { second }
    }

    pub(super) fn half_if_any(part: &[u32], left: bool) -> Option<&[u32]> {
        Some(half(part, left)).filter(|half| !half.is_empty())
    }

    pub(super) fn explode(_part: &[u32]) -> &[u32] {
        super::quiet_panic()
    }

    pub(super) fn add(_part: &[u32], _n: u32) {}
}

/// The operations on a write guard.
mod exclusive {
    pub(super) fn half(part: &mut [u32], left: bool) -> &mut [u32] {
        let (first, second) = part.split_at_mut(part.len() / 2);
        if left { first } else { second }
    }

    pub(super) fn half_if_any(part: &mut [u32], left: bool) -> Option<&mut [u32]> {
        Some(half(part, left)).filter(|half| !half.is_empty())
    }

    pub(super) fn explode(_part: &mut [u32]) -> &mut [u32] {
        super::quiet_panic()
    }

    pub(super) fn add(part: &mut [u32], n: u32) {
        part.iter_mut().take(1).for_each(|first| *first += n);
    }
}

/// Runs the steps with one kind of guard, taken by `try`. `free` says which locks could be taken.
macro_rules! transcript {
    (
        $steps:expr, $lock:ident = $new:expr, try $try:expr, free [$($free:expr),+], row $row:expr,
        $whole:path, $mapped:path, $filter_map:ident, $with:ident
    ) => {{
        use $mapped as Mapped;
        use $whole as Whole;
        enum Held<'a> {
            Whole(Whole<'a, Row>),
            Part(Mapped<'a, [u32]>),
        }
        let $lock = $new;
        let mut said = Vec::new();
        {
            let $lock = &$lock;
            let mut held = Vec::new();
            for step in $steps {
                let count = held.len().max(1);
                let what = match *step {
                    Step::Take => {
                        let taken = $try;
                        let is_taken = taken.is_some();
                        held.extend(taken.map(Held::Whole));
                        format!("{is_taken}")
                    }
                    _ if held.is_empty() => String::new(),
                    Step::Map(which, left) => {
                        let part = match held.swap_remove(which % count) {
                            Held::Whole(guard) => Whole::map(guard, |row| $with::half(row, left)),
                            Held::Part(guard) => Mapped::map(guard, |part| $with::half(part, left)),
                        };
                        held.push(Held::Part(part));
                        String::new()
                    }
                    Step::FilterMap(which, left) => {
                        let result = match held.swap_remove(which % count) {
                            Held::Whole(guard) => {
                                Whole::$filter_map(guard, |row| $with::half_if_any(row, left))
                                    .map_err(Held::Whole)
                            }
                            Held::Part(guard) => {
                                Mapped::$filter_map(guard, |part| $with::half_if_any(part, left))
                                    .map_err(Held::Part)
                            }
                        };
                        let is_mapped = result.is_ok();
                        held.push(result.map_or_else(|same| same, Held::Part));
                        format!("{is_mapped}")
                    }
                    Step::Add(which, n) => {
                        match &mut held[which % count] {
                            Held::Whole(guard) => $with::add(guard, n),
                            Held::Part(guard) => $with::add(guard, n),
                        }
                        String::new()
                    }
                    Step::Look(which) => match &held[which % count] {
                        Held::Whole(guard) => format!("{guard:?}"),
                        Held::Part(guard) => format!("{guard:?}"),
                    },
                    Step::Panic(which, filters) => {
                        let guard = held.swap_remove(which % count);
                        let panics = AssertUnwindSafe(|| match guard {
                            Held::Whole(guard) if filters => {
                                drop(Whole::$filter_map(guard, |row| Some($with::explode(row))));
                            }
                            Held::Part(guard) if filters => {
                                drop(Mapped::$filter_map(guard, |part| Some($with::explode(part))));
                            }
                            Held::Whole(guard) => drop(Whole::map(guard, |row| $with::explode(row))),
                            Held::Part(guard) => drop(Mapped::map(guard, |part| $with::explode(part))),
                        });
                        format!("{}", catch_unwind(panics).is_err())
                    }
                    Step::Drop(which) => {
                        drop(held.swap_remove(which % count));
                        String::new()
                    }
                };
                // One at a time, since a guard that one of them takes would exclude the next.
                $(let what = what + if $free() { " free" } else { " held" };)+
                said.push(what);
            }
        }
        said.push(format!("{:?}", $row));
        said
    }};
}

/// The guard, poisoned or not, if the lock is free.
fn taken<G>(result: TryLockResult<G>) -> Option<G> {
    match result {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn our_mutex(steps: &[Step]) -> Vec<String> {
    use abaca::sync::{Mutex, PoisonError};
    transcript!(
        steps, lock = Mutex::new(row()),
        try taken(lock.try_lock()),
        free [|| taken(lock.try_lock()).is_some()],
        row lock.into_inner().unwrap_or_else(PoisonError::into_inner),
        abaca::sync::MutexGuard, abaca::sync::MappedMutexGuard, filter_map, exclusive
    )
}

fn their_mutex(steps: &[Step]) -> Vec<String> {
    transcript!(
        steps, lock = parking_lot::Mutex::new(row()),
        try lock.try_lock(),
        free [|| lock.try_lock().is_some()],
        row lock.into_inner(),
        parking_lot::MutexGuard, parking_lot::MappedMutexGuard, try_map, exclusive
    )
}

fn our_readers(steps: &[Step]) -> Vec<String> {
    use abaca::sync::{PoisonError, RwLock};
    transcript!(
        steps, lock = RwLock::new(row()),
        try taken(lock.try_read()),
        free [|| taken(lock.try_read()).is_some(), || taken(lock.try_write()).is_some()],
        row lock.into_inner().unwrap_or_else(PoisonError::into_inner),
        abaca::sync::RwLockReadGuard, abaca::sync::MappedRwLockReadGuard, filter_map, shared
    )
}

fn their_readers(steps: &[Step]) -> Vec<String> {
    transcript!(
        steps, lock = parking_lot::RwLock::new(row()),
        try lock.try_read(),
        free [|| lock.try_read().is_some(), || lock.try_write().is_some()],
        row lock.into_inner(),
        parking_lot::RwLockReadGuard, parking_lot::MappedRwLockReadGuard, try_map, shared
    )
}

fn our_writers(steps: &[Step]) -> Vec<String> {
    use abaca::sync::{PoisonError, RwLock};
    transcript!(
        steps, lock = RwLock::new(row()),
        try taken(lock.try_write()),
        free [|| taken(lock.try_read()).is_some(), || taken(lock.try_write()).is_some()],
        row lock.into_inner().unwrap_or_else(PoisonError::into_inner),
        abaca::sync::RwLockWriteGuard, abaca::sync::MappedRwLockWriteGuard, filter_map, exclusive
    )
}

fn their_writers(steps: &[Step]) -> Vec<String> {
    transcript!(
        steps, lock = parking_lot::RwLock::new(row()),
        try lock.try_write(),
        free [|| lock.try_read().is_some(), || lock.try_write().is_some()],
        row lock.into_inner(),
        parking_lot::RwLockWriteGuard, parking_lot::MappedRwLockWriteGuard, try_map, exclusive
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mapped_guards_of_a_mutex_have_parking_lots_results(steps in steps()) {
        prop_assert_eq!(everywhere(|| our_mutex(&steps)), their_mutex(&steps));
    }

    #[test]
    fn mapped_read_guards_have_parking_lots_results(steps in steps()) {
        prop_assert_eq!(everywhere(|| our_readers(&steps)), their_readers(&steps));
    }

    #[test]
    fn mapped_write_guards_have_parking_lots_results(steps in steps()) {
        prop_assert_eq!(everywhere(|| our_writers(&steps)), their_writers(&steps));
    }
}
