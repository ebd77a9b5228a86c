//! How a hook is written. A file that uses these macros says `#![expect(unsafe_code, reason = "..")]`.

/// Functions of libc that park fibers, and the table of their addresses, `HOOKS`.
///
/// ```text
/// hooks! {
///     /// recv(2).
///     fn recv(fd: c_int, buffer: *mut c_void, bytes: size_t, flags: c_int) -> ssize_t, |within| -> kernel { .. }
///     /// pthread_mutex_lock(3).
///     fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int, |within| -> c { .. }
/// }
/// ```
///
/// The body runs on a fiber that may be parked, and may use what the caller of the C function has promised. Of a `kernel` body the
/// result is the kernel's, a negative error number for a failure: it becomes -1 and `errno`. Of a `c` body it is the function's.
/// A `return` in it returns such a result. Elsewhere libc's own function is called. `kernel_point` and `c_point` are the same for cancellation points: a thread that is a fiber,
/// and was cancelled, ends after the body. Elsewhere `kernel_point_of_threads` and `c_point_of_threads` call the function of the same name in
/// `threads/thread_waits.rs` instead of libc's. `c_wait` is one only where the body has waited, by `wait_at_point`. An `always` body has no `within`, and runs everywhere; `own!` is libc's function.
macro_rules! hooks {
    ($($(#[$attribute:meta])* fn $name:ident($($a:ident: $t:ty),* $(,)?) -> $r:ty, |$within:pat_param| -> $kind:ident $body:block)*) => {
        $(
            $(#[$attribute])*
            ///
            /// # Safety
            ///
            /// As libc's function of this name.
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C-unwind" fn $name($($a: $t),*) -> $r {
                $crate::hooks::hook_body!($kind $name($($a: $t),*) -> $r, $within, $body)
            }
        )*

        /// The hooks of this file.
        pub(crate) const HOOKS: &[$crate::table::Hook] = &[$($crate::table::Hook($name as *const (), stringify!($name))),*];
    };
}
pub(crate) use hooks;

macro_rules! hook_body {
    (kernel $name:ident($($a:ident: $t:ty),*) -> $r:ty, $within:pat_param, $body:block) => {{
        let Some(within) = $crate::enter::enter() else {
            // SAFETY: the caller's promise.
            return unsafe { $crate::own::own!(fn $name($($t),*) -> $r)($($a),*) };
        };
        let body = || -> isize {
            let $within = &within;
            $body
        };
        let result = body();
        drop(within);
        $crate::answer::answer(result) as $r
    }};
    (c $name:ident($($a:ident: $t:ty),*) -> $r:ty, $within:pat_param, $body:block) => {{
        let Some(within) = $crate::enter::enter() else {
            // SAFETY: the caller's promise.
            return unsafe { $crate::own::own!(fn $name($($t),*) -> $r)($($a),*) };
        };
        let $within = &within;
        $body
    }};
    (c_wait $name:ident($($a:ident: $t:ty),*) -> $r:ty, $within:pat_param, $body:block) => {{
        let Some(within) = $crate::enter::enter() else {
            // SAFETY: the caller's promise.
            return unsafe { $crate::own::own!(fn $name($($t),*) -> $r)($($a),*) };
        };
        let body = || -> $r {
            let $within = &within;
            $body
        };
        let result = body();
        let is_cancelled = $crate::threads::ends_with_hook();
        drop(within);
        if is_cancelled {
            $crate::threads::test_cancellation();
        }
        result
    }};
    (kernel_point $name:ident($($a:ident: $t:ty),*) -> $r:ty, $within:pat_param, $body:block) => {
        $crate::hooks::hook_body!(@kernel_point {
            $crate::own::own!(fn $name($($t),*) -> $r)($($a),*)
        } $r, $within, $body)
    };
    (kernel_point_of_threads $name:ident($($a:ident: $t:ty),*) -> $r:ty, $within:pat_param, $body:block) => {
        $crate::hooks::hook_body!(@kernel_point {
            $crate::threads::thread_waits::$name($($a),*)
        } $r, $within, $body)
    };
    (@kernel_point $elsewhere:block $r:ty, $within:pat_param, $body:block) => {{
        let Some(within) = $crate::enter::enter() else {
            // SAFETY: the caller's promise.
            return unsafe { $elsewhere };
        };
        let point = $crate::threads::CancellationPoint::of(&within);
        let result: isize = {
            let $within = &within;
            point.call(move || $body)
        };
        drop(within);
        point.test();
        $crate::answer::answer(result) as $r
    }};
    (c_point $name:ident($($a:ident: $t:ty),*) -> $r:ty, $within:pat_param, $body:block) => {
        $crate::hooks::hook_body!(@c_point {
            $crate::own::own!(fn $name($($t),*) -> $r)($($a),*)
        } $r, $within, $body)
    };
    (c_point_of_threads $name:ident($($a:ident: $t:ty),*) -> $r:ty, $within:pat_param, $body:block) => {
        $crate::hooks::hook_body!(@c_point {
            $crate::threads::thread_waits::$name($($a),*)
        } $r, $within, $body)
    };
    (@c_point $elsewhere:block $r:ty, $within:pat_param, $body:block) => {{
        let Some(within) = $crate::enter::enter() else {
            // SAFETY: the caller's promise.
            return unsafe { $elsewhere };
        };
        let point = $crate::threads::CancellationPoint::of(&within);
        let result: $r = {
            let $within = &within;
            point.call(move || $body)
        };
        drop(within);
        point.test();
        result
    }};
    (always $name:ident($($a:ident: $t:ty),*) -> $r:ty, $within:pat_param, $body:block) => {{
        let $within = ();
        $body
    }};
}
pub(crate) use hook_body;

/// Hooks under other names of libc's, which call the hook of the usual name: `fn __read = super::read::read(fd: c_int, ..) -> ssize_t;`
macro_rules! aliases {
    ($(fn $name:ident = $of:path: ($($a:ident: $t:ty),* $(,)?) -> $r:ty;)*) => {
        $crate::hooks::hooks! { $(
            /// Another name of a hook.
            fn $name($($a: $t),*) -> $r, |_| -> always {
                // SAFETY: the caller's promise is that of the function with the usual name.
                unsafe { $of($($a),*) }
            }
        )* }
    };
}
pub(crate) use aliases;
