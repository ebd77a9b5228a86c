//! `Select`: its interface, and its panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use abaca::channel::{
    ReadyTimeoutError, RecvError, Select, SelectTimeoutError, SendError, TryReadyError, TrySelectError,
    bounded, never, unbounded,
};

const SHORT: Duration = Duration::from_millis(1);

/// The message of the panic of `body`.
fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(body)) else { panic!("no panic") };
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string)).expect("text")
}

#[test]
fn an_index_counts_the_operations_added_before_and_survives_removals() {
    let (sender, receiver) = bounded(1);
    let (_other_sender, other) = bounded::<u32>(1);
    let mut select = Select::new();
    assert_eq!([select.recv(&other), select.recv(&receiver), select.send(&sender)], [0, 1, 2]);
    select.remove(0);
    assert_eq!(select.try_ready(), Ok(2));
    let operation = select.select();
    assert_eq!(operation.index(), 2);
    operation.send(&sender, 7_u32).unwrap();
    let operation = select.select();
    assert_eq!(operation.index(), 1);
    assert_eq!(operation.recv(&receiver), Ok(7));
    assert_eq!(select.recv(&other), 3);
}

#[test]
fn each_call_fails_in_its_own_way_when_nothing_is_ready() {
    let (sender, receiver) = bounded::<u32>(0);
    let mut select = Select::new();
    select.send(&sender);
    select.recv(&receiver);
    assert_eq!(select.try_select().err(), Some(TrySelectError));
    assert_eq!(select.select_timeout(SHORT).err(), Some(SelectTimeoutError));
    assert_eq!(select.select_deadline(Instant::now()).err(), Some(SelectTimeoutError));
    assert_eq!(select.try_ready(), Err(TryReadyError));
    assert_eq!(select.ready_timeout(SHORT), Err(ReadyTimeoutError));
    assert_eq!(select.ready_deadline(Instant::now()), Err(ReadyTimeoutError));
    assert_eq!(Select::new().try_select().err(), Some(TrySelectError));
    assert_eq!(Select::new().select_timeout(SHORT).err(), Some(SelectTimeoutError));
}

#[test]
fn a_disconnected_operation_is_ready() {
    let (sender, receiver) = bounded::<u32>(0);
    let (lonely, gone) = bounded::<u32>(0);
    drop((sender, gone));
    let mut select = Select::new_biased();
    select.recv(&receiver);
    assert_eq!(select.select().recv(&receiver), Err(RecvError));
    let mut select = Select::new();
    select.send(&lonely);
    assert_eq!(select.ready(), 0);
    assert_eq!(select.try_select().unwrap().send(&lonely, 3), Err(SendError(3)));
}

#[test]
fn a_selected_message_belongs_to_its_operation() {
    let (sender, receiver) = unbounded();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    let mut select = Select::new();
    select.recv(&receiver);
    let operation = select.select();
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(operation.recv(&receiver), Ok(1));
}

#[test]
fn a_selected_send_keeps_its_slot() {
    let (sender, receiver) = bounded(1);
    let mut select = Select::new();
    select.send(&sender);
    let operation = select.select();
    assert!(sender.try_send(1).unwrap_err().is_full() && sender.is_full() && receiver.is_empty());
    operation.send(&sender, 2).unwrap();
    assert_eq!((receiver.try_recv(), sender.try_send(3)), (Ok(2), Ok(())));
}

#[test]
fn a_selected_send_whose_receivers_leave_fails_with_the_message() {
    let (sender, receiver) = bounded(1);
    let mut select = Select::new();
    select.send(&sender);
    let operation = select.select();
    drop(receiver);
    assert_eq!(operation.send(&sender, 2), Err(SendError(2)));
}

#[test]
fn misuse_panics() {
    let (sender, receiver) = unbounded::<u32>();
    let (other_sender, other) = unbounded::<u32>();
    sender.send(1).unwrap();
    assert!(panic_of(|| Select::new().select()).contains("no operations"));
    assert!(panic_of(|| Select::new().ready()).contains("no operations"));
    assert!(panic_of(|| Select::new().remove(0)).contains("index out of bounds"));
    let mut select = Select::new();
    let index = select.recv(&receiver);
    assert!(panic_of(|| select.select().recv(&other)).contains("a receiver that wasn't selected"));
    sender.send(2).unwrap();
    assert!(panic_of(|| drop(select.select())).contains("without completing"));
    select.remove(index);
    assert!(panic_of(|| select.remove(index)).contains("no operation with this index"));
    select.send(&sender);
    assert!(panic_of(|| select.select().send(&other_sender, 3)).contains("a sender that wasn't selected"));
}

