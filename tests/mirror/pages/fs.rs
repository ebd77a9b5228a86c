//! `std::fs`. Each example has a folder of its own with some files; see `play::FILES`.

use super::Exception::{CompiledOnly, With};
use super::{PAGE, Page};

pub(super) const PAGES: &[Page] = &[
    Page { original: "fs/index.html", ours: "fs/index.html", ..PAGE },
    Page {
        original: "fs/fn.canonicalize.html",
        ours: "fs/fn.canonicalize.html",
        examples: 1,
        stand_ins: &[("\"../a/../foo.txt\"", "\"empty/../foo.txt\"")],
        ..PAGE
    },
    Page { original: "fs/fn.copy.html", ours: "fs/fn.copy.html", examples: 1, ..PAGE },
    Page {
        original: "fs/fn.create_dir.html",
        ours: "fs/fn.create_dir.html",
        examples: 1,
        stand_ins: SOME_DIR,
        ..PAGE
    },
    Page {
        original: "fs/fn.create_dir_all.html",
        ours: "fs/fn.create_dir_all.html",
        examples: 1,
        stand_ins: SOME_DIR,
        ..PAGE
    },
    Page {
        original: "fs/fn.exists.html",
        ours: "fs/fn.exists.html",
        examples: 1,
        exceptions: &[("main-content", CompiledOnly("depends on who runs it"))],
        ..PAGE
    },
    Page { original: "fs/fn.hard_link.html", ours: "fs/fn.hard_link.html", examples: 1, ..PAGE },
    Page {
        original: "fs/fn.metadata.html",
        ours: "fs/fn.metadata.html",
        examples: 1,
        stand_ins: SOME_FILE,
        ..PAGE
    },
    Page { original: "fs/fn.read.html", ours: "fs/fn.read.html", examples: 1, ..PAGE },
    Page { original: "fs/fn.read_dir.html", ours: "fs/fn.read_dir.html", examples: 2, ..PAGE },
    Page {
        original: "fs/fn.read_link.html",
        ours: "fs/fn.read_link.html",
        examples: 1,
        stand_ins: &[("\"a.txt\"", "\"symlink.txt\"")],
        ..PAGE
    },
    Page { original: "fs/fn.read_to_string.html", ours: "fs/fn.read_to_string.html", examples: 1, ..PAGE },
    Page {
        original: "fs/fn.remove_dir.html",
        ours: "fs/fn.remove_dir.html",
        examples: 1,
        stand_ins: &[("\"/some/dir\"", "\"empty\"")],
        ..PAGE
    },
    Page {
        original: "fs/fn.remove_dir_all.html",
        ours: "fs/fn.remove_dir_all.html",
        examples: 1,
        stand_ins: &[("\"/some/dir\"", "\"empty\"")],
        ..PAGE
    },
    Page { original: "fs/fn.remove_file.html", ours: "fs/fn.remove_file.html", examples: 1, ..PAGE },
    Page { original: "fs/fn.rename.html", ours: "fs/fn.rename.html", examples: 1, ..PAGE },
    Page { original: "fs/fn.set_permissions.html", ours: "fs/fn.set_permissions.html", examples: 1, ..PAGE },
    Page { original: "fs/fn.soft_link.html", ours: "fs/fn.soft_link.html", examples: 1, ..PAGE },
    Page {
        original: "fs/fn.symlink_metadata.html",
        ours: "fs/fn.symlink_metadata.html",
        examples: 1,
        stand_ins: SOME_FILE,
        ..PAGE
    },
    Page { original: "fs/fn.write.html", ours: "fs/fn.write.html", examples: 1, ..PAGE },
    Page {
        original: "fs/struct.DirBuilder.html",
        ours: "fs/struct.DirBuilder.html",
        examples: 3,
        stand_ins: &[("\"/tmp/foo/bar/baz\"", "\"new/bar/baz\"")],
        ..PAGE
    },
    Page {
        original: "fs/struct.DirEntry.html",
        ours: "fs/struct.DirEntry.html",
        examples: 4,
        lacks: &[("impl DirEntryExt2", "the trait is there on nightly only")],
        ..PAGE
    },
    Page { original: "fs/struct.ReadDir.html", ours: "fs/struct.ReadDir.html", ..PAGE },
    Page {
        original: "fs/struct.File.html",
        ours: "fs/struct.File.html",
        examples: 21,
        lacks: &[("impl IsTerminal", "std seals this trait")],
        exceptions: &[
            ("method.create_new", With(&[("\"foo.txt\"", "\"new.txt\"")])),
            ("method.options", With(&[("\"example.log\"", "\"foo.txt\"")])),
            ("method.try_clone#1", With(&[("\"foo.txt\"", "\"abcdef.txt\"")])),
            ("method.set_times", With(&[("\"src\"", "\"empty\""), ("\"dest\"", "\"foo.txt\"")])),
        ],
        ..PAGE
    },
    Page { original: "fs/struct.FileType.html", examples: 3, ..PAGE },
    Page {
        original: "fs/struct.Metadata.html",
        examples: 9,
        exceptions: &[("method.len", With(&[("\"foo.txt\"", "\"empty.txt\"")]))],
        ..PAGE
    },
    Page { original: "fs/struct.OpenOptions.html", ours: "fs/struct.OpenOptions.html", examples: 10, ..PAGE },
    Page { original: "fs/struct.Permissions.html", examples: 2, ..PAGE },
    Page { original: "os/unix/fs/fn.symlink.html", examples: 1, ..PAGE },
    Page { original: "os/unix/fs/trait.DirBuilderExt.html", examples: 1, ..PAGE },
    Page { original: "os/unix/fs/trait.DirEntryExt.html", examples: 1, ..PAGE },
    Page {
        original: "os/unix/fs/trait.FileExt.html",
        examples: 5,
        exceptions: &[
            ("method.read_exact_at", With(&[("\"foo.txt\"", "\"long.txt\"")])),
            ("method.write_all_at", CompiledOnly("writes to a file that is open for reading, which fails")),
        ],
        ..PAGE
    },
    Page { original: "os/unix/fs/trait.OpenOptionsExt.html", examples: 2, ..PAGE },
    Page { original: "os/unix/fs/trait.PermissionsExt.html", examples: 2, ..PAGE },
    Page {
        original: "os/unix/fs/trait.FileTypeExt.html",
        examples: 4,
        stand_ins: &[
            ("\"char_device_file\"", "\"/dev/null\""),
            ("\"fifo_file\"", "\"/dev/stdin\""),
            ("\"unix.socket\"", "crate::peer::path()"),
        ],
        exceptions: &[("tymethod.is_block_device", CompiledOnly("not every machine has one to look at"))],
        ..PAGE
    },
    Page {
        original: "os/unix/fs/trait.MetadataExt.html",
        examples: 16,
        stand_ins: &[("\"some_file\"", "\"foo.txt\"")],
        ..PAGE
    },
];

const SOME_DIR: &[(&str, &str)] = &[("\"/some/dir\"", "\"new\"")];
const SOME_FILE: &[(&str, &str)] = &[("\"/some/file/path.txt\"", "\"foo.txt\"")];
