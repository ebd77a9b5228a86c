//! Any sequence of file operations says what std says, and leaves the same files.

use std::fmt::Debug;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::{Folder, one_worker};

/// One operation; the numbers choose among a few names, so that operations meet.
#[derive(Clone, Debug)]
enum Step {
    Open { name: usize, options: [bool; 6] },
    Read(usize),
    ReadAll,
    ReadExact(usize),
    Write(Vec<u8>),
    WriteVectored(Vec<u8>, Vec<u8>),
    Seek(i64, usize),
    SetLen(u64),
    Twin,
    Times(u64),
    Measure,
    Lines,
    WriteFile(usize, Vec<u8>),
    ReadFile(usize),
    ReadText(usize),
    Copy(usize, usize),
    Rename(usize, usize),
    HardLink(usize, usize),
    Symlink(usize, usize),
    ReadLink(usize),
    Canonicalize(usize),
    RemoveFile(usize),
    CreateDir(usize),
    CreateDirAll(usize),
    RemoveDir(usize),
    RemoveDirAll(usize),
    List(usize),
    Stat(usize),
    ReadOnly(usize, bool),
}

const NAMES: &[&str] = &["a", "b", "d", "d/a", "d/e", "d/e/f", "missing/x", "a/b", ""];

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let name = || 0..NAMES.len();
    let bytes = || proptest::collection::vec(prop_oneof![Just(b'\n'), b'a'..=b'e', Just(0xff)], 0..40);
    prop_oneof![
        6 => (name(), any::<[bool; 6]>()).prop_map(|(name, options)| Open { name, options }),
        3 => (0..64_usize).prop_map(Read),
        2 => Just(ReadAll),
        2 => (0..64_usize).prop_map(ReadExact),
        4 => bytes().prop_map(Write),
        2 => (bytes(), bytes()).prop_map(|(one, other)| WriteVectored(one, other)),
        3 => (-20..60_i64, 0..3_usize).prop_map(|(by, from)| Seek(by, from)),
        2 => (0..100_u64).prop_map(SetLen),
        1 => Just(Twin),
        1 => (0..2_000_000_000_u64).prop_map(Times),
        2 => Just(Measure),
        1 => Just(Lines),
        4 => (name(), bytes()).prop_map(|(name, bytes)| WriteFile(name, bytes)),
        2 => name().prop_map(ReadFile),
        2 => name().prop_map(ReadText),
        2 => (name(), name()).prop_map(|(from, to)| Copy(from, to)),
        2 => (name(), name()).prop_map(|(from, to)| Rename(from, to)),
        1 => (name(), name()).prop_map(|(from, to)| HardLink(from, to)),
        2 => (name(), name()).prop_map(|(from, to)| Symlink(from, to)),
        1 => name().prop_map(ReadLink),
        1 => name().prop_map(Canonicalize),
        2 => name().prop_map(RemoveFile),
        3 => name().prop_map(CreateDir),
        2 => name().prop_map(CreateDirAll),
        1 => name().prop_map(RemoveDir),
        1 => (1..NAMES.len() - 1).prop_map(RemoveDirAll),
        2 => name().prop_map(List),
        3 => name().prop_map(Stat),
        1 => (name(), any::<bool>()).prop_map(|(name, read_only)| ReadOnly(name, read_only)),
    ]
}

/// A result without what differs between two folders.
fn said<T: Debug>(result: io::Result<T>, root: &Path) -> String {
    let text = match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?} {:?} {error}", error.kind(), error.raw_os_error()),
    };
    text.replace(&*root.to_string_lossy(), "ROOT")
}

/// The result of a call when no file is open.
fn no_file<T>() -> io::Result<T> {
    Err(io::Error::other("no file"))
}

