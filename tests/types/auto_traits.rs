//! `Send`, `Sync`, `Unpin`, `UnwindSafe` and `RefUnwindSafe` of what mirrors something, with values of every kind.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

/// The answer of a type that is not told otherwise below.
trait Not {
    const IS: bool = false;
}

impl<T: ?Sized> Not for T {}

/// A type that says of its parameter whether it implements the trait: what an `impl` says itself comes before a trait's word.
macro_rules! probes {
    ($($probe:ident: $trait:path;)*) => {$(
        struct $probe<T: ?Sized>(PhantomData<T>);

        impl<T: ?Sized + $trait> $probe<T> {
            const IS: bool = true;
        }
    )*};
}

probes! {
    IsSend: Send;
    IsSync: Sync;
    IsUnpin: Unpin;
    IsUnwindSafe: UnwindSafe;
    IsRefUnwindSafe: RefUnwindSafe;
}

macro_rules! all {
    ($t:ty) => {
        [
            ("Send", <IsSend<$t>>::IS),
            ("Sync", <IsSync<$t>>::IS),
            ("Unpin", <IsUnpin<$t>>::IS),
            ("UnwindSafe", <IsUnwindSafe<$t>>::IS),
            ("RefUnwindSafe", <IsRefUnwindSafe<$t>>::IS),
        ]
    };
}

/// Ours and theirs, without parameters.
macro_rules! alike {
    ($($ours:ty as $theirs:ty;)*) => {{
        let mut different = Vec::new();
        $(compare(&mut different, stringify!($ours), "", all!($ours), all!($theirs));)*
        different
    }};
}

