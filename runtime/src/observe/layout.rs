//! What a debugger must know to find the fibers of a process, or of a core file: `gdb/abaca.py` reads it. It is data in the program,
//! so the script fits each program, also one without debug information.

use abaca_asm::stack::Stack;
use abaca_asm::{Context, Saved};

use super::object::name_of;
use crate::cell::{HEADER_OFFSETS, IDENTITY_OFFSETS, Reason};
use crate::scheduler::WORKER_OFFSETS;
use crate::scheduler::registry::{self, RegistryLayout};
use crate::sync::MUTEX_LAYOUT;

/// See the module's documentation. The script knows the order of the fields, and the number of the version.
#[derive(Debug)]
#[repr(C)]
struct Layout {
    version: usize,
    registry: RegistryLayout,
    worker: [usize; 4],
    header: [usize; 9],
    identity: [usize; 3],
    stack: [usize; 4],
    mutex: [usize; 3],
    /// In a saved context: the program counter, the frame pointer, the length.
    saved: [usize; 3],
    /// The numbers of the reasons whose object is a mutex, and a fiber's header.
    reasons: [usize; 2],
    /// The names of the reasons, each ended by a comma.
    names: &'static [u8; NAMES_LEN],
    names_len: usize,
}

const SAVED: [usize; 3] = match Context::layout() {
    Some(Saved { program_counter, frame_pointer, bytes }) => [program_counter, frame_pointer, bytes],
    None => [0; 3],
};

#[used]
static LAYOUT: Layout = Layout {
    version: 2,
    registry: registry::LAYOUT,
    worker: WORKER_OFFSETS,
    header: HEADER_OFFSETS,
    identity: IDENTITY_OFFSETS,
    stack: Stack::LAYOUT,
    mutex: MUTEX_LAYOUT,
    saved: SAVED,
    reasons: [Reason::Mutex as usize, Reason::Join as usize],
    names: &NAMES,
    names_len: NAMES_LEN,
};

const NAMES_LEN: usize = {
    let (mut len, mut reason) = (0, 0);
    while reason < Reason::COUNT {
        len += name_of(Reason::from_number(reason as u8)).len() + 1;
        reason += 1;
    }
    len
};

static NAMES: [u8; NAMES_LEN] = {
    let mut names = [b','; NAMES_LEN];
    let (mut at, mut reason) = (0, 0);
    while reason < Reason::COUNT {
        let name = name_of(Reason::from_number(reason as u8)).as_bytes();
        let mut index = 0;
        while index < name.len() {
            names[at + index] = name[index];
            index += 1;
        }
        at += name.len() + 1;
        reason += 1;
    }
    names
};
