//! What each word of a new block holds, as two blocks show that libc has made by threads.
//!
//! A word is the same in both, or the address of a place in the block itself, or the beginning or the size of its stack. What is
//! none of this is not understood; then blocks are made by threads.
#![expect(unsafe_code, reason = "compares blocks, and writes new ones")]

use crate::birth::least_stack;
use crate::glibc::Glibc;
use crate::keys;
use crate::loader::{Loader, TABLE};
use crate::modules::{WORD, word};
use crate::observe::Seen;
use crate::pointer::ThreadPointer;

/// A block that a thread has made and nobody has used, and what libc was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub(crate) pointer: ThreadPointer,
    pub(crate) stack: ToldStack,
    /// Of the thread.
    pub(crate) argument: usize,
}

/// The stack as libc knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToldStack {
    pub(crate) lowest: usize,
    pub(crate) bytes: usize,
}

impl ToldStack {
    /// What libc is told of so much memory.
    pub(crate) fn of(lowest: *mut u8, bytes: usize) -> Self {
        let told = bytes.max(least_stack());
        Self { lowest: (lowest.addr() + bytes).wrapping_sub(told), bytes: told }
    }
}

#[derive(Clone, Copy, Debug)]
enum Value {
    /// The same in each block.
    Same(usize),
    /// The address so many bytes from the thread pointer.
    Own(isize),
    StackLowest,
    StackBytes,
}

/// All that is known of the words of a new block. Offsets are from the thread pointer.
#[derive(Debug)]
pub(crate) struct Mould {
    template: ThreadPointer,
    /// Where libc's record begins, and its words.
    record: isize,
    words: Box<[usize]>,
    /// Those of them that differ from block to block.
    own_words: Box<[(isize, Value)]>,
    /// Which of them are as in a new block if nothing is left that libc frees.
    is_kept: Box<[bool]>,
    /// Variables that libc sets in a new thread: what they hold besides their first values.
    variables: Box<[(isize, Value)]>,
    /// What is not compared: each has its own meaning.
    apart: Box<[isize]>,
    /// libc's variables that hold the same in each block that is as new.
    checked: Box<[isize]>,
    tid: isize,
    rseq: Option<isize>,
    /// Where a block begins.
    pub(crate) lowest: isize,
}

/// What the kernel and libc use of `struct rseq`.
pub(crate) const RSEQ_WORDS: isize = 4;

/// `RSEQ_CPU_ID_REGISTRATION_FAILED` of the kernel's `rseq.h`: -2.
const RSEQ_REGISTRATION_FAILED: u32 = (-2_i32).cast_unsigned();

/// Tells libc that the kernel does not write the number of the processor into this block: it does so for its own thread only.
///
/// # Safety
///
/// `offset` is that of `struct rseq` in the block, which no kernel thread has registered.
pub(crate) unsafe fn refuse_rseq(block: ThreadPointer, offset: isize) {
    // SAFETY: the structure's first words: two numbers of processors.
    unsafe { block.at::<[u32; 2]>(offset).write([0, RSEQ_REGISTRATION_FAILED]) };
}

