//! `std::process`.

use super::Exception::{CompiledOnly, With};
use super::{PAGE, Page};

pub(super) const PAGES: &[Page] = &[
    Page { original: "process/index.html", ours: "process/index.html", examples: 3, ..PAGE },
    Page {
        original: "process/struct.Command.html",
        ours: "process/struct.Command.html",
        examples: 24,
        lacks: &[("impl CommandExt", "std seals this trait; its methods are the type\'s own")],
        exceptions: &[("method.env_remove", CompiledOnly("commits to whatever repository it runs in"))],
        ..PAGE
    },
    Page {
        original: "process/struct.Child.html",
        ours: "process/struct.Child.html",
        examples: 6,
        lacks: &[("impl ChildExt", "the trait is there on nightly only")],
        ..PAGE
    },
    Page {
        original: "process/struct.ChildStdin.html",
        ours: "process/struct.ChildStdin.html",
        examples: 1,
        ..PAGE
    },
    Page {
        original: "process/struct.ChildStdout.html",
        ours: "process/struct.ChildStdout.html",
        examples: 1,
        ..PAGE
    },
    Page {
        original: "process/struct.ChildStderr.html",
        ours: "process/struct.ChildStderr.html",
        examples: 1,
        ..PAGE
    },
    Page { original: "process/struct.Stdio.html", examples: 10, ..PAGE },
    Page { original: "process/struct.Output.html", ..PAGE },
    Page { original: "process/struct.ExitStatus.html", examples: 2, ..PAGE },
    Page {
        original: "os/unix/process/trait.CommandExt.html",
        examples: 1,
        exceptions: &[("tymethod.process_group", With(&[("\"10\"", "\"0\"")]))],
        ..PAGE
    },
    Page {
        original: "process/fn.abort.html",
        examples: 2,
        exceptions: &[("main-content", CompiledOnly(ABORTS)), ("main-content#1", CompiledOnly(ABORTS))],
        ..PAGE
    },
    Page { original: "process/fn.exit.html", examples: 2, ..PAGE },
    Page { original: "process/fn.id.html", examples: 1, ..PAGE },
    Page { original: "process/struct.ExitCode.html", examples: 1, ..PAGE },
];

const ABORTS: &str = "aborts the program that plays it";
