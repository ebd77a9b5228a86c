//! The loaded objects of the process: the program and its shared libraries, each with its build id and the tables by which its
//! frames are unwound.

#![expect(unsafe_code, reason = "the dynamic linker's list, and the notes that it points to")]

use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;

use super::foreign_lock;

/// A loaded object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    /// The path of its file; empty for the program itself.
    pub(crate) path: String,
    /// The number that is added to the addresses in its file.
    pub(crate) bias: usize,
    /// All addresses at which it is loaded.
    loaded: Vec<Range<usize>>,
    /// The addresses of its code.
    code: Vec<Range<usize>>,
    /// The GNU build id, in hexadecimal digits; empty if it has none.
    pub(crate) build_id: String,
    /// The address of `.eh_frame_hdr`, and the loaded part of the file in which it lies.
    pub(crate) eh_frame_hdr: Option<(Range<usize>, Range<usize>)>,
}

/// All loaded objects; none in a copy of the process that cannot ask for them. They stay loaded unless somebody calls `dlclose`.
pub(crate) fn all() -> Vec<Object> {
    let mut found = Vec::new();
    foreign_lock::within(|| {
        // SAFETY: the callback gets the argument that is passed here, and does not outlive it.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut found).cast()) }
    });
    found
}

impl Object {
    /// Whether there is code of it at `address`.
    pub(crate) fn has_code(&self, address: usize) -> bool {
        self.code.iter().any(|range| range.contains(&address))
    }
}

/// Whether an object is loaded at `address`.
pub(crate) fn holds(objects: &[Object], address: usize) -> bool {
    objects.iter().any(|object| object.loaded.iter().any(|range| range.contains(&address)))
}

unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> c_int {
    // SAFETY: the dynamic linker passes a description that lives during the call, and the argument of `all`.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<Object>>()) };
    let bias = info.dlpi_addr as usize;
    let mut object = Object { bias, ..Object::default() };
    if !info.dlpi_name.is_null() {
        // SAFETY: the name is a string that ends with 0.
        object.path = unsafe { CStr::from_ptr(info.dlpi_name) }.to_string_lossy().into_owned();
    }
    // SAFETY: the linker counts the headers.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let range = |header: &libc::Elf64_Phdr| {
        let start = bias.wrapping_add(header.p_vaddr as usize);
        start..start.wrapping_add(header.p_memsz as usize)
    };
    let loaded = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    object.loaded = loaded().map(range).collect();
    object.code = loaded().filter(|header| header.p_flags & libc::PF_X != 0).map(range).collect();
    for header in headers {
        let here = range(header);
        match header.p_type {
            libc::PT_NOTE => {
                // SAFETY: a note segment is loaded, and stays as it is.
                let notes = unsafe { std::slice::from_raw_parts(here.start as *const u8, here.len()) };
                if object.build_id.is_empty() {
                    object.build_id = build_id(notes, header.p_align as usize).unwrap_or_default();
                }
            }
            libc::PT_GNU_EH_FRAME => {
                let around = loaded().map(range).find(|range| range.contains(&here.start));
                object.eh_frame_hdr = around.map(|around| (here, around));
            }
            _ => {}
        }
    }
    found.push(object);
    0
}

/// The build id among ELF notes: each has the lengths of its name and its content, a type, and the two, padded.
fn build_id(mut notes: &[u8], align: usize) -> Option<String> {
    const NT_GNU_BUILD_ID: usize = 3;
    let align = align.clamp(4, 8);
    let word =
        |bytes: &[u8], at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    loop {
        let (name_len, len, kind) = (word(notes, 0)?, word(notes, 4)?, word(notes, 8)?);
        let content = (12 + name_len).next_multiple_of(align);
        let bytes = notes.get(content..content + len)?;
        if kind == NT_GNU_BUILD_ID && notes.get(12..12 + name_len)? == b"GNU\0" {
            return Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = notes.get((content + len).next_multiple_of(align)..)?;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_program_has_this_code_and_its_tables() {
        let objects = all();
        let here = the_program_has_this_code_and_its_tables as fn() as usize;
        let object = objects.iter().find(|object| object.has_code(here)).expect("this code is loaded");
        assert!(object.eh_frame_hdr.is_some() && object.bias <= here);
        assert!(holds(&objects, here) && !holds(&objects, 8));
    }

    #[test]
    fn a_build_id_is_found_behind_other_notes() {
        let note = |kind: u32, name: &[u8], content: &[u8]| {
            let mut bytes = Vec::new();
            for word in [name.len() as u32, content.len() as u32, kind] {
                bytes.extend(word.to_ne_bytes());
            }
            bytes.extend(name);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let mut notes = note(1, b"GNU\0", &[1, 2, 3]);
        assert_eq!(build_id(&notes, 4), None);
        notes.extend(note(3, b"Go\0", &[9]));
        notes.extend(note(3, b"GNU\0", &[0xab, 1]));
        assert_eq!(build_id(&notes, 4).as_deref(), Some("ab01"));
        assert_eq!(build_id(&notes[..notes.len() - 5], 4), None);
    }
}
