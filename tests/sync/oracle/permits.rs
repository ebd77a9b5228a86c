//! `Semaphore` and `Notify` beside tokio's, whose waits are futures that are polled by hand.
//!
//! Our waits are fibers of a runtime with one worker. After each step the other fibers run until all of them wait, so
//! it is known which waits have ended by then.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use abaca::sync::{Arc, Mutex, Notify, OwnedSemaphorePermit, Semaphore};
use abaca::{JoinHandle, yield_now};
use abaca_tests::begun;
use proptest::prelude::*;

use super::{RUNTIME, everywhere};

#[derive(Clone, Copy, Debug)]
enum Try {
    Take(u32),
    TakeOwned(u32),
    TakeOne,
    Split(usize, usize),
    Merge(usize, usize),
    /// These two take a permit by its number, modulo their number.
    Give(usize),
    Forget(usize),
    Add(usize),
    ForgetFree(usize),
    Close,
}

fn try_step() -> impl Strategy<Value = Try> {
    use Try::*;
    let which = || 0..8_usize;
    prop_oneof![
        4 => (0..5_u32).prop_map(Take),
        4 => (0..5_u32).prop_map(TakeOwned),
        2 => Just(TakeOne),
        2 => (which(), 0..4_usize).prop_map(|(which, n)| Split(which, n)),
        2 => (which(), which()).prop_map(|(one, other)| Merge(one, other)),
        4 => which().prop_map(Give),
        1 => which().prop_map(Forget),
        2 => (0..4_usize).prop_map(Add),
        2 => (0..4_usize).prop_map(ForgetFree),
        1 => Just(Close),
    ]
}

macro_rules! transcript {
    ($sync:path, $first:expr, $steps:expr) => {{
        use $sync as sync;
        let semaphore = Arc::new(sync::Semaphore::new($first));
        let (mut held, mut owned) = (Vec::new(), Vec::new());
        let words = |error: sync::TryAcquireError| format!("{error:?} {error}");
        let mut said = Vec::new();
        for step in $steps {
            let count = owned.len().max(1);
            let what = match *step {
                Try::Take(n) => {
                    semaphore.try_acquire_many(n).map(|permit| held.push(permit)).err().map(words)
                }
                Try::TakeOne => semaphore.try_acquire().map(|permit| held.push(permit)).err().map(words),
                Try::TakeOwned(n) => {
                    let taken = Arc::clone(&semaphore).try_acquire_many_owned(n);
                    taken.map(|permit| owned.push(permit)).err().map(words)
                }
                Try::Split(which, n) => {
                    let part = owned.get_mut(which % count).and_then(|permit| permit.split(n));
                    let is_split = part.is_some();
                    owned.extend(part);
                    Some(format!("{is_split}"))
                }
                Try::Merge(one, other) if owned.len() > 1 => {
                    let permit = owned.swap_remove(one % count);
                    let other = other % owned.len();
                    owned[other].merge(permit);
                    Some(format!("{}", owned[other].num_permits()))
                }
                Try::Merge(..) => None,
                Try::Give(which) => {
                    drop(held.pop());
                    (which < owned.len()).then(|| drop(owned.swap_remove(which)));
                    None
                }
                Try::Forget(which) => {
                    held.pop().into_iter().for_each(|permit: sync::SemaphorePermit<'_>| permit.forget());
                    (which < owned.len()).then(|| owned.swap_remove(which).forget());
                    None
                }
                Try::Add(n) => {
                    semaphore.add_permits(n);
                    None
                }
                Try::ForgetFree(n) => Some(format!("{}", semaphore.forget_permits(n))),
                Try::Close => {
                    semaphore.close();
                    None
                }
            };
            let permits = owned.iter().map(|permit| permit.num_permits()).collect::<Vec<_>>();
            said.push(format!(
                "{what:?} {} {} {permits:?}",
                semaphore.available_permits(),
                semaphore.is_closed()
            ));
        }
        said
    }};
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A new waiter begins to wait: for that many permits, or for a notification.
    Wait(u32),
    /// The waiter of that number, modulo their number, is cancelled if it still waits.
    GiveUp(usize),
    /// It returns what it has, if it has anything.
    GiveBack(usize),
    /// Adds that many permits, or notifies that many waiters.
    Add(usize),
    TryTake(u32),
    /// Forgets up to that many free permits.
    ForgetFree(usize),
    /// Closes the semaphore, or notifies all.
    All,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        8 => (0..5_u32).prop_map(Wait),
        4 => (0..16_usize).prop_map(GiveUp),
        4 => (0..16_usize).prop_map(GiveBack),
        4 => (0..4_usize).prop_map(Add),
        2 => (0..3_u32).prop_map(TryTake),
        1 => (0..3_usize).prop_map(ForgetFree),
        1 => Just(All),
    ]
}