impl Mould {
    /// # Safety
    ///
    /// The models stay as they are.
    pub(crate) unsafe fn new(
        glibc: &Glibc,
        loader: &Loader,
        seen: &Seen,
        models: [Model; 2],
    ) -> Result<Self, &'static str> {
        let lowest = glibc.lowest.ok_or("it is not known where a block begins")?;
        if glibc.thread % WORD != 0 || lowest % WORD != 0 || glibc.tid % WORD != 0 {
            return Err("libc's record does not consist of words");
        }
        let record = glibc.thread..glibc.thread + glibc.record_bytes.cast_signed();
        let mut apart = vec![TABLE, loader.list, loader.list + WORD, glibc.tid];
        if let Some(rseq) = glibc.rseq {
            apart.extend((0..RSEQ_WORDS).map(|index| rseq + index * WORD));
        }
        let mut own_words = Vec::new();
        let mut words: Vec<usize> = Vec::new();
        for offset in record.clone().step_by(WORD.unsigned_abs()) {
            // SAFETY: words of libc's record.
            let value = unsafe { value_of(&models, offset, glibc.setxid_mark(offset)) };
            words.push(match value {
                _ if apart.contains(&offset) => 0,
                // The frames of libc's thread, and what it was called with: there is no such thread.
                Some(Value::Own(place)) if place < lowest => {
                    apart.push(offset);
                    0
                }
                // SAFETY: as above.
                _ if models.iter().all(|model| unsafe { word(model.pointer, offset) } == model.argument) => {
                    apart.push(offset);
                    0
                }
                Some(Value::Same(value)) => value,
                Some(value) => {
                    own_words.push((offset, value));
                    0
                }
                None => return Err("a word of libc's record is not understood"),
            });
        }
        // The first table of the values of keys is part of the record. Whether it has any, a flag says.
        let table = own_words.iter().find_map(|&(offset, value)| match value {
            Value::Own(place) if offset == glibc.specific => Some(place..place + keys::TABLE_BYTES),
            _ => None,
        });
        let table = table.ok_or("a thread has no table of values of keys")?;
        let is_own = |offset: &isize| own_words.iter().any(|(own, _)| own == offset);
        let is_kept = record.step_by(WORD.unsigned_abs());
        let is_kept = is_kept.map(|word| !apart.contains(&word) && !is_own(&word) && !table.contains(&word));
        let is_kept = is_kept.collect();
        let not_checked = [&seen.malloc, &seen.last_library].into_iter().flatten().chain(&seen.characters);
        let not_checked: Vec<_> = not_checked.chain(&apart).copied().collect();
        let libcs = seen.segments.iter().filter(|segment| segment.is_wanted);
        let checked = libcs.flat_map(|segment| segment.words()).filter(|word| !not_checked.contains(word));
        Ok(Self {
            template: models[0].pointer,
            record: glibc.thread,
            words: words.into(),
            own_words: own_words.into(),
            is_kept,
            variables: Box::default(),
            apart: apart.into(),
            checked: checked.collect(),
            tid: glibc.tid,
            rseq: glibc.rseq,
            lowest,
        })
    }

    /// Learns which variables libc sets in a new thread: those that are otherwise than the loader has made them in `made`.
    ///
    /// # Safety
    ///
    /// The models stay as they are, and `made` is nobody else's.
    pub(crate) unsafe fn learn_variables(
        &mut self,
        seen: &Seen,
        models: [Model; 2],
        made: ThreadPointer,
    ) -> Result<(), &'static str> {
        let mut variables = Vec::new();
        for offset in seen.segments.iter().flat_map(|segment| segment.words()) {
            if self.apart.contains(&offset) {
                continue;
            }
            // SAFETY: words of variables, which each block has.
            let (value, is) = unsafe { (value_of(&models, offset, 0), word(made, offset)) };
            match value {
                Some(Value::Same(value)) if value == is => {}
                Some(Value::Own(place)) if made.at::<u8>(place).addr() == is => {}
                Some(value @ (Value::Same(_) | Value::Own(_))) => variables.push((offset, value)),
                _ => return Err("a variable of a new thread is not understood"),
            }
        }
        self.variables = variables.into();
        Ok(())
    }

    /// Writes libc's record of a new thread, of which the table of variables and the list are none yet.
    ///
    /// # Safety
    ///
    /// The memory is a block's that nobody uses.
    pub(crate) unsafe fn write_record(&self, block: ThreadPointer, stack: ToldStack, tid: u32) {
        // SAFETY: the block has a record, and all offsets are within it.
        unsafe {
            let record = block.at::<usize>(self.record);
            core::ptr::copy_nonoverlapping(self.words.as_ptr(), record, self.words.len());
            for &(offset, value) in &self.own_words {
                block.at::<usize>(offset).write(value.in_block(block, stack));
            }
            block.at::<u32>(self.tid).write(tid);
        }
    }

    /// Sets the variables that libc sets in a new thread.
    ///
    /// # Safety
    ///
    /// The loader has made the variables of the block, which nobody uses.
    pub(crate) unsafe fn write_variables(&self, block: ThreadPointer) {
        // SAFETY: the block has these variables.
        unsafe {
            for &(offset, value) in &self.variables {
                block.at::<usize>(offset).write(value.in_block(block, ToldStack { lowest: 0, bytes: 0 }));
            }
            if let Some(offset) = self.rseq {
                block.at::<[usize; RSEQ_WORDS as usize]>(offset).write([0; RSEQ_WORDS as usize]);
                refuse_rseq(block, offset);
            }
        }
    }

    /// Whether a block is as the image of one that a thread has made in its place.
    ///
    /// # Safety
    ///
    /// As for [`image`].
    pub(crate) unsafe fn is_same(&self, by_thread: &[Word], block: ThreadPointer) -> bool {
        // SAFETY: the caller's promise. Each block has the same words.
        by_thread
            .iter()
            .all(|&(offset, value)| unsafe { word(block, offset) } == value || self.apart.contains(&offset))
    }

    /// Calls `visit` for each word of libc's in which the block is otherwise than a new one.
    ///
    /// # Safety
    ///
    /// The block stays meanwhile.
    pub(crate) unsafe fn changed(&self, block: ThreadPointer, mut visit: impl FnMut(isize, usize)) {
        let record = (self.record..).step_by(WORD.unsigned_abs()).zip(self.words.iter().zip(&self.is_kept));
        let record = record.filter(|(_, (_, is_kept))| **is_kept);
        // SAFETY: words of libc's in both blocks. Others change them atomically, if at all.
        unsafe {
            for (offset, (&new, _)) in record {
                let is = word(block, offset);
                // What `setuid` leaves in the records of threads it has left in the template's, too.
                if is != new && is != word(self.template, offset) {
                    visit(offset, is);
                }
            }
            for &offset in &self.checked {
                let (is, new) = (word(block, offset), word(self.template, offset));
                let from = |value: usize, pointer: ThreadPointer| value.wrapping_sub(pointer.address());
                if is != new && from(is, block) != from(new, self.template) {
                    visit(offset, is);
                }
            }
        }
    }
}

