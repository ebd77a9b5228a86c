//! Handlers of faults: in them no fiber is parked, and afterwards it can be again, however the handler was left.

#![expect(unsafe_code, reason = "sets up a handler, which changes what the kernel restores")]

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};

/// How often another fiber has run.
static TURNS: AtomicUsize = AtomicUsize::new(0);
/// A file of the disk's: a hooked write parks its fiber.
static FILE: AtomicI32 = AtomicI32::new(-1);
static JUMPS: AtomicBool = AtomicBool::new(false);

/// Whether other fibers have run while `call` was made.
fn lets_others_run(call: impl FnOnce()) -> bool {
    let before = TURNS.load(SeqCst);
    call();
    TURNS.load(SeqCst) != before
}

fn write() {
    // SAFETY: one byte.
    assert_eq!(unsafe { libc::write(FILE.load(SeqCst), b"x".as_ptr().cast(), 1) }, 1);
}

/// Skips the instruction that has failed, by returning or by a jump.
extern "C" fn handler(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    println!("others have run in the handler: {}", lets_others_run(write));
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel's, which loads the registers from it. The instruction has two bytes.
    unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] += 2 };
    if JUMPS.load(SeqCst) {
        // SAFETY: as the end of a handler does it, with the stack pointer as it is there: nobody else's frames are looked at.
        unsafe {
            asm!("mov rsp, {}", "syscall", in(reg) context, in("rax") libc::SYS_rt_sigreturn, options(noreturn));
        }
    }
}

pub(super) fn on_a_fiber() {
    abaca_transparent::install().unwrap();
    abaca::Runtime::builder().workers(1).max_spare_threads(0).build().unwrap().run(|| {
        let path = std::env::temp_dir().join(format!("abaca-fault-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        FILE.store(file.as_raw_fd(), SeqCst);
        drop(abaca::spawn(|| {
            loop {
                TURNS.fetch_add(1, SeqCst);
                abaca::yield_now();
            }
        }));
        // SAFETY: a handler that may run anywhere here, and an instruction that it skips.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            (action.sa_sigaction, action.sa_flags) = (handler as *const () as usize, libc::SA_SIGINFO);
            assert_eq!(libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut()), 0);
            let mut now: libc::sigaction = std::mem::zeroed();
            assert_eq!(libc::sigaction(libc::SIGILL, std::ptr::null(), &mut now), 0);
            assert_eq!(now.sa_sigaction, action.sa_sigaction);
            for jumps in [false, true] {
                JUMPS.store(jumps, SeqCst);
                asm!("ud2");
                println!("others run afterwards: {}", lets_others_run(|| _ = libc::usleep(1_000)));
            }
        }
    });
}

pub(super) fn have_handlers_in_which_nobody_is_parked() {
    let mut program = Command::new(std::env::current_exe().unwrap());
    let output = program.env("ABACA_SIGNALS", "fault").output().unwrap();
    let expected = "others have run in the handler: false\nothers run afterwards: true\n".repeat(2);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
}
