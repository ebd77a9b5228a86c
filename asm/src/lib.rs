//! stub
#![allow(
    unsafe_code,
    missing_docs,
    missing_debug_implementations,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Context(usize);
impl Context {
    pub const fn dangling() -> Self {
        Context(0)
    }
}
#[repr(C)]
#[derive(Debug)]
pub struct Exit {
    pub to: Context,
    pub word: usize,
}
pub type Entry = unsafe extern "C" fn(word: usize, argument: *mut ()) -> Exit;
#[inline(always)]
pub unsafe fn switch(save: *mut Context, to: Context, word: usize) -> usize {
    let ret;
    unsafe {
        std::arch::asm!(
            "push rbp", "push rbx", "lea rax, [rip + 2f]", "push rax",
            "mov [rdx], rsp", "mov rsp, rcx", "pop rax", "jmp rax",
            "2:", "pop rbx", "pop rbp",
            inout("rdi") word => ret, inout("rdx") save => _, inout("rcx") to.0 => _,
            out("rax") _, out("rsi") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("sysv64"),
        )
    };
    ret
}
std::arch::global_asm!(
    ".globl abaca_tramp",
    "abaca_tramp:",
    "pop r12",
    "pop rsi",
    "push 0",
    "call r12",
    "mov rdi, rdx",
    "mov rsp, rax",
    "pop rax",
    "jmp rax"
);
unsafe extern "C" {
    fn abaca_tramp();
}
pub unsafe fn prepare(top: *mut u8, entry: Entry, argument: *mut ()) -> Context {
    unsafe {
        let p = (top as *mut usize).sub(4);
        p.write(abaca_tramp as *const () as usize);
        p.add(1).write(entry as *const () as usize);
        p.add(2).write(argument as usize);
        Context(p as usize)
    }
}
pub mod stack {
    use std::io;
    use std::ops::Range;
    use std::sync::atomic::*;
    #[derive(Debug)]
    pub struct StackPool {
        bytes: usize,
        free: std::sync::Mutex<Vec<Stack>>,
    }
    #[derive(Debug)]
    pub struct Stack {
        top: *mut u8,
        owner: *const AtomicPtr<()>,
    }
    unsafe impl Send for Stack {}
    impl StackPool {
        pub fn new(b: usize) -> Self {
            StackPool { bytes: b.next_multiple_of(4096), free: Default::default() }
        }
        pub fn take(&self) -> io::Result<Stack> {
            let mut v = vec![];
            self.take_many(1, &mut v)?;
            Ok(v.pop().unwrap())
        }
        pub fn take_many(&self, n: usize, into: &mut Vec<Stack>) -> io::Result<()> {
            let mut f = self.free.lock().unwrap();
            if f.is_empty() {
                let stride = self.bytes + 4096;
                let p = unsafe {
                    libc::mmap(
                        std::ptr::null_mut(),
                        stride * 1024,
                        libc::PROT_READ | libc::PROT_WRITE,
                        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                        -1,
                        0,
                    )
                } as *mut u8;
                for i in 0..1024 {
                    f.push(Stack {
                        top: unsafe { p.add((i + 1) * stride) },
                        owner: Box::leak(Box::new(AtomicPtr::new(std::ptr::null_mut()))),
                    });
                }
            }
            for _ in 0..n {
                if let Some(s) = f.pop() {
                    into.push(s)
                }
            }
            Ok(())
        }
        pub fn give(&self, s: Stack) {
            self.free.lock().unwrap().push(s)
        }
        pub fn give_many(&self, s: impl Iterator<Item = Stack>) {
            self.free.lock().unwrap().extend(s)
        }
    }
    impl Stack {
        pub fn top(&self) -> *mut u8 {
            self.top
        }
        pub fn guard(&self) -> Range<usize> {
            0..0
        }
        pub fn owner(&self) -> &AtomicPtr<()> {
            unsafe { &*self.owner }
        }
    }
}
