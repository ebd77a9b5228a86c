//! An address that a search of memory does not find: the word that is kept is its complement.
//!
//! Who looks for words in the memory of the process that lead to something (`observe/leak.rs`) looks at its own notes as well, and at
//! those that others have freed.

use std::fmt;

/// See the module's documentation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hidden(usize);

impl Hidden {
    pub(crate) const fn new(address: usize) -> Self {
        Self(!address)
    }

    pub(crate) const fn address(self) -> usize {
        !self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#x}")
    }
}

impl fmt::LowerHex for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.address(), f)
    }
}
