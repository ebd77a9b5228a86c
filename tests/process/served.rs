//! Files that a program serves (FUSE): whoever asks for anything about them waits for that program, which may hang. So no such
//! request may come from a worker.

#![expect(unsafe_code, reason = "makes namespaces, mounts, and speaks the protocol of FUSE")]

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use abaca::Runtime;
use abaca::fs;
use abaca::net::unix::SocketAncillary;
use abaca::net::{UnixDatagram, UnixListener, UnixStream};

use super::{command, is_child, stdout};

/// The nodes: the root, whose file has whatever name it is asked for by.
const ROOT: u64 = 1;
const FILE: u64 = 2;
const SOCKET: u64 = 3;

/// Operations of the protocol.
mod operation {
    pub(super) const LOOKUP: u32 = 1;
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const SETATTR: u32 = 4;
    pub(super) const MKNOD: u32 = 8;
    pub(super) const OPEN: u32 = 14;
    pub(super) const READ: u32 = 15;
    pub(super) const WRITE: u32 = 16;
    pub(super) const STATFS: u32 = 17;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FSYNC: u32 = 20;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const INTERRUPT: u32 = 36;
    pub(super) const FORGET_MANY: u32 = 42;
}

/// The bytes of an answer.
#[derive(Default)]
struct Answer(Vec<u8>);

impl Answer {
    fn words(mut self, words: &[u32]) -> Self {
        words.iter().for_each(|word| self.0.extend(word.to_ne_bytes()));
        self
    }

    fn longs(mut self, longs: &[u64]) -> Self {
        longs.iter().for_each(|long| self.0.extend(long.to_ne_bytes()));
        self
    }

    /// `fuse_attr`.
    fn about(self, node: u64) -> Self {
        let mode = match node {
            ROOT => libc::S_IFDIR | 0o777,
            SOCKET => libc::S_IFSOCK | 0o777,
            _ => libc::S_IFREG | 0o777,
        };
        self.longs(&[node, 8, 1, 0, 0, 0]).words(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0])
    }

    /// `fuse_entry_out`, which the kernel is not to remember.
    fn entry(node: u64) -> Self {
        Self::default().longs(&[node, 0, 0, 0]).words(&[0, 0]).about(node)
    }
}

/// Who has asked for what.
type Requests = Arc<Mutex<BTreeSet<(u32, u32)>>>;

/// Answers until the file system is gone.
fn serve(mut device: File, requests: &Requests) {
    let mut buffer = vec![0; 1 << 17];
    loop {
        let Ok(length) = device.read(&mut buffer) else { return };
        let request = &buffer[..length];
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap());
        let (operation, unique, node, caller) = (word(4), long(8), long(16), word(32));
        requests.lock().unwrap().insert((caller, operation));
        let answer = match operation {
            operation::FORGET | operation::FORGET_MANY | operation::INTERRUPT => continue,
            operation::INIT => Ok(Answer::default().words(&[7, 31, 0, 0, 0, 1 << 16, 1, 0]).longs(&[0; 4])),
            operation::LOOKUP if request[40..].starts_with(b"socket") => Ok(Answer::entry(SOCKET)),
            operation::LOOKUP if request[40..].starts_with(b"new") => Err(libc::ENOENT),
            operation::LOOKUP => Ok(Answer::entry(FILE)),
            operation::MKNOD => Ok(Answer::entry(SOCKET)),
            operation::GETATTR | operation::SETATTR => {
                Ok(Answer::default().longs(&[0]).words(&[0, 0]).about(node))
            }
            operation::OPEN => Ok(Answer::default().longs(&[0]).words(&[0, 0])),
            operation::READ => Ok(Answer(b"contents".to_vec())),
            operation::WRITE => Ok(Answer::default().words(&[word(40 + 16), 0])),
            operation::STATFS => {
                Ok(Answer::default().longs(&[0; 5]).words(&[4096, 255, 0, 0]).words(&[0; 6]))
            }
            operation::FLUSH | operation::RELEASE | operation::FSYNC => Ok(Answer::default()),
            _ => Err(libc::ENOSYS),
        };
        let (error, bytes) = answer.map_or_else(|errno| (-errno, Vec::new()), |answer| (0, answer.0));
        let head = Answer::default().words(&[16 + bytes.len() as u32, error as u32]).longs(&[unique]);
        // If the caller has been interrupted, nobody hears it.
        let _ = device.write_vectored(&[IoSlice::new(&head.0), IoSlice::new(&bytes)]);
    }
}

