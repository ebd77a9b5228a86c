//! Who may be used as one of a shorter lifetime: whatever std's, crossbeam's and tokio's may. That these compile is the test.
//!
//! What may *not* is in the documentation of this crate's library (`tests/lib.rs`).

use abaca::channel::{self, broadcast, oneshot, watch};
use abaca::coroutine::{CoroutineResult, Scoped};
use abaca::net::unix;
use abaca::sync::{self, mpsc};
use abaca::{fiber, io as abaca_io, net as abaca_net};

/// For each type, a function that takes one with a long lifetime for one with a short lifetime.
macro_rules! shortens {
    ($($name:ident: $t:ident $(:: $path:ident)* <$($kind:tt),+>;)*) => {
        $(shortens!(@one $name, [$t $(:: $path)*], [$($kind),+]);)*

        /// The types that are listed above.
        const LISTED: &[&str] = &[$(stringify!($name)),*];
    };
    (@one $name:ident, [$($t:tt)*], [life]) => {
        #[allow(dead_code, non_snake_case, reason = "compiled, not called")]
        fn $name<'short, 'long: 'short>(long: $($t)*<'long>) -> $($t)*<'short> { long }
    };
    (@one $name:ident, [$($t:tt)*], [life, T]) => {
        #[allow(dead_code, non_snake_case, reason = "compiled, not called")]
        fn $name<'short, 'long: 'short>(long: $($t)*<'long, &'long u8>) -> $($t)*<'short, &'short u8> { long }
    };
    (@one $name:ident, [$($t:tt)*], [life, same]) => {
        #[allow(dead_code, non_snake_case, reason = "compiled, not called")]
        fn $name<'short, 'long: 'short, T: 'long>(long: $($t)*<'long, T>) -> $($t)*<'short, T> { long }
    };
    (@one $name:ident, [$($t:tt)*], [T]) => {
        #[allow(dead_code, non_snake_case, reason = "compiled, not called")]
        fn $name<'short, 'long: 'short>(long: $($t)*<&'long u8>) -> $($t)*<&'short u8> { long }
    };
}

shortens! {
    MutexGuard: sync::MutexGuard<life, same>;
    RwLockReadGuard: sync::RwLockReadGuard<life, T>;
    RwLockWriteGuard: sync::RwLockWriteGuard<life, same>;
    MappedMutexGuard: sync::MappedMutexGuard<life, same>;
    MappedRwLockReadGuard: sync::MappedRwLockReadGuard<life, T>;
    MappedRwLockWriteGuard: sync::MappedRwLockWriteGuard<life, same>;
    SemaphorePermit: sync::SemaphorePermit<life>;
    WaitQueueGuard: abaca::park::WaitQueueGuard<life, same>;
    MpscIter: mpsc::Iter<life, same>;
    MpscTryIter: mpsc::TryIter<life, same>;
    Iter: channel::Iter<life, same>;
    TryIter: channel::TryIter<life, same>;
    Select: channel::Select<life>;
    SelectedOperation: channel::SelectedOperation<life>;
    RecvFuture: channel::RecvFuture<life, same>;
    SendFuture: channel::SendFuture<life, same>;
    Ref: watch::Ref<life, T>;
    SendError: channel::SendError<T>;
    TrySendError: channel::TrySendError<T>;
    SendTimeoutError: channel::SendTimeoutError<T>;
    BroadcastSendError: broadcast::error::SendError<T>;
    WatchSendError: watch::error::SendError<T>;
    StdinLock: abaca_io::StdinLock<life>;
    StdoutLock: abaca_io::StdoutLock<life>;
    StderrLock: abaca_io::StderrLock<life>;
    Incoming: abaca_net::Incoming<life>;
    WaitForCancellationFuture: abaca::cancel::WaitForCancellationFuture<life>;
    SocketAncillary: unix::SocketAncillary<life>;
    Messages: unix::Messages<life>;
    ScmRights: unix::ScmRights<life>;
    ScmCredentials: unix::ScmCredentials<life>;
    AncillaryData: unix::AncillaryData<life>;
    Release: abaca_asm::stack::Release<life>;
    ScopedJoinHandle: fiber::ScopedJoinHandle<life, same>;
    JoinHandle: fiber::JoinHandle<T>;
}

/// What is changed through shared references, and owned by whoever takes part, is of one type: as with std, crossbeam and tokio.
const INVARIANT: &[&str] = &[
    "Keyed",
    "Mutex",
    "WaitQueue",
    "RwLock",
    "OnceLock",
    "LazyLock",
    "LocalKey",
    "Scope",
    "TryScope",
    "Sender",
    "WeakSender",
    "SyncSender",
    "Receiver",
    "IntoIter",
    "Promise",
    "Resolver",
    "PromiseFuture",
    "JoinFuture",
    "JoinSet",
    "ActorRef",
    "Mailbox",
    "Reply",
    "Pollable",
    "Coroutine",
    "Generator",
    "Yielder",
    "Scoped",
];

/// Written out below; or only in the library's hands; or of `'static` values only.
const OTHERS: &[&str] = &[
    "Either",
    "Within",
    "CoroutineResult",
    "Case",
    "AnyCase",
    "End",
    "State",
    "Attempt",
    "Listeners",
    "Counted",
    "PerProcess",
];

#[allow(dead_code, reason = "compiled, not called")]
fn a_lent_coroutine<'short, 'long: 'short>(long: Scoped<'long, u8, u8, u8>) -> Scoped<'short, u8, u8, u8> {
    long
}

#[allow(dead_code, reason = "compiled, not called")]
fn either<'short>(
    long: abaca::future::Either<&'static u8, &'static u8>,
) -> abaca::future::Either<&'short u8, &'short u8> {
    long
}

#[allow(dead_code, reason = "compiled, not called")]
fn within<'short>(
    long: abaca::future::Within<&'static u8, &'static u8>,
) -> abaca::future::Within<&'short u8, &'short u8> {
    long
}

#[allow(dead_code, reason = "compiled, not called")]
fn what_a_coroutine_gives<'short>(
    long: CoroutineResult<&'static u8, &'static u8>,
) -> CoroutineResult<&'short u8, &'short u8> {
    long
}

#[allow(dead_code, reason = "compiled, not called")]
fn what_oneshots_return<'short>(
    receiver: oneshot::Receiver<&'static u8>,
) -> Result<&'short u8, oneshot::error::RecvError> {
    receiver.recv()
}

#[test]
fn every_public_type_with_a_parameter_is_listed() {
    let mut missing = Vec::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders = vec![root.join("runtime/src"), root.join("asm/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|line| !line.contains('$')) {
                let line = line.trim_start();
                let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
                let Some((name, _)) = rest.and_then(|rest| rest.split_once('<')) else { continue };
                let is_name = name.chars().all(char::is_alphanumeric);
                let lists = [LISTED, INVARIANT, OTHERS];
                if is_name && !lists.iter().any(|list| list.contains(&name)) {
                    missing.push(format!("{}: {name}", path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "say what may be shortened: {missing:#?}");
}