/// Ours and theirs, for values that can be sent and shared, sent, shared, or neither.
macro_rules! alike_for_all {
    ($($T:ident: $ours:ty as $theirs:ty;)*) => {{
        let mut different = Vec::new();
        $(
            alike_for_all!(@one different, $T, $ours, $theirs, u8);
            alike_for_all!(@one different, $T, $ours, $theirs, Cell<u8>);
            alike_for_all!(@one different, $T, $ours, $theirs, std::sync::MutexGuard<'static, u8>);
            alike_for_all!(@one different, $T, $ours, $theirs, Rc<Cell<u8>>);
            alike_for_all!(@one different, $T, $ours, $theirs, &'static mut u8);
            alike_for_all!(@one different, $T, $ours, $theirs, std::marker::PhantomPinned);
        )*
        different
    }};
    (@one $different:ident, $T:ident, $ours:ty, $theirs:ty, $value:ty) => {{
        type $T = $value;
        compare(&mut $different, stringify!($ours), stringify!($value), all!($ours), all!($theirs));
    }};
}

type Traits = [(&'static str, bool); 5];

/// Notes where they differ. To implement `UnwindSafe` or `Unpin` where another does not lets more programs compile.
fn compare(different: &mut Vec<String>, name: &str, value: &str, ours: Traits, theirs: Traits) {
    for ((what, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
        let is_lenient = ours && !matches!(what, "Send" | "Sync");
        if ours != theirs && !is_lenient {
            different.push(format!("{name} of {value}: {what} {ours}, theirs {theirs}"));
        }
    }
}

fn none(different: Vec<String>) {
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn locks_are_as_stds() {
    none(alike_for_all! {
        T: abaca::sync::Mutex<T> as std::sync::Mutex<T>;
        T: abaca::sync::MutexGuard<'static, T> as std::sync::MutexGuard<'static, T>;
        T: abaca::sync::RwLock<T> as std::sync::RwLock<T>;
        T: abaca::sync::RwLockReadGuard<'static, T> as std::sync::RwLockReadGuard<'static, T>;
        T: abaca::sync::RwLockWriteGuard<'static, T> as std::sync::RwLockWriteGuard<'static, T>;
        T: abaca::sync::OnceLock<T> as std::sync::OnceLock<T>;
        T: abaca::sync::LazyLock<T> as std::sync::LazyLock<T>;
        T: abaca::sync::LazyLock<u8, T> as std::sync::LazyLock<u8, T>;
    });
    none(alike! {
        abaca::sync::Condvar as std::sync::Condvar;
        abaca::sync::WaitTimeoutResult as std::sync::WaitTimeoutResult;
        abaca::sync::Barrier as std::sync::Barrier;
        abaca::sync::BarrierWaitResult as std::sync::BarrierWaitResult;
        abaca::sync::Once as std::sync::Once;
        abaca::sync::OnceState as std::sync::OnceState;
        abaca::sync::WaitGroup as crossbeam_utils::sync::WaitGroup;
    });
}

/// std's are not stable; in its source they are as these, but that the ones that write are not `UnwindSafe`.
#[test]
fn mapped_guards_are_as_the_guards_they_come_from() {
    let mut different = alike_for_all! {
        T: abaca::sync::MappedMutexGuard<'static, T> as abaca::sync::MutexGuard<'static, T>;
        T: abaca::sync::MappedRwLockReadGuard<'static, T> as abaca::sync::RwLockReadGuard<'static, T>;
        T: abaca::sync::MappedRwLockWriteGuard<'static, T> as abaca::sync::RwLockWriteGuard<'static, T>;
    };
    different.retain(|difference| !difference.contains("UnwindSafe"));
    none(different);
}

#[test]
fn channels_are_as_stds_crossbeams_and_tokios() {
    none(alike_for_all! {
        T: abaca::sync::mpsc::Sender<T> as std::sync::mpsc::Sender<T>;
        T: abaca::sync::mpsc::SyncSender<T> as std::sync::mpsc::SyncSender<T>;
        T: abaca::sync::mpsc::Receiver<T> as std::sync::mpsc::Receiver<T>;
        T: abaca::sync::mpsc::Iter<'static, T> as std::sync::mpsc::Iter<'static, T>;
        T: abaca::sync::mpsc::TryIter<'static, T> as std::sync::mpsc::TryIter<'static, T>;
        T: abaca::sync::mpsc::IntoIter<T> as std::sync::mpsc::IntoIter<T>;
        T: abaca::channel::Sender<T> as crossbeam_channel::Sender<T>;
        T: abaca::channel::Receiver<T> as crossbeam_channel::Receiver<T>;
        T: abaca::channel::Iter<'static, T> as crossbeam_channel::Iter<'static, T>;
        T: abaca::channel::TryIter<'static, T> as crossbeam_channel::TryIter<'static, T>;
        T: abaca::channel::IntoIter<T> as crossbeam_channel::IntoIter<T>;
        T: abaca::channel::SendError<T> as crossbeam_channel::SendError<T>;
        T: abaca::channel::TrySendError<T> as crossbeam_channel::TrySendError<T>;
        T: abaca::channel::SendTimeoutError<T> as crossbeam_channel::SendTimeoutError<T>;
        T: abaca::channel::oneshot::Sender<T> as tokio::sync::oneshot::Sender<T>;
        T: abaca::channel::oneshot::Receiver<T> as tokio::sync::oneshot::Receiver<T>;
        T: abaca::channel::watch::Sender<T> as tokio::sync::watch::Sender<T>;
        T: abaca::channel::watch::Receiver<T> as tokio::sync::watch::Receiver<T>;
        T: abaca::channel::watch::Ref<'static, T> as tokio::sync::watch::Ref<'static, T>;
    });
    // Receivers share a message instead of cloning it one after the other, so it is to be `Sync`.
    none(alike! {
        abaca::channel::broadcast::Sender<u8> as tokio::sync::broadcast::Sender<u8>;
        abaca::channel::broadcast::Receiver<u8> as tokio::sync::broadcast::Receiver<u8>;
    });
    none(alike! {
        abaca::channel::Select<'static> as crossbeam_channel::Select<'static>;
        abaca::channel::SelectedOperation<'static> as crossbeam_channel::SelectedOperation<'static>;
        abaca::sync::Semaphore as tokio::sync::Semaphore;
        abaca::sync::SemaphorePermit<'static> as tokio::sync::SemaphorePermit<'static>;
        abaca::sync::OwnedSemaphorePermit as tokio::sync::OwnedSemaphorePermit;
        abaca::sync::Notify as tokio::sync::Notify;
    });
}

#[test]
fn fibers_are_as_stds_threads() {
    none(alike! {
        abaca::fiber::Thread as std::thread::Thread;
        abaca::fiber::ThreadId as std::thread::ThreadId;
        abaca::fiber::Builder as std::thread::Builder;
        abaca::fiber::AccessError as std::thread::AccessError;
        abaca::fiber::Scope<'static, 'static> as std::thread::Scope<'static, 'static>;
        abaca::fiber::JoinHandle<u8> as std::thread::JoinHandle<u8>;
        abaca::fiber::JoinHandle<Cell<u8>> as std::thread::JoinHandle<Cell<u8>>;
        abaca::fiber::ScopedJoinHandle<'static, u8> as std::thread::ScopedJoinHandle<'static, u8>;
        abaca::fiber::ScopedJoinHandle<'static, Cell<u8>> as std::thread::ScopedJoinHandle<'static, Cell<u8>>;
    });
    none(alike_for_all! {
        T: abaca::fiber::LocalKey<T> as std::thread::LocalKey<T>;
    });
    // `spawn_local` takes results that are not `Send`, which std's `spawn` does not: their handles stay.
    const { assert!(!<IsSend<abaca::JoinHandle<Rc<u8>>>>::IS) };
}

#[test]
fn streams_files_sockets_and_children_are_as_stds() {
    none(alike! {
        abaca::io::Stdin as std::io::Stdin;
        abaca::io::StdinLock<'static> as std::io::StdinLock<'static>;
        abaca::io::Stdout as std::io::Stdout;
        abaca::io::Stderr as std::io::Stderr;
        abaca::io::PipeReader as std::io::PipeReader;
        abaca::io::PipeWriter as std::io::PipeWriter;
        abaca::fs::File as std::fs::File;
        abaca::fs::OpenOptions as std::fs::OpenOptions;
        abaca::fs::ReadDir as std::fs::ReadDir;
        abaca::fs::DirEntry as std::fs::DirEntry;
        abaca::fs::DirBuilder as std::fs::DirBuilder;
        abaca::net::TcpStream as std::net::TcpStream;
        abaca::net::TcpListener as std::net::TcpListener;
        abaca::net::UdpSocket as std::net::UdpSocket;
        abaca::net::UnixStream as std::os::unix::net::UnixStream;
        abaca::net::UnixListener as std::os::unix::net::UnixListener;
        abaca::net::UnixDatagram as std::os::unix::net::UnixDatagram;
        abaca::net::Incoming<'static> as std::net::Incoming<'static>;
        abaca::process::Command as std::process::Command;
        abaca::process::Child as std::process::Child;
        abaca::process::ChildStdin as std::process::ChildStdin;
        abaca::process::ChildStdout as std::process::ChildStdout;
        abaca::process::ChildStderr as std::process::ChildStderr;
    });
    // They can be shared, which std's could in some releases: through a shared one nothing is written.
    for traits in [all!(abaca::io::StdoutLock<'static>), all!(abaca::io::StderrLock<'static>)] {
        assert_eq!(traits.map(|(_, is)| is), [false, true, true, true, true]);
    }
}
