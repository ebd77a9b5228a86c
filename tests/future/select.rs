//! A future or a message.

use std::time::Duration;

use abaca::channel::{self, after, never};
use abaca::future::{Either, select};
use abaca_tests::on_one_worker;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn the_future_comes_first_if_both_are_there() {
    let (sender, receiver) = channel::unbounded();
    sender.send(1).unwrap();
    assert_eq!(select(async { 2 }, &receiver), Either::Left(2));
    assert_eq!(receiver.try_recv(), Ok(1));
}

#[test]
fn a_late_message_or_future_ends_it_in_fibers_and_threads() {
    let check = || {
        let (sender, receiver) = channel::bounded(0);
        let thread = std::thread::spawn(move || sender.send(1));
        assert_eq!(select(std::future::pending::<()>(), &receiver), Either::Right(Ok(1)));
        thread.join().unwrap().unwrap();
        assert!(matches!(select(std::future::pending::<()>(), &receiver), Either::Right(Err(_))));
        let (sender, future) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || sender.send(2));
        assert_eq!(select(future, &never::<()>()), Either::Left(Ok(2)));
        thread.join().unwrap().unwrap();
    };
    check();
    on_one_worker(check);
}

#[test]
fn the_channel_of_a_clock_ends_it_in_time() {
    let check = || {
        let ended = select(std::future::pending::<()>(), &after(Duration::from_millis(1)));
        assert!(matches!(ended, Either::Right(Ok(_))));
        assert_eq!(select(async { 3 }, &after(LONG)), Either::Left(3));
    };
    check();
    on_one_worker(check);
}

#[test]
fn a_message_for_a_late_future_stays() {
    on_one_worker(|| {
        let (sender, receiver) = channel::bounded(1);
        let (done, future) = tokio::sync::oneshot::channel();
        let theirs = receiver.clone();
        let fiber = abaca_tests::begun(move || select(future, &theirs));
        // Both come before the fiber runs again, and the future is asked first.
        sender.send(5).unwrap();
        done.send(6).unwrap();
        assert_eq!(fiber.join().unwrap(), Either::Left(Ok(6)));
        assert_eq!(receiver.try_recv(), Ok(5));
    });
}
