//! Channels from many senders to one receiver: std's, for fibers and threads alike. Mirrors [`std::sync::mpsc`].
//!
//! They are the channels of [`abaca::channel`](crate::channel) under std's names, types and errors.
//!
//! ```
//! use abaca::sync::mpsc;
//!
//! # abaca::run(|| {
//! let (sender, receiver) = mpsc::channel();
//! for number in 0..3 {
//!     let sender = sender.clone();
//!     abaca::spawn(move || sender.send(number).unwrap());
//! }
//! drop(sender);
//! assert_eq!(receiver.iter().sum::<i32>(), 3);
//! # });
//! ```

pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

pub use crate::channel::mpsc::{
    IntoIter, Iter, Receiver, Sender, SyncSender, TryIter, channel, sync_channel,
};
