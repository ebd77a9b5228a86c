//! `Mutex` and `RwLock` beside std's: which locks are free, which are poisoned and by what, and all that is printed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::{everywhere, quiet_panic};

/// A step with a lock, and its mode. A mutex has one mode, which is to write.
#[derive(Clone, Copy, Debug)]
enum Step {
    TryRead,
    Read,
    TryWrite,
    Write,
    Downgrade,
    /// Drops the read guard of that number, modulo their number.
    EndRead(usize),
    EndWrite,
    Print,
    /// Panics while the guards are held, and drops them.
    Panic,
    /// Panics and recovers while the guards are held.
    Recover,
    /// Writes while it unwinds.
    WriteUnwinding,
    ClearPoison,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Step::*;
    let step = prop_oneof![
        4 => Just(TryRead),
        2 => Just(Read),
        4 => Just(TryWrite),
        3 => Just(Write),
        1 => Just(Downgrade),
        3 => (0..4_usize).prop_map(EndRead),
        4 => Just(EndWrite),
        2 => Just(Print),
        2 => Just(Panic),
        1 => Just(Recover),
        1 => Just(WriteUnwinding),
        1 => Just(ClearPoison),
    ];
    prop::collection::vec(step, 0..40)
}

/// Calls its closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics, with `held` on the stack.
fn panic_with<T>(held: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _held = held;
        quiet_panic();
    }));
}

macro_rules! mutex_transcript {
    ($sync:path, $steps:expr) => {{
        use $sync as sync;
        let mut mutex = sync::Mutex::new(0);
        let mut said = vec![format!("{mutex:?} {:?}", sync::Mutex::<u8>::default())];
        {
            let mutex = &mutex;
            let mut held = None;
            for step in $steps {
                match step {
                    Step::TryRead | Step::TryWrite => {
                        let taken = mutex.try_lock();
                        said.push(format!("{taken:?} {:?}", taken.as_ref().err().map(ToString::to_string)));
                        if let Ok(mut guard) = taken {
                            *guard += 1;
                            held = Some(guard);
                        }
                    }
                    Step::Read | Step::Write if held.is_none() => {
                        let taken = mutex.lock();
                        said.push(format!("{taken:?} {:?}", taken.as_ref().err().map(ToString::to_string)));
                        let mut guard = taken.unwrap_or_else(sync::PoisonError::into_inner);
                        *guard += 1;
                        said.push(format!("{guard:?} {guard}"));
                        held = Some(guard);
                    }
                    Step::EndWrite => held = None,
                    Step::Print => said.push(format!("{mutex:?} {mutex:#?} {}", mutex.is_poisoned())),
                    Step::Panic => panic_with(held.take()),
                    Step::Recover => panic_with(()),
                    Step::WriteUnwinding if held.is_none() => panic_with(OnDrop(|| {
                        *mutex.lock().unwrap_or_else(sync::PoisonError::into_inner) += 1;
                    })),
                    Step::ClearPoison => mutex.clear_poison(),
                    _ => {}
                }
            }
        }
        said.push(format!("{:?}", mutex.get_mut()));
        said.push(format!("{:?} {:?}", mutex.into_inner(), sync::Mutex::from("value")));
        said
    }};
}

macro_rules! rw_lock_transcript {
    ($sync:path, $steps:expr) => {{
        use $sync as sync;
        let mut lock = sync::RwLock::new(0);
        let mut said = vec![format!("{lock:?} {:?}", sync::RwLock::<u8>::default())];
        {
            let lock = &lock;
            let (mut readers, mut writer) = (Vec::new(), None);
            for step in $steps {
                let is_read = !readers.is_empty();
                match step {
                    Step::TryRead => {
                        let taken = lock.try_read();
                        said.push(format!("{taken:?} {:?}", taken.as_ref().err().map(ToString::to_string)));
                        readers.extend(taken.ok());
                    }
                    Step::Read if writer.is_none() => {
                        let taken = lock.read();
                        said.push(format!("{taken:?} {:?}", taken.as_ref().err().map(ToString::to_string)));
                        let guard = taken.unwrap_or_else(sync::PoisonError::into_inner);
                        said.push(format!("{guard:?} {guard}"));
                        readers.push(guard);
                    }
                    Step::TryWrite => {
                        let taken = lock.try_write();
                        said.push(format!("{taken:?} {:?}", taken.as_ref().err().map(ToString::to_string)));
                        if let Ok(mut guard) = taken {
                            *guard += 1;
                            writer = Some(guard);
                        }
                    }
                    Step::Write if writer.is_none() && !is_read => {
                        let taken = lock.write();
                        said.push(format!("{taken:?} {:?}", taken.as_ref().err().map(ToString::to_string)));
                        let mut guard = taken.unwrap_or_else(sync::PoisonError::into_inner);
                        *guard += 1;
                        said.push(format!("{guard:?} {guard}"));
                        writer = Some(guard);
                    }
                    Step::Downgrade => {
                        readers.extend(writer.take().map(sync::RwLockWriteGuard::downgrade));
                    }
                    Step::EndRead(which) if is_read => drop(readers.remove(which % readers.len())),
                    Step::EndWrite => writer = None,
                    Step::Print => said.push(format!("{lock:?} {lock:#?} {}", lock.is_poisoned())),
                    Step::Panic => panic_with((readers.pop(), writer.take())),
                    Step::Recover => panic_with(()),
                    Step::WriteUnwinding if writer.is_none() && !is_read => panic_with(OnDrop(|| {
                        *lock.write().unwrap_or_else(sync::PoisonError::into_inner) += 1;
                    })),
                    Step::ClearPoison => lock.clear_poison(),
                    _ => {}
                }
            }
        }
        said.push(format!("{:?}", lock.get_mut()));
        said.push(format!("{:?} {:?}", lock.into_inner(), sync::RwLock::from("value")));
        said
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutex_has_stds_results(steps in steps()) {
        let ours = everywhere(|| mutex_transcript!(abaca::sync, &steps));
        let theirs = mutex_transcript!(std::sync, &steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_readers_writer_lock_has_stds_results(steps in steps()) {
        let ours = everywhere(|| rw_lock_transcript!(abaca::sync, &steps));
        let theirs = rw_lock_transcript!(std::sync, &steps);
        prop_assert_eq!(ours, theirs);
    }
}
