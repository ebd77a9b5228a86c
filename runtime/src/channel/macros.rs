//! `select!` and `select_biased!`.
//!
//! One pass over the input collects the cases. Hygiene gives each case two variables of its own: the case and the result
//! of its operation. The bodies run last, when the select has been dropped, so that they may move what it borrowed.

/// Waits for the first of several channel operations, and runs its body.
///
/// | case | operation |
/// |---|---|
/// | `recv(receiver) -> message => body` | receives; `message` is the result of [`recv`](crate::channel::Receiver::recv) |
/// | `send(sender, value) -> result => body` | sends; `result` is the result of [`send`](crate::channel::Sender::send) |
/// | `default => body` | at most once: runs if no operation is ready |
/// | `default(timeout) => body` | at most once: runs if none became ready within this [duration](std::time::Duration) |
///
/// An operation is ready when it would not wait, also if it would fail because the channel is disconnected. If several are
/// ready, a random one is selected; [`select_biased!`](crate::select_biased) selects the first.
///
/// `message` and `result` are patterns. A `value` is evaluated only when its case has been selected.
///
/// `select!` neither allocates nor starts a fiber for its cases. It takes up to fifty cases; for more, or for a number that
/// is known only at run time, use [`Select`](crate::channel::Select).
///
/// The syntax is crossbeam's, and not tokio's `pattern = future => body`: cases are channel operations. For a future and a
/// channel use [`future::select`](crate::future::select).
///
/// # Examples
///
/// ```
/// use abaca::channel::{after, select, unbounded};
/// use std::time::Duration;
///
/// let (jobs, work) = unbounded();
/// let (stop, stopped) = unbounded::<()>();
/// jobs.send(1).unwrap();
///
/// let idle = after(Duration::from_secs(10));
/// loop {
///     select! {
///         recv(work) -> job => {
///             println!("job {}", job.unwrap());
///             stop.send(()).unwrap();
///         }
///         recv(stopped) -> _ => break,
///         recv(idle) -> _ => panic!("no job came"),
///     }
/// }
///
/// select! {
///     recv(work) -> job => panic!("{job:?}"),
///     default => {}
/// }
/// ```
///
/// A sending case:
///
/// ```
/// use abaca::channel::{bounded, select};
///
/// let (requests, incoming) = bounded(0);
/// let (answers, outgoing) = bounded::<&str>(1);
/// std::thread::spawn(move || requests.send("question").unwrap());
/// select! {
///     recv(incoming) -> request => assert_eq!(request, Ok("question")),
///     send(answers, "answer") -> result => {
///         result.unwrap();
///         assert_eq!(outgoing.recv(), Ok("answer"));
///     }
/// }
/// ```
///
/// In any edition:
///
/// ```edition2021
/// let (sender, receiver) = abaca::channel::bounded(1);
/// abaca::select! {
///     send(sender, 1) -> result => result.unwrap(),
///     recv(receiver) -> _ => unreachable!(),
/// }
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => {
        $crate::__select_cases! { (false) () () (0usize) $($tokens)* }
    };
}

/// Like [`select!`](crate::select), but if several operations are ready, the first one in the list is selected.
///
/// # Examples
///
/// ```
/// use abaca::channel::{select_biased, unbounded};
///
/// let (urgent, first) = unbounded();
/// let (casual, second) = unbounded();
/// casual.send(2).unwrap();
/// urgent.send(1).unwrap();
/// select_biased! {
///     recv(first) -> message => assert_eq!(message, Ok(1)),
///     recv(second) -> _ => unreachable!(),
/// }
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($tokens:tt)*) => {
        $crate::__select_cases! { (true) () () (0usize) $($tokens)* }
    };
}

