//! Why a promise was rejected: one open error type, as Lwt's promises are rejected with any exception.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

type Dynamic = dyn std::error::Error + Send + Sync + 'static;

/// What a [`Promise`](super::Promise) is rejected with: any error, shared by all who read it.
///
/// Every `std::error::Error` that is `Send + Sync` converts into it, so `?` works in callbacks, and it dereferences to
/// the error. It is not an `Error` itself: that is what makes the conversion from all of them possible.
///
/// ```
/// use abaca::promise::Error;
///
/// fn parse(text: &str) -> Result<u32, Error> {
///     Ok(text.parse()?)
/// }
/// let error = parse("many").unwrap_err();
/// assert!(error.is::<std::num::ParseIntError>());
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// assert_eq!(Error::message("no such user").to_string(), "no such user");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Dynamic>);

/// The promise was cancelled; see [`Promise::cancel`](super::Promise::cancel).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Canceled;

/// The promise can no longer be resolved: its [`Resolver`](super::Resolver) was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken;

/// The code that was to resolve the promise panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Panicked {
    /// What the panic said; empty if that was not text.
    pub message: String,
}

/// An error that is nothing but its text.
#[derive(Debug)]
struct Message(String);

impl Error {
    /// An error that is nothing but a text.
    #[must_use]
    pub fn message(text: impl Into<String>) -> Self {
        Message(text.into()).into()
    }

    /// Whether it is an `E`.
    #[must_use]
    pub fn is<E: std::error::Error + 'static>(&self) -> bool {
        self.0.is::<E>()
    }

    /// The error, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }

    /// Whether it is [`Canceled`].
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.is::<Canceled>()
    }

    /// Whether it is [`Broken`].
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is::<Broken>()
    }

    /// What to reject a promise with when the code that was to resolve it unwound with `payload`.
    pub(super) fn of_panic(payload: &(dyn Any + Send)) -> Self {
        if crate::cancel::Cancelled::is_own(payload) {
            return Canceled.into();
        }
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Panicked { message: text.unwrap_or_default().into() }.into()
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Arc::new(error))
    }
}

impl From<Error> for Box<Dynamic> {
    fn from(error: Error) -> Self {
        /// The shared error as one that a box can own.
        struct Shared(Error);
        impl fmt::Debug for Shared {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Display for Shared {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl std::error::Error for Shared {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.0.0.source()
            }
        }
        Box::new(Shared(error))
    }
}

impl Deref for Error {
    type Target = Dynamic;

    fn deref(&self) -> &Dynamic {
        &*self.0
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Canceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the promise was cancelled")
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the promise was dropped by whoever was to resolve it")
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Canceled {}
impl std::error::Error for Broken {}
impl std::error::Error for Panicked {}
impl std::error::Error for Message {}
