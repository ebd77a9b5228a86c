//! `after`, `at`, `tick` and `never`.

use std::time::{Duration, Instant};

use abaca::channel::{
    RecvTimeoutError, Select, TryRecvError, after, at, bounded, never, select, tick, unbounded,
};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

#[test]
fn at_gives_its_time_once() {
    let when = Instant::now() + SHORT;
    let receiver = at(when);
    assert_eq!(receiver.recv(), Ok(when));
    assert!(Instant::now() >= when);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_message_that_is_not_due_is_not_there() {
    let receiver = after(LONG);
    assert_eq!((receiver.len(), receiver.is_empty(), receiver.is_full()), (0, true, false));
    assert_eq!(receiver.capacity(), Some(1));
    assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    let receiver = after(Duration::ZERO);
    assert_eq!((receiver.len(), receiver.is_empty(), receiver.is_full()), (1, false, true));
    assert_eq!(receiver.try_iter().count(), 1);
    assert_eq!(after(Duration::MAX).try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn ticks_come_at_equal_distances_for_a_receiver_that_waits_in_time() {
    let ticks = tick(SHORT);
    let times: Vec<_> = ticks.iter().take(5).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SHORT), "{times:?}");
    // A late receiver delays the next tick, and missed ticks are not made up for.
    let late = tick(Duration::from_nanos(1));
    let first = late.recv().unwrap();
    let now = Instant::now();
    let (second, third) = (late.recv().unwrap(), late.recv().unwrap());
    assert!(first < second && now < third);
}

#[test]
fn a_period_of_zero_always_ticks() {
    assert_eq!(tick(Duration::ZERO).iter().take(3).count(), 3);
    assert_eq!(tick(Duration::MAX).try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn each_tick_goes_to_one_of_the_waiting_receivers() {
    let ticks = tick(SHORT);
    let times = std::thread::scope(|scope| {
        let take = || ticks.iter().take(4).collect::<Vec<_>>();
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(take)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect::<std::collections::HashSet<_>>()
    });
    assert_eq!(times.len(), 12);
}

#[test]
fn never_gives_no_message() {
    let receiver = never::<u32>();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    assert_eq!((receiver.len(), receiver.is_empty(), receiver.is_full()), (0, true, true));
    assert_eq!(receiver.capacity(), Some(0));
}

#[test]
fn clones_are_the_same_channel() {
    let (one, other) = (after(LONG), after(LONG));
    assert!(one.same_channel(&one.clone()) && !one.same_channel(&other));
    assert!(never::<u32>().same_channel(&never()));
    assert!(!one.same_channel(&never()));
    let (sender, receiver) = unbounded::<Instant>();
    assert!(sender.same_channel(&sender.clone()) && receiver.same_channel(&receiver.clone()));
    assert!(!receiver.same_channel(&one) && !receiver.same_channel(&unbounded().1));
    // A message that one clone takes is not there for the others.
    let due = after(Duration::ZERO);
    assert!(due.clone().try_recv().is_ok() && due.try_recv().is_err());
}

#[test]
fn a_select_waits_for_the_first_of_its_clocks() {
    let (_sender, receiver) = bounded::<u32>(0);
    select! {
        recv(receiver) -> _ => unreachable!(),
        recv(after(LONG)) -> _ => unreachable!(),
        recv(after(SHORT)) -> when => assert!(when.unwrap() <= Instant::now()),
        recv(never::<u32>()) -> _ => unreachable!(),
        default(LONG) => unreachable!(),
    }
}

#[test]
fn a_clock_in_a_select_gives_its_message_when_the_operation_is_completed() {
    let when = Instant::now();
    let receiver = at(when);
    let mut select = Select::new();
    select.recv(&receiver);
    let operation = select.select();
    assert!(receiver.try_recv().is_err());
    assert_eq!(operation.recv(&receiver), Ok(when));
    assert!(select.try_ready().is_err());
    assert!(select.ready_timeout(SHORT).is_err());
}

#[test]
fn fibers_wait_for_clocks_side_by_side() {
    abaca::Runtime::builder().workers(1).build().unwrap().run(|| {
        let fibers: Vec<_> =
            (0..100).map(|n| abaca::spawn(move || after(SHORT * (n % 5)).recv().is_ok())).collect();
        let ticks = tick(SHORT);
        assert_eq!(ticks.iter().take(3).count(), 3);
        assert!(fibers.into_iter().all(|fiber| fiber.join().unwrap()));
    });
}
