//! A reader for the tables that a compiler writes for the unwinder.
//!
//! A function's language-specific data (the "LSDA", as gcc's `unwind-pe.h` and LLVM's `EHStreamer` have it):
//!
//! ```text
//!   u8        encoding of the base of the landing pads; 0xff: none, it is the start of the function
//!   u8        encoding of the types; 0xff: none
//!   uleb128   distance to the types, unless there are none
//!   u8        encoding of the entries of the call sites
//!   uleb128   bytes of the call sites
//!   entries   start, length, landing pad, each as encoded; uleb128 action: 0 is a cleanup, else 1 + offset
//!   actions   sleb128 type: above 0 a catch, 0 a cleanup, below 0 a filter; sleb128 distance to the next
//! ```

#![expect(unsafe_code, reason = "follows pointers into tables whose lengths only they themselves tell")]

/// A function's action when an unwinding reaches one of its calls.
pub(super) enum Action {
    /// The unwinding passes.
    None,
    Cleanup,
    Catch,
    Filter,
}

/// Reads the tables byte by byte.
pub(super) struct Reader {
    pub(super) at: *const u8,
}

const OMITTED: u8 = 0xff;

impl Reader {
    /// The action of the call site at `offset` of the function. `None` if the call must not unwind.
    ///
    /// # Safety
    ///
    /// For all functions of this type: `at` must point into a function's language-specific data, at the start of the item that
    /// is read.
    pub(super) unsafe fn action_of(&mut self, offset: usize) -> Option<Action> {
        // SAFETY: the contract of this function.
        unsafe {
            let base = self.byte();
            if base != OMITTED {
                self.encoded(base);
            }
            if self.byte() != OMITTED {
                self.uleb();
            }
            let encoding = self.byte();
            let bytes = self.uleb();
            let actions = self.at.wrapping_add(bytes);
            while self.at < actions {
                let (start, length) = (self.encoded(encoding), self.encoded(encoding));
                let (pad, action) = (self.encoded(encoding), self.uleb());
                if offset < start {
                    // The call sites are in order.
                    return None;
                }
                if offset >= start.wrapping_add(length) {
                    continue;
                }
                if pad == 0 {
                    return Some(Action::None);
                }
                if action == 0 {
                    return Some(Action::Cleanup);
                }
                let kind = Self { at: actions.wrapping_add(action - 1) }.sleb();
                return Some(match kind {
                    0 => Action::Cleanup,
                    1.. => Action::Catch,
                    _ => Action::Filter,
                });
            }
            None
        }
    }

    /// The encoding of the starts of functions. Reads from the version of a common part on.
    ///
    /// # Safety
    ///
    /// As above.
    pub(super) unsafe fn encoding_of_starts(&mut self) -> u8 {
        // SAFETY: the contract of this function.
        unsafe {
            let version = self.byte();
            let mut letters = [0; 8];
            for place in 0.. {
                let letter = self.byte();
                if letter == 0 {
                    break;
                }
                if let Some(slot) = letters.get_mut(place) {
                    *slot = letter;
                }
            }
            self.uleb();
            self.sleb();
            if version == 1 {
                self.byte();
            } else {
                self.uleb();
            }
            if letters[0] != b'z' {
                return 0;
            }
            self.uleb();
            for letter in &letters[1..] {
                match letter {
                    b'R' => return self.byte(),
                    b'L' => _ = self.byte(),
                    b'P' => {
                        let encoding = self.byte();
                        self.encoded(encoding);
                    }
                    // `S` and `B` have no data.
                    _ => {}
                }
            }
            0
        }
    }

    unsafe fn byte(&mut self) -> u8 {
        // SAFETY: the contract of this type.
        let byte = unsafe { self.at.read() };
        self.at = self.at.wrapping_add(1);
        byte
    }

    unsafe fn uleb(&mut self) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            // SAFETY: the contract of this type.
            let byte = unsafe { self.byte() };
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    unsafe fn sleb(&mut self) -> isize {
        let (mut value, mut shift) = (0_isize, 0);
        loop {
            // SAFETY: the contract of this type.
            let byte = unsafe { self.byte() };
            value |= isize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return if byte & 0x40 != 0 { value | -1 << shift } else { value };
            }
        }
    }

    /// A number in an encoding of call sites, which are offsets: neither relative nor indirect.
    pub(super) unsafe fn encoded(&mut self, encoding: u8) -> usize {
        // SAFETY: the contract of this type.
        unsafe {
            match encoding & 0x0f {
                0x1 => self.uleb(),
                0x9 => self.sleb().cast_unsigned(),
                0x2 | 0xa => self.fixed(2),
                0x3 | 0xb => self.fixed(4),
                _ => self.fixed(size_of::<usize>()),
            }
        }
    }

    pub(super) unsafe fn fixed(&mut self, bytes: usize) -> usize {
        let mut value = [0; size_of::<usize>()];
        for byte in value.iter_mut().take(bytes) {
            // SAFETY: the contract of this type.
            *byte = unsafe { self.byte() };
        }
        usize::from_le_bytes(value)
    }
}
