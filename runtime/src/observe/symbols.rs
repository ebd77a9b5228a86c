//! The names of code addresses. Without the feature `backtrace`, or where a program has no symbols, there are the object and the
//! address within it, from which `addr2line` finds the name in a copy of the program that has them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::os::fork::PerProcess;
#[cfg(feature = "backtrace")]
use crate::os::names;
use crate::os::objects::{self, Object};

/// A frame of a fiber's stack: a place in the code.
///
/// ```
/// # abaca::run(|| {
/// let waiting = abaca::spawn(abaca::park);
/// while abaca::observe::parked() != [("park", 1)] {
///     abaca::yield_now();
/// }
/// let dump = abaca::dump();
/// let fiber = dump.fibers().iter().find(|fiber| fiber.id() == Some(waiting.fiber().id())).unwrap();
/// for frame in fiber.frames() {
///     println!("{:#x} {}", frame.address(), frame.function().unwrap_or("?"));
/// }
/// waiting.fiber().unpark();
/// waiting.join().unwrap();
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    address: usize,
    function: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    object: Option<Arc<str>>,
    offset: usize,
    build_id: Arc<str>,
}

impl Frame {
    /// The address of the instruction that comes next in this frame. Functions that the compiler has inlined share one address.
    pub fn address(&self) -> usize {
        self.address
    }

    /// The function's name. `None` if the program has no symbols, or was built without the feature `backtrace`.
    pub fn function(&self) -> Option<&str> {
        self.function.as_deref()
    }

    /// The source file, if the program has debug information of it.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The line in the source file, from 1.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// The path of the program or library with the code; of the program itself as it was started. `None` if the code is in none.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The address within the object's file: what `addr2line -e OBJECT` takes. It is [`address`](Self::address) if there is no
    /// object.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The GNU build id of the object, in hexadecimal digits, by which a copy with debug information is found. Empty if it has none.
    pub fn build_id(&self) -> &str {
        &self.build_id
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.function, &self.object) {
            (Some(function), _) => f.write_str(function)?,
            (None, Some(object)) => {
                write!(f, "{object}+{:#x}", self.offset)?;
                if !self.build_id.is_empty() {
                    write!(f, " (build id {})", self.build_id)?;
                }
            }
            (None, None) => write!(f, "{:#x}", self.address)?,
        }
        Ok(())
    }
}

/// An address, and whether it is behind a call.
type CodeAddress = (usize, bool);

/// What was found for the places of earlier dumps: of each one frame, or several if the compiler has inlined functions.
static KNOWN: PerProcess<HashMap<CodeAddress, Arc<[Frame]>>> = PerProcess::new(HashMap::new);

/// The frames of each of these stacks.
pub(super) fn resolve(stacks: &[Vec<usize>]) -> Vec<Vec<Frame>> {
    let mut known = KNOWN.lock();
    let objects = Objects::new();
    let mut frames_of = |stack: &Vec<usize>| {
        let mut frames = Vec::new();
        for (index, address) in stack.iter().enumerate() {
            let place = (*address, index > 0);
            let found = known.entry(place).or_insert_with(|| objects.frames_at(place));
            frames.extend(found.iter().cloned());
        }
        frames
    };
    stacks.iter().map(&mut frames_of).collect()
}

struct Objects {
    objects: Vec<Object>,
    names: Vec<Arc<str>>,
    build_ids: Vec<Arc<str>>,
}

impl Objects {
    fn new() -> Self {
        let objects = objects::all();
        let program = || std::env::args_os().next().unwrap_or_default().to_string_lossy().into_owned();
        let name = |object: &Object| if object.path.is_empty() { program() } else { object.path.clone() };
        let names = objects.iter().map(|object| name(object).into()).collect();
        let build_ids = objects.iter().map(|object| object.build_id.as_str().into()).collect();
        Self { objects, names, build_ids }
    }

    fn frames_at(&self, (address, is_behind_call): CodeAddress) -> Arc<[Frame]> {
        let index = self.objects.iter().position(|object| object.has_code(address));
        let plain = Frame {
            address,
            function: None,
            file: None,
            line: None,
            object: index.map(|index| Arc::clone(&self.names[index])),
            offset: index.map_or(address, |index| address.wrapping_sub(self.objects[index].bias)),
            build_id: index.map_or_else(|| "".into(), |index| Arc::clone(&self.build_ids[index])),
        };
        let mut frames = Vec::new();
        // What finds the names takes each address for one behind a call, and looks for the call.
        add_names(address.wrapping_add(usize::from(!is_behind_call)), &plain, &mut frames);
        if frames.is_empty() {
            frames.push(plain);
        }
        frames.into()
    }
}

#[cfg(feature = "backtrace")]
fn add_names(address: usize, plain: &Frame, frames: &mut Vec<Frame>) {
    names::resolve(std::ptr::without_provenance_mut(address), |symbol| {
        if let Some(name) = symbol.name() {
            let file = symbol.filename().map(|file| file.display().to_string());
            frames.push(Frame {
                function: Some(format!("{name:#}")),
                file,
                line: symbol.lineno(),
                ..plain.clone()
            });
        }
    });
}

#[cfg(not(feature = "backtrace"))]
fn add_names(_address: usize, _plain: &Frame, _frames: &mut Vec<Frame>) {}