/// Mounts a file system that this process serves, where nobody else sees it; `None` where that is forbidden.
fn mount() -> Option<(PathBuf, Requests, JoinHandle<()>)> {
    let path = std::env::temp_dir().join(format!("abaca-served-{}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
    let options =
        CString::new(format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd())).unwrap();
    let target = CString::new(path.to_str().unwrap()).unwrap();
    let (source, kind) = (c"abaca".as_ptr(), c"fuse".as_ptr());
    let (none, all) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
    // SAFETY: all are live strings that end with 0. Nobody else learns of the second, because of the first.
    let is_mounted = unsafe {
        libc::mount(none, c"/".as_ptr(), none, all, none.cast()) == 0
            && libc::mount(source, target.as_ptr(), kind, 0, options.as_ptr().cast()) == 0
    };
    if !is_mounted {
        let _ = std::fs::remove_dir(&path);
        return None;
    }
    let requests = Requests::default();
    let theirs = Arc::clone(&requests);
    let server = std::thread::spawn(move || serve(device, &theirs));
    Some((path, requests, server))
}

/// The thread that calls, as the kernel knows it.
fn thread_id() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

fn use_files(folder: &Path) {
    let mut file = fs::File::options().read(true).write(true).open(folder.join("file")).unwrap();
    assert_eq!(file.read(&mut [0; 4]).unwrap(), 4);
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    file.write_all(b"something").unwrap();
    file.flush().unwrap();
    assert!(!file.is_terminal());
    file.metadata().unwrap();
    file.set_len(4).unwrap();
    let _ = file.sync_all();
    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(b"to the file").unwrap();
    drop(near);
    let _ = abaca::io::copy_fd(&far, &file);
    let (near, _far) = UnixStream::pair().unwrap();
    let _ = abaca::io::copy_fd(&fs::File::open(folder.join("file")).unwrap(), &near);
    drop(file.try_clone().unwrap());
    drop(file);
    // One of which nothing is known.
    let file = fs::File::from(opened(folder));
    assert_eq!((&file).read(&mut [0; 4]).unwrap(), 4);
    drop(file);
    let (near, far) = UnixStream::pair().unwrap();
    let sent = opened(folder);
    let mut buffer = [0; 128];
    let mut ancillary = SocketAncillary::new(&mut buffer);
    assert!(ancillary.add_fds(&[sent.as_fd()]));
    near.send_vectored_with_ancillary(&[IoSlice::new(b"x")], &mut ancillary).unwrap();
    drop(ancillary);
    abaca::blocking::run(move || drop(sent));
    let mut buffer = [0; 128];
    let mut ancillary = SocketAncillary::new(&mut buffer);
    far.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut [0; 2])], &mut ancillary).unwrap();
    ancillary.clear();
    if let Ok(entries) = fs::read_dir(folder) {
        entries.for_each(drop);
    }
    let _ = fs::exists(folder.join("file"));
    let _ = fs::read(folder.join("file"));
    let _ = fs::write(folder.join("file"), b"contents");
    let _ = fs::copy(folder.join("file"), folder.join("other"));
    let _ = fs::canonicalize(folder.join("file"));
    let _ = fs::remove_file(folder.join("file"));
}

/// The file, opened by std where that may wait.
fn opened(folder: &Path) -> File {
    abaca::blocking::run(|| File::options().read(true).write(true).open(folder.join("file")).unwrap())
}

fn use_sockets(folder: &Path) {
    let path = folder.join("socket");
    // Nobody has bound it.
    assert!(UnixStream::connect(&path).is_err());
    let socket = UnixDatagram::unbound().unwrap();
    assert!(socket.connect(&path).is_err());
    assert!(socket.send_to(b"datagram", &path).is_err());
    let mut ancillary = SocketAncillary::new(&mut []);
    assert!(socket.send_vectored_with_ancillary_to(&[IoSlice::new(b"x")], &mut ancillary, &path).is_err());
    let address = std::os::unix::net::SocketAddr::from_pathname(&path).unwrap();
    assert!(UnixStream::connect_addr(&address).is_err());
    assert!(socket.connect_addr(&address).is_err());
    assert!(socket.send_to_addr(b"datagram", &address).is_err());
    UnixListener::bind(folder.join("new one")).unwrap();
    UnixDatagram::bind(folder.join("new two")).unwrap();
    let address = std::os::unix::net::SocketAddr::from_pathname(folder.join("new three")).unwrap();
    UnixListener::bind_addr(&address).unwrap();
    let address = std::os::unix::net::SocketAddr::from_pathname(folder.join("new four")).unwrap();
    UnixDatagram::bind_addr(&address).unwrap();
}

#[test]
fn no_worker_waits_for_a_program_that_serves_files() {
    if is_child() {
        let Some((folder, requests, server)) = mount() else {
            abaca_tests::skip(abaca_tests::Tool::Root, "it cannot mount");
            return;
        };
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let worker = runtime.run(|| {
            use_files(&folder);
            use_sockets(&folder);
            thread_id()
        });
        drop(runtime);
        let requests: Vec<_> = requests.lock().unwrap().iter().copied().collect();
        let theirs: Vec<_> = requests.iter().filter(|(caller, _)| *caller == worker).collect();
        println!("{} requests, of the worker: {theirs:?}", requests.len());
        let path = CString::new(folder.to_str().unwrap()).unwrap();
        // SAFETY: a live string that ends with 0.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        server.join().unwrap();
        let _ = std::fs::remove_dir(&folder);
        return;
    }
    let mut command = command("served::no_worker_waits_for_a_program_that_serves_files");
    // SAFETY: unshare(2) takes flags, and neither allocates nor locks.
    unsafe {
        command.pre_exec(|| {
            if libc::unshare(libc::CLONE_NEWNS) != 0
                && libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) != 0
            {
                // The mount will be refused.
                return Ok(());
            }
            Ok(())
        });
    }
    let output = command.output().expect("the child starts");
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    let is_clean = text.contains("of the worker: []") && !text.contains("\n0 requests");
    assert!(is_clean || text.contains("cannot mount here"), "{text}");
}
