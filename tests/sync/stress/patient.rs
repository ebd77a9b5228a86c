//! A patient waiter stands behind others that give up just when something comes: it then gets what comes.
//!
//! Each round has three fibers that are cancelled one after the other, and a patient waiter, fiber or thread, that came
//! last. Meanwhile one thing is given, enough for one of them. If a fiber has it, the round gives another; if none has, it
//! must have reached the patient waiter, or was lost on a fiber that gave up.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::sync::{Condvar, Mutex, Notify, RwLock, Semaphore};
use abaca::{Cancelled, channel};
use abaca_tests::{Choices, patiently};

const ROUNDS: u64 = 150;
const IMPATIENT: usize = 3;

/// Runs the rounds: `take` waits for what `give` gives; `hold` keeps it from those that come until it is given. The result
/// of `give` is kept until all fibers are cancelled. `take` is called with `true` by the patient waiter.
///
/// Returns how often something was given and how often it was taken.
fn rounds<H, K>(hold: impl Fn() -> H, give: impl Fn(H) -> K, take: impl Fn(bool) + Sync) -> (usize, usize) {
    let seed = Choices::seed();
    let (taken, begun) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    let take = &move |is_patient| {
        begun.fetch_add(1, SeqCst);
        take(is_patient);
        taken.fetch_add(1, SeqCst);
    };
    let mut given = 0;
    let mut give = |held| {
        given += 1;
        give(held)
    };
    for round in 0..ROUNDS {
        let mut choices = Choices::new(seed, round);
        begun.store(0, SeqCst);
        let mut held = Some(hold());
        std::thread::scope(|threads| {
            abaca::scope(|fibers| {
                let impatient: Vec<_> = (0..IMPATIENT).map(|_| fibers.spawn(|| take(false))).collect();
                await_begun(begun, IMPATIENT);
                let patient = || patiently(|| take(true));
                let (thread, fiber) = match round % 2 {
                    0 => (Some(threads.spawn(patient)), None),
                    _ => (None, Some(fibers.spawn(patient))),
                };
                await_begun(begun, IMPATIENT + 1);
                // The fibers that have begun will soon wait; if some do not yet, the test is still valid.
                (0..choices.below(4)).for_each(|_| abaca::yield_now());
                let when = choices.below(IMPATIENT as u64) as usize;
                let mut kept = None;
                for (n, fiber) in impatient.iter().enumerate() {
                    if n == when {
                        kept = held.take().map(&mut give);
                        // A fiber that was woken may be on its way to a lock.
                        (0..choices.below(3)).for_each(|_| abaca::yield_now());
                    }
                    fiber.cancel();
                }
                drop(kept);
                let ends = impatient.into_iter().map(|fiber| match fiber.join() {
                    Ok(()) => true,
                    Err(payload) if payload.is::<Cancelled>() => false,
                    Err(payload) => std::panic::resume_unwind(payload),
                });
                // All are joined before anything else is given.
                if ends.fold(false, |any, took| any | took) {
                    drop(give(hold()));
                }
                thread.into_iter().for_each(|thread| thread.join().unwrap());
                fiber.into_iter().for_each(|fiber| fiber.join().unwrap());
            });
        });
    }
    (given, taken.load(SeqCst))
}

fn await_begun(begun: &AtomicUsize, count: usize) {
    while begun.load(SeqCst) < count {
        abaca::yield_now();
    }
}

/// Checks that what is given is taken by one, every time.
fn conserving<K>(give: impl Fn() -> K + Sync, take: impl Fn(bool) + Sync) {
    let (given, taken) = abaca::run(|| rounds(|| (), |()| give(), &take));
    assert_eq!(given, taken);
}

#[test]
fn a_mutex_that_is_released_reaches_the_patient_waiter() {
    let mutex = Mutex::new(());
    abaca::run(|| rounds(|| mutex.lock().unwrap(), drop, |_| drop(mutex.lock().unwrap())));
}

#[test]
fn a_readers_writer_lock_that_is_released_reaches_the_patient_waiter() {
    let lock = RwLock::new(());
    let read = || lock.read().unwrap();
    let write = || lock.write().unwrap();
    abaca::run(|| {
        rounds(write, drop, |_| drop(read()));
        rounds(read, drop, |_| drop(write()));
        rounds(write, drop, |_| drop(write()));
    });
}

#[test]
fn readers_behind_writers_that_give_up_are_let_in() {
    let lock = RwLock::new(());
    let take = |is_patient| match is_patient {
        true => drop(lock.read().unwrap()),
        false => drop(lock.write().unwrap()),
    };
    abaca::run(|| {
        rounds(|| lock.write().unwrap(), drop, take);
        rounds(|| lock.read().unwrap(), drop, take);
    });
}

#[test]
fn a_notification_of_a_condvar_reaches_the_patient_waiter() {
    let (count, changed) = (Mutex::new(0), Condvar::new());
    let take = |_| {
        let mut count = changed.wait_while(count.lock().unwrap(), |count| *count == 0).unwrap();
        *count -= 1;
    };
    let give = || {
        *count.lock().unwrap() += 1;
        changed.notify_one();
    };
    conserving(give, take);
    // A fiber that is notified while the mutex is held is cancelled as it waits for the mutex.
    let give_and_hold = || {
        let mut count = count.lock().unwrap();
        *count += 1;
        changed.notify_one();
        count
    };
    conserving(give_and_hold, take);
}

#[test]
fn a_permit_reaches_the_patient_waiter() {
    let semaphore = Semaphore::new(0);
    conserving(|| semaphore.add_permits(1), |_| semaphore.acquire().unwrap().forget());
}

#[test]
fn a_permit_reaches_the_patient_waiter_behind_others_that_need_more() {
    let semaphore = Semaphore::new(0);
    let take = |is_patient| {
        let needed = if is_patient { 1 } else { 3 };
        semaphore.acquire_many(needed).unwrap().forget();
    };
    conserving(|| semaphore.add_permits(1), take);
}

#[test]
fn a_notification_reaches_the_patient_waiter() {
    let notify = Notify::new();
    conserving(|| notify.notify_one(), |_| notify.notified());
}

#[test]
fn a_message_reaches_the_patient_waiter() {
    for capacity in 0..2 {
        let (sender, receiver) = channel::bounded(capacity);
        conserving(|| patiently(|| sender.send(()).unwrap()), |_| receiver.recv().unwrap());
    }
}