/// The result of each wait: `None` while it waits, `true` if it got what it waited for.
type Ends = Vec<Option<bool>>;

/// Lets all other fibers of the worker run until they wait.
fn run_others() {
    (0..4).for_each(|_| yield_now());
}

/// A waiter and what it has got.
type OurWait<T> = (Option<JoinHandle<()>>, Arc<Mutex<Option<T>>>);

/// Begins a wait, which stores its result.
fn wait<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> OurWait<T> {
    let result = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&result);
    let fiber = begun(move || {
        let got = f();
        *theirs.lock().unwrap() = Some(got);
    });
    (Some(fiber), result)
}

fn give_up<T>(waits: &mut [OurWait<T>], which: usize) {
    let count = waits.len().max(1);
    if let Some(fiber) = waits.get_mut(which % count).and_then(|wait| wait.0.take()) {
        fiber.cancel();
        let _ = fiber.join();
    }
}

/// A future that is polled until it is ready, and its result.
type TheirWait<T> = (Option<Pin<Box<dyn Future<Output = T>>>>, Option<T>);

fn poll<T>(waits: &mut [TheirWait<T>]) {
    let mut context = Context::from_waker(Waker::noop());
    for (future, result) in waits {
        if let Some(Poll::Ready(ready)) = future.as_mut().map(|future| future.as_mut().poll(&mut context)) {
            (*future, *result) = (None, Some(ready));
        }
    }
}

macro_rules! look {
    ($semaphore:expr) => {
        format!(" {} {}", $semaphore.available_permits(), $semaphore.is_closed())
    };
}

type Permits = Result<OwnedSemaphorePermit, ()>;

fn our_permits(first: usize, steps: &[Step]) -> Vec<(Ends, String)> {
    let semaphore = Arc::new(Semaphore::new(first));
    let mut waits: Vec<OurWait<Permits>> = Vec::new();
    let mut kept = Vec::new();
    let mut said = Vec::new();
    for step in steps {
        let count = waits.len().max(1);
        let mut what = String::new();
        match *step {
            Step::Wait(n) => {
                let semaphore = Arc::clone(&semaphore);
                waits.push(wait(move || semaphore.acquire_many_owned(n).map_err(drop)));
            }
            Step::GiveUp(which) => give_up(&mut waits, which),
            Step::GiveBack(which) => {
                if let Some((_, result)) = waits.get(which % count)
                    && let Some(Ok(permits)) = &mut *result.lock().unwrap()
                {
                    let all = permits.num_permits();
                    drop(permits.split(all));
                }
            }
            Step::Add(n) => semaphore.add_permits(n),
            Step::TryTake(n) => match Arc::clone(&semaphore).try_acquire_many_owned(n) {
                Ok(permits) => kept.push(permits),
                Err(error) => what = error.to_string(),
            },
            Step::ForgetFree(n) => what = semaphore.forget_permits(n).to_string(),
            Step::All => semaphore.close(),
        }
        run_others();
        let ends: Ends =
            waits.iter().map(|wait| wait.1.lock().unwrap().as_ref().map(Result::is_ok)).collect();
        said.push((ends, what + &look!(semaphore)));
    }
    (0..waits.len()).for_each(|which| give_up(&mut waits, which));
    said
}

