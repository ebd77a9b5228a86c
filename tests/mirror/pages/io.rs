//! `std::io`: what may wait, and what is used with it.

use super::Exception::With;
use super::{PAGE, Page};

pub(super) const PAGES: &[Page] = &[
    Page { original: "io/index.html", ours: "io/index.html", examples: 10, ..PAGE },
    Page { original: "io/fn.copy.html", examples: 1, ..PAGE },
    Page { original: "io/fn.pipe.html", ours: "io/fn.pipe.html", examples: 1, ..PAGE },
    Page { original: "io/fn.read_to_string.html", examples: 1, ..PAGE },
    Page { original: "io/fn.stdin.html", ours: "io/fn.stdin.html", examples: 2, ..PAGE },
    Page { original: "io/fn.stdout.html", ours: "io/fn.stdout.html", examples: 3, ..PAGE },
    Page { original: "io/fn.stderr.html", ours: "io/fn.stderr.html", examples: 2, ..PAGE },
    Page {
        original: "io/struct.Stdin.html",
        ours: "io/struct.Stdin.html",
        lacks: STDIO,
        examples: 4,
        ..PAGE
    },
    Page {
        original: "io/struct.StdinLock.html",
        ours: "io/struct.StdinLock.html",
        lacks: STDIO,
        examples: 1,
        ..PAGE
    },
    Page {
        original: "io/struct.Stdout.html",
        ours: "io/struct.Stdout.html",
        lacks: STDIO,
        examples: 1,
        ..PAGE
    },
    Page { original: "io/struct.StdoutLock.html", ours: "io/struct.StdoutLock.html", lacks: LOCK, ..PAGE },
    Page {
        original: "io/struct.Stderr.html",
        ours: "io/struct.Stderr.html",
        lacks: STDIO,
        examples: 1,
        ..PAGE
    },
    Page { original: "io/struct.StderrLock.html", ours: "io/struct.StderrLock.html", lacks: LOCK, ..PAGE },
    Page { original: "io/struct.PipeReader.html", ours: "io/struct.PipeReader.html", examples: 1, ..PAGE },
    Page { original: "io/struct.PipeWriter.html", ours: "io/struct.PipeWriter.html", examples: 1, ..PAGE },
    Page { original: "io/trait.IsTerminal.html", examples: 1, ..PAGE },
    Page { original: "io/trait.Read.html", examples: 11, ..PAGE },
    Page { original: "io/trait.Write.html", examples: 7, ..PAGE },
    Page { original: "io/trait.BufRead.html", examples: 8, ..PAGE },
    Page {
        original: "io/trait.Seek.html",
        examples: 4,
        exceptions: &[("method.rewind", With(&[("\"foo.txt\"", "\"new.txt\"")]))],
        ..PAGE
    },
    Page { original: "io/struct.BufReader.html", examples: 9, ..PAGE },
    Page {
        original: "io/struct.BufWriter.html",
        examples: 10,
        stand_ins: &[("\"127.0.0.1:34254\"", "crate::peer::address()")],
        ..PAGE
    },
    Page { original: "io/struct.LineWriter.html", examples: 6, ..PAGE },
    Page { original: "io/struct.Take.html", examples: 5, ..PAGE },
    Page { original: "io/struct.Chain.html", examples: 3, ..PAGE },
    Page { original: "os/fd/trait.AsFd.html", examples: 2, ..PAGE },
    Page { original: "os/fd/trait.AsRawFd.html", examples: 2, ..PAGE },
    Page { original: "os/fd/trait.FromRawFd.html", examples: 1, ..PAGE },
    Page { original: "os/fd/trait.IntoRawFd.html", examples: 1, ..PAGE },
    Page { original: "io/fn.empty.html", examples: 2, ..PAGE },
    Page { original: "io/fn.repeat.html", examples: 1, ..PAGE },
    Page { original: "io/fn.sink.html", examples: 1, ..PAGE },
    Page { original: "io/type.Result.html", examples: 1, ..PAGE },
    Page { original: "io/struct.Error.html", examples: 12, ..PAGE },
    Page { original: "io/enum.ErrorKind.html", examples: 2, ..PAGE },
    Page { original: "io/struct.Cursor.html", examples: 7, ..PAGE },
    Page {
        original: "io/struct.IntoInnerError.html",
        examples: 5,
        stand_ins: &[("\"127.0.0.1:34254\"", "crate::peer::address()")],
        ..PAGE
    },
    Page { original: "io/struct.WriterPanicked.html", examples: 1, ..PAGE },
    Page { original: "macro.print.html", examples: 2, ..PAGE },
    Page { original: "macro.println.html", examples: 2, ..PAGE },
    Page { original: "macro.eprint.html", examples: 1, ..PAGE },
    Page { original: "macro.eprintln.html", examples: 1, ..PAGE },
];

const STDIO: &[(&str, &str)] = &[
    ("impl IsTerminal", "std seals this trait; its method is the type's own"),
    ("impl StdioExt", "the trait is there on nightly only"),
];

const LOCK: &[(&str, &str)] = &[
    STDIO[0],
    STDIO[1],
    (
        "impl !Sync",
        "std's lock holds a reference to a cell of its own; a shared reference to ours gives access to nothing",
    ),
];
