//! What a thread may be asked and told, of itself and of others: its name, its stack, its processors, its scheduling, signals.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use abaca::hook;
use libc::{
    EAGAIN, EFAULT, EINVAL, ENOTSUP, ERANGE, PTHREAD_CREATE_DETACHED, SCHED_OTHER, clockid_t, cpu_set_t,
    pthread_attr_t, pthread_t, sched_param, siginfo_t, sigval, size_t,
};

use super::details::sent;
use super::handlers::index;
use super::identity::{current, is_main_fiber, is_thread_of_copy};
use super::number;
use super::queued::NoPlace;
use super::record::{Name, Record, Target};
use super::sends;
use crate::answer::errno;
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// pthread_setname_np(3).
    fn pthread_setname_np(thread: pthread_t, name: *const c_char) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let target = unsafe { Target::of(thread) };
        // SAFETY: the caller's promise.
        let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
        let set = |details: &mut super::record::Details| {
            let mut name = Name::default();
            match name.get_mut(..bytes.len()) {
                Some(part) => part.copy_from_slice(bytes),
                None => return ERANGE,
            }
            details.name = Some(name);
            0
        };
        match target.with_details(set) {
            Some(0) if thread == current() => {
                // For people who look at a dump. As the name, it is inherited.
                let text = String::from_utf8_lossy(bytes);
                abaca::observe::set_label("thread", text.trim_end_matches('\0'));
                0
            }
            Some(result) => result,
            // SAFETY: the caller's promise.
            None => unsafe { own!(fn pthread_setname_np(pthread_t, *const c_char) -> c_int)(thread, name) },
        }
    }

    /// pthread_getname_np(3).
    fn pthread_getname_np(thread: pthread_t, buffer: *mut c_char, bytes: size_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let target = unsafe { Target::of(thread) };
        match target.with_details(|details| details.name) {
            // SAFETY: the caller's promise.
            None => unsafe { own!(fn pthread_getname_np(pthread_t, *mut c_char, size_t) -> c_int)(thread, buffer, bytes) },
            Some(_) if bytes < size_of::<Name>() => ERANGE,
            Some(name) => {
                let name = name.unwrap_or_else(process_name);
                // SAFETY: the caller's promise.
                unsafe { buffer.cast::<Name>().write_unaligned(name) };
                0
            }
        }
    }

    /// pthread_getattr_np(3).
    fn pthread_getattr_np(thread: pthread_t, attributes: *mut pthread_attr_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let (stack, guard_bytes, is_detached) = match unsafe { Target::of(thread) } {
            Target::Fiber(record) => {
                // Acquire: pairs with the Release of the start.
                let bytes = record.stack.1.load(Ordering::Acquire);
                let end = record.stack.0.load(Ordering::Relaxed) + bytes;
                let told = record.asked.bytes.next_multiple_of(GUARD_BYTES).min(bytes);
                // A stack of threads begins with a page, which programs protect or map anew: the JVM does. Stacks of fibers end at
                // different places of their last pages.
                let begin = end - told;
                (begin - begin % GUARD_BYTES..end, record.asked.guard_bytes.next_multiple_of(GUARD_BYTES), record.is_detached())
            }
            Target::Caller => (hook::stack().unwrap_or(0..0), GUARD_BYTES, false),
            Target::Kernel => {
                // SAFETY: the caller's promise.
                return unsafe { own!(fn pthread_getattr_np(pthread_t, *mut pthread_attr_t) -> c_int)(thread, attributes) };
            }
        };
        // SAFETY: the caller's promise.
        unsafe {
            let error = libc::pthread_attr_init(attributes);
            if error != 0 {
                return error;
            }
            if !stack.is_empty() {
                libc::pthread_attr_setstack(attributes, std::ptr::with_exposed_provenance_mut(stack.start), stack.len());
            }
            pthread_attr_setguardsize(attributes, guard_bytes);
            if is_detached {
                libc::pthread_attr_setdetachstate(attributes, PTHREAD_CREATE_DETACHED);
            }
        }
        0
    }

    /// pthread_setaffinity_np(3).
    fn pthread_setaffinity_np(thread: pthread_t, bytes: size_t, set: *const cpu_set_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let target = unsafe { Target::of(thread) };
        let set_details = |details: &mut super::record::Details| {
            let there = processors();
            // As the kernel, which reads no more than it has processors.
            let bytes = bytes.min(there.len());
            if bytes == 0 {
                return EINVAL;
            }
            if set.is_null() {
                return EFAULT;
            }
            // SAFETY: the caller's promise.
            let wanted = unsafe { std::slice::from_raw_parts(set.cast::<u8>(), bytes) };
            if !wanted.iter().zip(there).any(|(wanted, there)| wanted & there != 0) {
                return EINVAL;
            }
            details.processors = Some(wanted.to_vec());
            0
        };
        match target.with_details(set_details) {
            Some(result) => result,
            None => {
                note_binding();
                // SAFETY: the caller's promise.
                unsafe { own!(fn pthread_setaffinity_np(pthread_t, size_t, *const cpu_set_t) -> c_int)(thread, bytes, set) }
            }
        }
    }

    /// pthread_getaffinity_np(3).
    fn pthread_getaffinity_np(thread: pthread_t, bytes: size_t, set: *mut cpu_set_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let target = unsafe { Target::of(thread) };
        let Some(noted) = target.with_details(|details| details.processors.clone()) else {
            // SAFETY: the caller's promise.
            return unsafe { own!(fn pthread_getaffinity_np(pthread_t, size_t, *mut cpu_set_t) -> c_int)(thread, bytes, set) };
        };
        // The kernel says whether there is room for all processors.
        // SAFETY: the caller's promise.
        if unsafe { own_getaffinity(0, bytes, set) } != 0 {
            return errno();
        }
        if let Some(noted) = noted {
            // SAFETY: the caller's promise.
            let there = unsafe { std::slice::from_raw_parts_mut(set.cast::<u8>(), bytes) };
            there.iter_mut().enumerate().for_each(|(at, there)| *there &= noted.get(at).copied().unwrap_or(0));
        }
        0
    }

    /// pthread_getschedparam(3).
    fn pthread_getschedparam(thread: pthread_t, policy: *mut c_int, parameters: *mut sched_param) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if matches!(Target::of(thread), Target::Kernel) {
                return own!(fn pthread_getschedparam(pthread_t, *mut c_int, *mut sched_param) -> c_int)(thread, policy, parameters);
            }
            policy.write(SCHED_OTHER);
            parameters.write(sched_param { sched_priority: 0 });
        }
        0
    }

    /// pthread_setschedparam(3).
    fn pthread_setschedparam(thread: pthread_t, policy: c_int, parameters: *const sched_param) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            if matches!(Target::of(thread), Target::Kernel) {
                return own!(fn pthread_setschedparam(pthread_t, c_int, *const sched_param) -> c_int)(thread, policy, parameters);
            }
            match (policy, (*parameters).sched_priority) {
                (SCHED_OTHER, 0) => 0,
                (SCHED_OTHER, _) => EINVAL,
                _ => ENOTSUP,
            }
        }
    }

    /// pthread_setschedprio(3).
    fn pthread_setschedprio(thread: pthread_t, priority: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        match unsafe { Target::of(thread) } {
            // SAFETY: the caller's promise.
            Target::Kernel => unsafe { own!(fn pthread_setschedprio(pthread_t, c_int) -> c_int)(thread, priority) },
            _ if priority == 0 => 0,
            _ => EINVAL,
        }
    }

    /// pthread_getcpuclockid(3). A fiber has no clock of its time on a processor.
    fn pthread_getcpuclockid(thread: pthread_t, clock: *mut clockid_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        match unsafe { Target::of(thread) } {
            // SAFETY: the caller's promise.
            Target::Kernel => unsafe { own!(fn pthread_getcpuclockid(pthread_t, *mut clockid_t) -> c_int)(thread, clock) },
            _ => ENOTSUP,
        }
    }

    /// pthread_kill(3). The caller's own signal is its OS thread's, which runs the handler before this returns; another fiber runs the handler
    /// where it is: in the call in which it waits, or in code of its own.
    fn pthread_kill(thread: pthread_t, signal: c_int) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let target = unsafe { Target::of(thread) };
        let result = match &target {
            // SAFETY: it takes numbers.
            Target::Kernel if is_main_fiber(thread) => unsafe { libc::kill(libc::getpid(), signal) },
            // SAFETY: the caller's promise.
            Target::Kernel => return unsafe { own!(fn pthread_kill(pthread_t, c_int) -> c_int)(thread, signal) },
            // SAFETY: it takes a number.
            Target::Caller => unsafe { sends::raise(signal) },
            // SAFETY: as above.
            Target::Fiber(_) if thread == super::identity::current() && signal != 0 => unsafe { sends::raise(signal) },
            // SAFETY: as above. It is the copy's first thread.
            Target::Fiber(_) if is_thread_of_copy(thread) => unsafe { number::tgkill(libc::getpid(), libc::getpid(), signal) },
            Target::Fiber(record) => return send_to_fiber(record, signal, None),
        };
        if result == 0 { 0 } else { errno() }
    }

    /// pthread_sigqueue(3), as pthread_kill.
    fn pthread_sigqueue(thread: pthread_t, signal: c_int, value: sigval) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        match unsafe { Target::of(thread) } {
            // SAFETY: it takes numbers.
            Target::Kernel if is_main_fiber(thread) => if unsafe { sends::sigqueue(libc::getpid(), signal, value) } == 0 { 0 } else { errno() },
            // SAFETY: the caller's promise.
            Target::Kernel => unsafe { own!(fn pthread_sigqueue(pthread_t, c_int, sigval) -> c_int)(thread, signal, value) },
            Target::Caller => sends::queue_to_caller(signal, value),
            Target::Fiber(_) if thread == super::identity::current() => sends::queue_to_caller(signal, value),
            Target::Fiber(_) if is_thread_of_copy(thread) => sends::queue_to_main(signal, value),
            Target::Fiber(record) => match record.pending.send(signal, told_of(signal, value), || record.cancel.wake()) {
                Some(Ok(())) => 0,
                Some(Err(NoPlace)) => EAGAIN,
                // SAFETY: as above.
                None => if unsafe { sends::sigqueue(libc::getpid(), signal, value) } == 0 { 0 } else { errno() },
            },
        }
    }
}