fn their_permits(first: usize, steps: &[Step]) -> Vec<(Ends, String)> {
    let semaphore = Arc::new(tokio::sync::Semaphore::new(first));
    let mut waits: Vec<TheirWait<_>> = Vec::new();
    let mut kept = Vec::new();
    let mut said = Vec::new();
    for step in steps {
        let count = waits.len().max(1);
        let mut what = String::new();
        match *step {
            Step::Wait(n) => {
                let future = Arc::clone(&semaphore).acquire_many_owned(n);
                waits.push((Some(Box::pin(future)), None));
            }
            Step::GiveUp(which) => waits.get_mut(which % count).into_iter().for_each(|wait| wait.0 = None),
            Step::GiveBack(which) => {
                if let Some((_, Some(Ok(permits)))) = waits.get_mut(which % count) {
                    let all = permits.num_permits();
                    drop(permits.split(all));
                }
            }
            Step::Add(n) => semaphore.add_permits(n),
            Step::TryTake(n) => match Arc::clone(&semaphore).try_acquire_many_owned(n) {
                Ok(permits) => kept.push(permits),
                Err(error) => what = error.to_string(),
            },
            Step::ForgetFree(n) => what = semaphore.forget_permits(n).to_string(),
            Step::All => semaphore.close(),
        }
        poll(&mut waits);
        let ends = waits.iter().map(|wait| wait.1.as_ref().map(Result::is_ok)).collect();
        said.push((ends, what + &look!(semaphore)));
    }
    said
}

fn our_notifications(steps: &[Step]) -> Vec<Ends> {
    let notify = Arc::new(Notify::new());
    let mut waits: Vec<OurWait<()>> = Vec::new();
    let step = |step: &Step| {
        match *step {
            Step::Wait(_) => {
                let notify = Arc::clone(&notify);
                waits.push(wait(move || notify.notified()));
            }
            Step::GiveUp(which) => give_up(&mut waits, which),
            Step::All => notify.notify_waiters(),
            Step::Add(n) => (0..n).for_each(|_| notify.notify_one()),
            Step::GiveBack(_) | Step::TryTake(_) | Step::ForgetFree(_) => {}
        }
        run_others();
        waits.iter().map(|wait| wait.1.lock().unwrap().map(|()| true)).collect()
    };
    let said = steps.iter().map(step).collect();
    (0..waits.len()).for_each(|which| give_up(&mut waits, which));
    said
}

fn their_notifications(steps: &[Step]) -> Vec<Ends> {
    let notify = Arc::new(tokio::sync::Notify::new());
    let mut waits: Vec<TheirWait<()>> = Vec::new();
    let step = |step: &Step| {
        let count = waits.len().max(1);
        match *step {
            Step::Wait(_) => waits.push((Some(Box::pin(Arc::clone(&notify).notified_owned())), None)),
            Step::GiveUp(which) => waits.get_mut(which % count).into_iter().for_each(|wait| wait.0 = None),
            Step::All => notify.notify_waiters(),
            Step::Add(n) => (0..n).for_each(|_| notify.notify_one()),
            Step::GiveBack(_) | Step::TryTake(_) | Step::ForgetFree(_) => {}
        }
        poll(&mut waits);
        waits.iter().map(|wait| wait.1.map(|()| true)).collect()
    };
    steps.iter().map(step).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_semaphore_has_tokios_results(first in 0..6_usize, steps in prop::collection::vec(try_step(), 0..40)) {
        let ours = everywhere(|| transcript!(abaca::sync, first, &steps));
        let theirs = transcript!(tokio::sync, first, &steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn permits_are_waited_for_as_with_tokios(first in 0..4_usize, steps in prop::collection::vec(step(), 0..30)) {
        let ours = RUNTIME.run(|| our_permits(first, &steps));
        prop_assert_eq!(ours, their_permits(first, &steps));
    }

    #[test]
    fn notifications_are_waited_for_as_with_tokios(steps in prop::collection::vec(step(), 0..30)) {
        let ours = RUNTIME.run(|| our_notifications(&steps));
        prop_assert_eq!(ours, their_notifications(&steps));
    }
}
