//! The payload of a fiber for which there was no stack.

use std::any::Any;
use std::io;
use std::thread;

/// The payload of a fiber for which there was no stack. Its joiner gets the [`io::Error`] alone. The runtime recognises the payload
/// by this private type, since a user may `panic_any` with an `io::Error` as well.
pub(crate) struct NoStack(io::Error);

impl NoStack {
    /// The payload with which the unstarted fiber is aborted.
    pub(crate) fn payload(error: io::Error) -> Box<dyn Any + Send> {
        Box::new(Self(error))
    }

    /// `Err` with the reason if the fiber had no stack, else `Ok(result)`.
    pub(crate) fn of<T>(result: thread::Result<T>) -> Result<thread::Result<T>, io::Error> {
        match result {
            Err(payload) => match payload.downcast::<Self>() {
                Ok(no_stack) => Err(no_stack.0),
                Err(payload) => Ok(Err(payload)),
            },
            Ok(value) => Ok(Ok(value)),
        }
    }

    /// The result for the joiner.
    #[inline]
    pub(crate) fn unveil<T>(result: thread::Result<T>) -> thread::Result<T> {
        result.map_err(unveil)
    }
}

#[cold]
fn unveil(payload: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
    match payload.downcast::<NoStack>() {
        Ok(no_stack) => Box::new(no_stack.0),
        Err(payload) => payload,
    }
}