/// What is told of a signal that is sent with a value.
fn told_of(signal: c_int, value: sigval) -> Option<siginfo_t> {
    index(signal).map(|signal| sent(signal, libc::SI_QUEUE, Some(value)))
}

/// Sends a signal to another thread that is a fiber, which is told this, or that a thread has sent it. The result is an error number, or 0.
pub(super) fn send_to_fiber(record: &Record, signal: c_int, told: Option<siginfo_t>) -> c_int {
    match record.pending.send(signal, told, || record.cancel.wake()) {
        Some(Ok(())) => 0,
        Some(Err(NoPlace)) => EAGAIN,
        // What has no handler is the process's, whichever thread it is for.
        // SAFETY: it takes numbers.
        None if unsafe { libc::kill(libc::getpid(), signal) } == 0 => 0,
        None => errno(),
    }
}

/// A page, which is the least guard of a fiber's stack.
pub(super) const GUARD_BYTES: usize = 4096;

unsafe extern "C" {
    fn pthread_attr_setguardsize(attributes: *mut pthread_attr_t, bytes: size_t) -> c_int;
}

/// The name of a thread that was given none, as the kernel has it: the process's.
fn process_name() -> Name {
    let mut name = Name::default();
    let read = std::fs::read("/proc/self/comm").unwrap_or_default();
    let length = read.iter().position(|byte| *byte == b'\n').unwrap_or(read.len()).min(name.len() - 1);
    name[..length].copy_from_slice(&read[..length]);
    name
}

