//! The setting by which spans of the crate `tracing` belong to fibers. `scheduler/spans.rs` does it.

use super::Builder;

impl Builder {
    /// Sets whether spans of the crate `tracing`, and its default subscribers, belong to the fiber that has entered or set them, as they
    /// belong to a thread of std's. Default: no. With the feature `tracing`.
    ///
    /// A subscriber keeps the spans that are entered in a thread-local, which the fibers of a worker share. So without this, a span that
    /// is held over a wait is seen by the worker's other fibers. With it, a fiber leaves its spans when it parks, and enters them again
    /// when it goes on:
    ///
    /// * A subscriber is told of each, as with a future in `Instrument`: its busy time is what the fiber ran, its idle time what it waited.
    ///   `FmtSpan::ENTER` writes a line for each wait.
    /// * It works with any subscriber that tells the current span, as tracing-subscriber's `Registry` and all that is built on it do. Its
    ///   code runs as in [`around_park`](Self::around_park): it must not wait for a fiber.
    /// * A default that a fiber sets (`with_default`, `set_default`) is its own. Others have that of the worker's thread, which is the
    ///   global one.
    /// * A new fiber, and a call in the [`blocking`](crate::blocking) pool, have no span, as a new thread has none. To give it one, move
    ///   `Span::current()` into it, and call `in_scope`.
    /// * What a fiber has entered and never left, it leaves at its end.
    ///
    /// It costs each park a question to the subscriber, and for each span that is entered what the subscriber makes of leaving and entering it. It
    /// does nothing where fibers have thread-local storage of their own (`own_tls`), since there spans follow their fibers anyway.
    ///
    /// ```
    /// use tracing::{Span, info_span};
    ///
    /// tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    /// let runtime = abaca::Runtime::builder().workers(1).carry_spans(true).build().unwrap();
    /// runtime.run(|| {
    ///     let request = abaca::spawn(|| {
    ///         let span = info_span!("request").entered();
    ///         abaca::yield_now();
    ///         assert_eq!(Span::current(), *span);
    ///     });
    ///     abaca::yield_now();
    ///     assert!(Span::current().is_none());
    ///     request.join().unwrap();
    /// });
    /// ```
    pub fn carry_spans(mut self, carry: bool) -> Self {
        self.hooks.carry_spans = carry;
        self
    }
}
