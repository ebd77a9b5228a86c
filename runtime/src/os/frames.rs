//! The frames of a stack that does not run, unwound by the compiler's tables without running anything on it.
//!
//! `os/unwind.rs` has libgcc's unwinder walk the stack that it runs on. This one reads: a parked stack where it lies, or a copy
//! of one that may change at any time. It knows what frames of Rust and C need: the stack pointer, the frame pointer, and
//! where they were saved. What was found for a return address is kept, so a frame that was seen before costs a look-up.

#![expect(unsafe_code, reason = "reads the tables of loaded objects")]

use std::collections::HashMap;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, EvaluationResult, NativeEndian,
    ParsedEhFrameHdr, Register, RegisterRule, UnwindContext, UnwindExpression, UnwindSection, Value,
};

use super::objects::{self, Object};

/// The numbers of the stack pointer, the frame pointer and the return address in the tables.
#[cfg(target_arch = "x86_64")]
const REGISTERS: (u16, u16, u16) = (7, 6, 16);
#[cfg(target_arch = "aarch64")]
const REGISTERS: (u16, u16, u16) = (31, 29, 30);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const REGISTERS: (u16, u16, u16) = (2, 8, 1);

type Bytes = EndianSlice<'static, NativeEndian>;

/// Where a computation is: the address of the instruction that comes next, and the two pointers into its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) pc: usize,
    pub(crate) sp: usize,
    /// `None` if it is not known.
    pub(crate) fp: Option<usize>,
}

/// The step from a frame to its caller's.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The caller's stack pointer is that far above the stack pointer, or above the frame pointer.
    Plain { from_fp: bool, offset: isize, fp: Saved, pc: isize },
    /// The frame has no caller.
    Last,
    /// It has to be computed each time.
    Computed,
}

/// Where the caller's frame pointer is.
#[derive(Clone, Copy, Debug)]
enum Saved {
    /// In the frame pointer still.
    Same,
    /// That far from the caller's stack pointer.
    At(isize),
    Lost,
}

struct Tables {
    object: Object,
    bases: BaseAddresses,
    header: ParsedEhFrameHdr<Bytes>,
    frames: EhFrame<Bytes>,
}

/// See the module's documentation.
pub(crate) struct Unwinder {
    tables: Vec<Tables>,
    steps: HashMap<usize, Step>,
    context: Box<UnwindContext<usize>>,
}

// SAFETY: the tables are read-only memory of the process.
unsafe impl Send for Unwinder {}

impl Unwinder {
    pub(crate) fn new() -> Self {
        let tables = objects::all().into_iter().filter_map(Tables::of).collect();
        Self { tables, steps: HashMap::new(), context: Box::new(UnwindContext::new()) }
    }

    /// The addresses of the frames from `cursor` outwards, `most` at the most: of the first its next instruction, of the others
    /// the one behind the call. `read` returns the word at an address, if it may be read.
    pub(crate) fn walk(
        &mut self,
        mut cursor: Cursor,
        is_exact: bool,
        most: usize,
        read: impl Fn(usize) -> Option<usize>,
        frames: &mut Vec<usize>,
    ) {
        let mut behind_call = usize::from(!is_exact);
        while frames.len() < most {
            frames.push(cursor.pc);
            let Some(next) = self.caller(cursor, behind_call, &read) else { return };
            behind_call = 1;
            cursor = next;
        }
    }

    fn caller(
        &mut self,
        at: Cursor,
        behind_call: usize,
        read: &impl Fn(usize) -> Option<usize>,
    ) -> Option<Cursor> {
        // A return address may be the first of another function. An address that is exact is a key of its own.
        let address = at.pc.wrapping_sub(behind_call);
        let key = address << 1 | behind_call;
        let step = match self.steps.get(&key) {
            Some(step) => *step,
            None => {
                let step = self.find(address);
                self.steps.insert(key, step);
                step
            }
        };
        let caller = match step {
            Step::Last => return None,
            Step::Computed => self.compute(address, at, read)?,
            Step::Plain { from_fp, offset, fp, pc } => {
                let base = if from_fp { at.fp? } else { at.sp };
                let sp = base.wrapping_add_signed(offset);
                let fp = match fp {
                    Saved::Same => at.fp,
                    Saved::At(offset) => read(sp.wrapping_add_signed(offset)),
                    Saved::Lost => None,
                };
                Cursor { pc: read(sp.wrapping_add_signed(pc))?, sp, fp }
            }
        };
        // A stack grows towards its end, except where it goes on on another one.
        let goes_on = caller.pc != 0 && (caller.sp > at.sp || matches!(step, Step::Computed));
        goes_on.then_some(caller)
    }