/// libc's own.
///
/// # Safety
///
/// As sched_getaffinity(2).
unsafe fn own_getaffinity(thread: libc::pid_t, bytes: size_t, set: *mut cpu_set_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { own!(fn sched_getaffinity(libc::pid_t, size_t, *mut cpu_set_t) -> c_int)(thread, bytes, set) }
}

/// Whether a thread of the kernel's was told on which processors to run.
static HAS_BOUND: AtomicBool = AtomicBool::new(false);

/// A thread of the kernel's is told on which processors to run.
pub(super) fn note_binding() {
    // Relaxed: who creates a thread afterwards is that thread, or has heard of it.
    HAS_BOUND.store(true, Ordering::Relaxed);
}

/// The processors of the calling thread, which those that it creates have as well; `None` is all of the process's.
/// The outer `None`: there is no memory for them.
pub(super) fn inherited_processors() -> Option<Option<Vec<u8>>> {
    if hook::on_fiber() {
        let details = Target::Caller.with_details(|details| details.try_clone());
        return details.map_or(Some(None), |details| Some(details?.processors));
    }
    if !HAS_BOUND.load(Ordering::Relaxed) {
        return Some(None);
    }
    let mut bound = Vec::new();
    bound.try_reserve_exact(size_of::<cpu_set_t>()).ok()?;
    bound.extend_from_slice(&processors());
    Some(Some(bound))
}

/// The processors that the calling OS thread may run on.
fn processors() -> [u8; size_of::<cpu_set_t>()] {
    let mut set = [0; size_of::<cpu_set_t>()];
    // SAFETY: the kernel writes a local.
    unsafe { own_getaffinity(0, set.len(), set.as_mut_ptr().cast::<c_void>().cast()) };
    set
}