/// `(is_biased) (cases so far) (default) (index of the next case) rest of the input`.
#[doc(hidden)]
#[macro_export]
macro_rules! __select_cases {
    ($biased:tt () () $index:tt) => {
        ::core::compile_error!("empty `select!` block")
    };
    ($biased:tt $cases:tt $default:tt $index:tt) => {
        $crate::__select_run! { $biased $cases $default }
    };

    // Receive cases: a body ends with its block, with a comma, or with the input.
    ($biased:tt ($($cases:tt)*) $default:tt $index:tt
        recv($receiver:expr $(,)?) -> $message:pat => $body:block, $($rest:tt)*) => {
        $crate::__select_cases! { $biased
            ($($cases)* (case result $index recv ($receiver) () ($message) ($body))) $default (1usize + $index) $($rest)* }
    };
    ($biased:tt ($($cases:tt)*) $default:tt $index:tt
        recv($receiver:expr $(,)?) -> $message:pat => $body:block $($rest:tt)*) => {
        $crate::__select_cases! { $biased
            ($($cases)* (case result $index recv ($receiver) () ($message) ($body))) $default (1usize + $index) $($rest)* }
    };
    ($biased:tt ($($cases:tt)*) $default:tt $index:tt
        recv($receiver:expr $(,)?) -> $message:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select_cases! { $biased
            ($($cases)* (case result $index recv ($receiver) () ($message) ($body))) $default (1usize + $index) $($($rest)*)? }
    };

    // Send cases, likewise.
    ($biased:tt ($($cases:tt)*) $default:tt $index:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $body:block, $($rest:tt)*) => {
        $crate::__select_cases! { $biased
            ($($cases)* (case result $index send ($sender) ($value) ($result) ($body))) $default (1usize + $index) $($rest)* }
    };
    ($biased:tt ($($cases:tt)*) $default:tt $index:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $body:block $($rest:tt)*) => {
        $crate::__select_cases! { $biased
            ($($cases)* (case result $index send ($sender) ($value) ($result) ($body))) $default (1usize + $index) $($rest)* }
    };
    ($biased:tt ($($cases:tt)*) $default:tt $index:tt
        send($sender:expr, $value:expr $(,)?) -> $result:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select_cases! { $biased
            ($($cases)* (case result $index send ($sender) ($value) ($result) ($body))) $default (1usize + $index) $($($rest)*)? }
    };

    // The default case, likewise.
    ($biased:tt $cases:tt () $index:tt default $(($($timeout:expr)? $(,)?))? => $body:block, $($rest:tt)*) => {
        $crate::__select_cases! { $biased $cases (($($($timeout)?)?) ($body)) $index $($rest)* }
    };
    ($biased:tt $cases:tt () $index:tt default $(($($timeout:expr)? $(,)?))? => $body:block $($rest:tt)*) => {
        $crate::__select_cases! { $biased $cases (($($($timeout)?)?) ($body)) $index $($rest)* }
    };
    ($biased:tt $cases:tt () $index:tt
        default $(($($timeout:expr)? $(,)?))? => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select_cases! { $biased $cases (($($($timeout)?)?) ($body)) $index $($($rest)*)? }
    };

    // Syntax errors.
    ($biased:tt $cases:tt ($($default:tt)+) $index:tt default $($rest:tt)*) => {
        ::core::compile_error!("there can be only one `default` case in a `select!` block")
    };
    ($biased:tt $cases:tt $default:tt $index:tt recv $($rest:tt)*) => {
        ::core::compile_error!("expected `recv(receiver) -> message => body,`")
    };
    ($biased:tt $cases:tt $default:tt $index:tt send $($rest:tt)*) => {
        ::core::compile_error!("expected `send(sender, value) -> result => body,`")
    };
    ($biased:tt $cases:tt $default:tt $index:tt default $($rest:tt)*) => {
        ::core::compile_error!("expected `default => body,` or `default(timeout) => body,`")
    };
    ($biased:tt $cases:tt $default:tt $index:tt else $($rest:tt)*) => {
        ::core::compile_error!("`select!` has no `else`: write `default => body`, which runs if no operation is ready")
    };
    ($biased:tt $cases:tt $default:tt $index:tt biased; $($rest:tt)*) => {
        ::core::compile_error!("`select!` has no `biased;`: use `select_biased!`")
    };
    // tokio's syntax. The error is the unsatisfied bound, since it points at `$future`, as no `compile_error!` can.
    ($biased:tt $cases:tt $default:tt $index:tt $pattern:pat = $future:expr $(, if $condition:expr)? => $($rest:tt)*) => {{
        #[diagnostic::on_unimplemented(
            message = "a case of `select!` is a channel operation, and not `pattern = future => body`",
            label = "write `recv(receiver) -> message => body` or `send(sender, value) -> result => body`",
            note = "for a limit of time, write `recv(after(duration)) -> _ => body` or `default(duration) => body`",
            note = "a future and a channel can be waited for with `abaca::future::select`"
        )]
        trait ChannelOperation {}
        fn channel_operation(_: impl ChannelOperation) {}
        channel_operation($future);
        ::core::unreachable!()
    }};
    ($biased:tt $cases:tt $default:tt $index:tt $($rest:tt)*) => {
        ::core::compile_error!("expected one of `recv`, `send` or `default`")
    };
}

/// `(is_biased) (cases) (default)`: declares the results, selects, completes, and then runs a body.
#[doc(hidden)]
#[macro_export]
macro_rules! __select_run {
    ($biased:tt ($(($case:ident $result:ident $index:tt $operation:ident ($end:expr) $value:tt $pattern:tt $body:tt))*)
        $default:tt) => {{
        $(let mut $result = ::core::option::Option::None;)*
        match ($(&$end,)*) {
            ($($case,)*) => {
                $(let $case = $crate::__select_case!($operation $case);)*
                let _selected = $crate::__select_wait! {
                    $biased [$($crate::channel::internal::AnyCase::from(&$case)),*] $default
                };
                $(if _selected == ::core::option::Option::Some($index) {
                    $result = ::core::option::Option::Some($crate::__select_complete!($operation $case $value));
                })*
            }
        }
        $crate::__select_bodies! { ($(($result $pattern $body))*) $default }
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select_case {
    (recv $end:ident) => {
        $crate::channel::internal::receive($end)
    };
    (send $end:ident) => {
        $crate::channel::internal::send($end)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select_wait {
    (($biased:tt) $cases:tt ()) => {
        $crate::channel::internal::wait($cases, $biased)
    };
    (($biased:tt) $cases:tt (() $body:tt)) => {
        $crate::channel::internal::try_select($cases, $biased)
    };
    (($biased:tt) $cases:tt (($timeout:expr) $body:tt)) => {
        $crate::channel::internal::wait_timeout($cases, $biased, $timeout)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select_complete {
    (recv $case:ident ()) => {
        $case.received()
    };
    (send $case:ident ($value:expr)) => {
        $case.sent($value)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select_bodies {
    (() ()) => {
        ::core::unreachable!("one of the cases is selected")
    };
    (() ($timeout:tt ($body:expr))) => {
        $body
    };
    ((($result:ident ($pattern:pat) ($body:expr)) $($rest:tt)*) $default:tt) => {
        if let ::core::option::Option::Some(result) = $result {
            let $pattern = result;
            $body
        } else {
            $crate::__select_bodies! { ($($rest)*) $default }
        }
    };
}