    fn find(&mut self, address: usize) -> Step {
        let (sp, fp, ra) = (Register(REGISTERS.0), Register(REGISTERS.1), Register(REGISTERS.2));
        let Some(tables) = self.tables.iter().find(|tables| tables.has(address)) else { return Step::Last };
        let Some(row) = tables.row(address, &mut self.context) else { return Step::Last };
        let (from_fp, offset) = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } if *register == sp => (false, *offset),
            CfaRule::RegisterAndOffset { register, offset } if *register == fp => (true, *offset),
            CfaRule::RegisterAndOffset { .. } => return Step::Last,
            CfaRule::Expression(_) => return Step::Computed,
        };
        let fp = match row.register(fp) {
            None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => Saved::Same,
            Some(RegisterRule::Offset(offset)) => Saved::At(offset as isize),
            _ => Saved::Lost,
        };
        match row.register(ra) {
            Some(RegisterRule::Offset(pc)) => {
                Step::Plain { from_fp, offset: offset as isize, fp, pc: pc as isize }
            }
            _ => Step::Last,
        }
    }

    /// The caller of a frame whose caller's stack pointer is an expression, as that of a coroutine's first frame is.
    fn compute(
        &mut self,
        address: usize,
        at: Cursor,
        read: &impl Fn(usize) -> Option<usize>,
    ) -> Option<Cursor> {
        let tables = self.tables.iter().find(|tables| tables.has(address))?;
        let row = tables.row(address, &mut self.context)?;
        let CfaRule::Expression(expression) = row.cfa() else { return None };
        let sp = tables.evaluate(expression, at, read)?;
        let saved = |register: u16| match row.register(Register(register)) {
            Some(RegisterRule::Offset(offset)) => read(sp.wrapping_add_signed(offset as isize)),
            _ => None,
        };
        Some(Cursor { pc: saved(REGISTERS.2)?, sp, fp: saved(REGISTERS.1) })
    }
}

impl Tables {
    fn of(object: Object) -> Option<Self> {
        let (header_at, around) = object.eh_frame_hdr.clone()?;
        // SAFETY: the dynamic linker says that the segment is loaded; it is read-only.
        let bytes = |start: usize| -> &'static [u8] {
            // SAFETY: as above.
            unsafe { std::slice::from_raw_parts(start as *const u8, around.end.saturating_sub(start)) }
        };
        let bases = BaseAddresses::default().set_eh_frame_hdr(header_at.start as u64);
        let header = EhFrameHdr::new(bytes(header_at.start), NativeEndian)
            .parse(&bases, size_of::<usize>() as u8)
            .ok()?;
        let gimli::Pointer::Direct(frames_at) = header.eh_frame_ptr() else { return None };
        let frames_at = frames_at as usize;
        if !around.contains(&frames_at) {
            return None;
        }
        let bases = bases.set_eh_frame(frames_at as u64);
        let frames = EhFrame::new(bytes(frames_at), NativeEndian);
        Some(Self { object, bases, header, frames })
    }

    fn has(&self, address: usize) -> bool {
        self.object.has_code(address)
    }

    fn row<'a>(
        &self,
        address: usize,
        context: &'a mut UnwindContext<usize>,
    ) -> Option<&'a gimli::UnwindTableRow<usize>> {
        let table = self.header.table()?;
        let find = EhFrame::cie_from_offset;
        table.unwind_info_for_address(&self.frames, &self.bases, context, address as u64, find).ok()
    }

    fn evaluate(
        &self,
        expression: &UnwindExpression<usize>,
        at: Cursor,
        read: &impl Fn(usize) -> Option<usize>,
    ) -> Option<usize> {
        let encoding = gimli::Encoding {
            address_size: size_of::<usize>() as u8,
            format: gimli::Format::Dwarf32,
            version: 4,
        };
        let mut evaluation = expression.get(&self.frames).ok()?.evaluation(encoding);
        let mut state = evaluation.evaluate().ok()?;
        loop {
            state = match state {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresMemory { address, .. } => {
                    let word = read(address as usize)?;
                    evaluation.resume_with_memory(Value::Generic(word as u64)).ok()?
                }
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = match register.0 {
                        number if number == REGISTERS.0 => at.sp,
                        number if number == REGISTERS.1 => at.fp?,
                        _ => return None,
                    };
                    evaluation.resume_with_register(Value::Generic(value as u64)).ok()?
                }
                _ => return None,
            };
        }
        match evaluation.result().first()?.location {
            gimli::Location::Address { address } => Some(address as usize),
            _ => None,
        }
    }
}