/// Runs `steps` below `root` with the `fs` of `$krate`, and returns what each of them said.
macro_rules! transcript {
    ($krate:ident, $root:expr, $steps:expr) => {{
        use $krate::fs;
        let root: &Path = $root;
        let at = |name: &usize| root.join(NAMES[*name]);
        let mut file: Option<fs::File> = None;
        let mut all = Vec::new();
        for step in $steps {
            let open = file.as_mut();
            all.push(match step {
                Step::Open { name, options: [read, write, append, truncate, create, create_new] } => {
                    let opened = fs::OpenOptions::new()
                        .read(*read)
                        .write(*write)
                        .append(*append)
                        .truncate(*truncate)
                        .create(*create)
                        .create_new(*create_new)
                        .open(at(name));
                    let text = said(opened.as_ref().map(|_| ()).map_err(|e| copy_of(e)), root);
                    file = opened.ok().or(file);
                    text
                }
                Step::Read(len) => {
                    let mut buffer = vec![0; *len];
                    let result = open.map_or_else(no_file, |file| file.read(&mut buffer));
                    format!("{} {buffer:?}", said(result, root))
                }
                Step::ReadAll => {
                    let mut bytes = vec![1];
                    let result = open.map_or_else(no_file, |file| file.read_to_end(&mut bytes));
                    format!("{} {bytes:?}", said(result, root))
                }
                Step::ReadExact(len) => {
                    let mut buffer = vec![0; *len];
                    said(open.map_or_else(no_file, |file| file.read_exact(&mut buffer)), root)
                }
                Step::Write(bytes) => said(open.map_or_else(no_file, |file| file.write(bytes)), root),
                Step::WriteVectored(one, other) => {
                    let slices = [io::IoSlice::new(one), io::IoSlice::new(other)];
                    said(open.map_or_else(no_file, |file| file.write_vectored(&slices)), root)
                }
                Step::Seek(by, from) => {
                    let to = match from {
                        0 => SeekFrom::Start(by.unsigned_abs()),
                        1 => SeekFrom::Current(*by),
                        _ => SeekFrom::End(*by),
                    };
                    said(open.map_or_else(no_file, |file| file.seek(to)), root)
                }
                Step::SetLen(len) => said(open.map_or_else(no_file, |file| file.set_len(*len)), root),
                Step::Twin => {
                    let twin = open.map_or_else(no_file, |file| file.try_clone());
                    let text = said(twin.as_ref().map(|_| ()).map_err(|e| copy_of(e)), root);
                    file = twin.ok();
                    text
                }
                Step::Times(seconds) => {
                    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds);
                    said(open.map_or_else(no_file, |file| file.set_modified(time)), root)
                }
                Step::Measure => {
                    let measured = open.map_or_else(no_file, |file| file.metadata());
                    said(measured.map(|found| (found.len(), found.is_dir(), found.permissions())), root)
                }
                Step::Lines => {
                    let result = open.map_or_else(no_file, |file| {
                        io::BufReader::new(file).lines().collect::<io::Result<Vec<_>>>()
                    });
                    said(result, root)
                }
                Step::WriteFile(name, bytes) => said(fs::write(at(name), bytes), root),
                Step::ReadFile(name) => said(fs::read(at(name)), root),
                Step::ReadText(name) => said(fs::read_to_string(at(name)), root),
                Step::Copy(from, to) => said(fs::copy(at(from), at(to)), root),
                Step::Rename(from, to) => said(fs::rename(at(from), at(to)), root),
                Step::HardLink(from, to) => said(fs::hard_link(at(from), at(to)), root),
                #[allow(deprecated, reason = "both have it")]
                Step::Symlink(from, to) => said(fs::soft_link(NAMES[*from], at(to)), root),
                Step::ReadLink(name) => said(fs::read_link(at(name)), root),
                Step::Canonicalize(name) => said(fs::canonicalize(at(name)), root),
                Step::RemoveFile(name) => said(fs::remove_file(at(name)), root),
                Step::CreateDir(name) => said(fs::create_dir(at(name)), root),
                Step::CreateDirAll(name) => said(fs::create_dir_all(at(name)), root),
                Step::RemoveDir(name) if NAMES[*name].is_empty() => String::new(),
                Step::RemoveDir(name) => said(fs::remove_dir(at(name)), root),
                Step::RemoveDirAll(name) => said(fs::remove_dir_all(at(name)), root),
                Step::List(name) => {
                    let entries = fs::read_dir(at(name)).map(|entries| {
                        let mut found: Vec<_> = entries
                            .map(|entry| entry.unwrap())
                            .map(|entry| (entry.path(), entry.file_name(), entry.file_type().unwrap()))
                            .collect();
                        found.sort_by(|a, b| a.0.cmp(&b.0));
                        found
                    });
                    said(entries, root)
                }
                Step::Stat(name) => {
                    let describe =
                        |found: fs::Metadata| (found.file_type(), found.permissions(), found.is_dir());
                    format!(
                        "{} {} {}",
                        said(fs::metadata(at(name)).map(describe), root),
                        said(fs::symlink_metadata(at(name)).map(describe), root),
                        said(fs::exists(at(name)), root),
                    )
                }
                Step::ReadOnly(name, read_only) => {
                    let result = fs::metadata(at(name)).and_then(|found| {
                        let mut permissions = found.permissions();
                        permissions.set_readonly(*read_only);
                        fs::set_permissions(at(name), permissions)
                    });
                    said(result, root)
                }
            });
        }
        all
    }};
}

fn copy_of(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_says_what_std_says(steps in proptest::collection::vec(step(), 1..40)) {
        let (ours, theirs, threads) = (Folder::new(), Folder::new(), Folder::new());
        let said_by_std = transcript!(std, theirs.path(), &steps);
        let said_by_abaca = one_worker().run(|| transcript!(abaca, ours.path(), &steps));
        prop_assert_eq!(&said_by_abaca, &said_by_std);
        let said_on_a_thread = transcript!(abaca, threads.path(), &steps);
        prop_assert_eq!(&said_on_a_thread, &said_by_std);
    }
}
