//! The payload of a task that could not be started.

use std::any::Any;
use std::io;
use std::thread;

/// No stack was to be had for the task. Whoever joins it gets the [`io::Error`] alone; the runtime, which must not take a user's
/// `panic_any` of such an error for it, tells it by this type, which is nobody else's.
pub(crate) struct NoStack(io::Error);

impl NoStack {
    /// The payload with which the task is refused.
    pub(crate) fn payload(error: io::Error) -> Box<dyn Any + Send> {
        Box::new(Self(error))
    }

    /// The reason, if it is why `result` is none.
    pub(crate) fn of<T>(result: thread::Result<T>) -> Result<thread::Result<T>, io::Error> {
        match result {
            Err(payload) => match payload.downcast::<Self>() {
                Ok(no_stack) => Err(no_stack.0),
                Err(payload) => Ok(Err(payload)),
            },
            Ok(value) => Ok(Ok(value)),
        }
    }

    /// `result` as its joiner gets it.
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