#[test]
fn an_abandoned_send_frees_its_slot() {
    let (sender, receiver) = bounded(1);
    let mut select = Select::new();
    select.send(&sender);
    panic_of(|| drop(select.select()));
    sender.try_send(1).unwrap();
    assert_eq!(receiver.recv(), Ok(1));
    // While the thread already unwinds there is no second panic.
    let said = panic_of(|| {
        let _operation = select.select();
        panic!("first");
    });
    assert_eq!(said, "first");
    sender.try_send(2).unwrap();
}

#[test]
fn a_clone_is_an_independent_select() {
    let (sender, receiver) = unbounded();
    let mut select = Select::default();
    select.recv(&receiver);
    let mut clone = select.clone();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    let receiver = &receiver;
    std::thread::scope(|scope| {
        scope.spawn(move || assert_eq!(clone.select().recv(receiver), Ok(1))).join().unwrap();
    });
    assert_eq!(select.select().recv(receiver), Ok(2));
}

#[test]
fn ready_does_not_begin_the_operation() {
    for capacity in [0, 1] {
        let (sender, receiver) = bounded(capacity);
        let never = never::<u32>();
        std::thread::scope(|scope| {
            scope.spawn(|| sender.send(1).unwrap());
            let mut select = Select::new();
            select.recv(&never);
            let index = select.recv(&receiver);
            assert_eq!((select.ready(), select.ready()), (index, index));
            assert_eq!(receiver.try_recv(), Ok(1));
        });
    }
}

#[test]
fn ready_returns_when_a_slot_becomes_free() {
    for capacity in [0, 1] {
        let (sender, receiver) = bounded(capacity);
        if capacity == 1 {
            sender.send(1).unwrap();
        }
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                assert_eq!(receiver.recv(), Ok(1));
            });
            let mut select = Select::new();
            select.send(&sender);
            assert!(select.try_ready().is_err());
            start.wait();
            assert_eq!(select.ready(), 0);
            if capacity == 0 {
                sender.send(1).unwrap();
            }
        });
    }
}

#[test]
fn ready_returns_when_the_other_side_leaves() {
    let (sender, receiver) = bounded::<u32>(0);
    std::thread::scope(|scope| {
        scope.spawn(move || drop(sender));
        let mut select = Select::new();
        select.recv(&receiver);
        assert_eq!(select.ready(), 0);
    });
}

#[test]
fn a_select_does_not_meet_itself() {
    let (sender, receiver) = bounded::<u32>(0);
    let mut select = Select::new();
    select.send(&sender);
    select.recv(&receiver);
    assert!(select.select_timeout(SHORT).is_err());
}

#[test]
fn every_operation_of_a_long_list_is_selected() {
    let channels: Vec<_> = (0..100).map(|_| bounded(0)).collect();
    std::thread::scope(|scope| {
        for (n, (sender, _)) in channels.iter().enumerate() {
            let channels = &channels;
            if n % 25 == 0 {
                scope.spawn(move || channels[n..n + 25].iter().for_each(|_| sender.send(n).unwrap()));
            }
        }
        let mut select = Select::new();
        channels.iter().for_each(|(_, receiver)| {
            select.recv(receiver);
        });
        for _ in 0..100 {
            let operation = select.select();
            let index = operation.index();
            assert_eq!(operation.recv(&channels[index].1), Ok(index));
        }
    });
}

#[test]
fn the_types_have_crossbeams_auto_traits() {
    fn crosses<T: Send + Sync>() {}
    crosses::<abaca::channel::Sender<std::cell::Cell<u8>>>();
    crosses::<abaca::channel::Receiver<std::cell::Cell<u8>>>();
    crosses::<Select<'static>>();
    crosses::<abaca::channel::oneshot::Receiver<std::cell::Cell<u8>>>();
    crosses::<abaca::channel::broadcast::Sender<u8>>();
    crosses::<abaca::channel::watch::Sender<u8>>();
}