/// A word of a block: its offset from the thread pointer, and what it holds.
pub(crate) type Word = (isize, usize);

/// All words of a block, from its variables to the end of libc's record. None if it is not known where a block begins.
///
/// # Safety
///
/// The block is new, and nobody uses it.
pub(crate) unsafe fn image(glibc: &Glibc, block: ThreadPointer) -> Option<Vec<Word>> {
    let words = (glibc.lowest?..glibc.thread + glibc.record_bytes.cast_signed()).step_by(WORD.unsigned_abs());
    // SAFETY: the caller's promise.
    Some(words.map(|offset| (offset, unsafe { word(block, offset) })).collect())
}

impl Value {
    fn in_block(self, block: ThreadPointer, stack: ToldStack) -> usize {
        match self {
            Self::Same(value) => value,
            Self::Own(place) => block.at::<u8>(place).addr(),
            Self::StackLowest => stack.lowest,
            Self::StackBytes => stack.bytes,
        }
    }
}

/// What a word holds in both models, but for the bits of the mark, which others set and clear.
///
/// # Safety
///
/// The models have the word.
unsafe fn value_of(models: &[Model; 2], offset: isize, mark: usize) -> Option<Value> {
    // SAFETY: the caller's promise.
    let [one, other] = models.map(|model| unsafe { word(model.pointer, offset) & !mark });
    let [first, second] = models;
    let own = |value: usize, model: &Model| value.wrapping_sub(model.pointer.address()).cast_signed();
    if one == other {
        Some(Value::Same(one))
    } else if (one, other) == (first.stack.lowest, second.stack.lowest) {
        Some(Value::StackLowest)
    } else if (one, other) == (first.stack.bytes, second.stack.bytes) {
        Some(Value::StackBytes)
    } else if own(one, first) == own(other, second) {
        Some(Value::Own(own(one, first)))
    } else {
        None
    }
}
