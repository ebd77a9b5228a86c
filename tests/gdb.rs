//! gdb with the script of this repository, on a process or on a core.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use crate::skip::{Tool, skip};

/// What gdb prints for the commands of the script, on a process (`-p PID`) or a core (the program and the core).
fn gdb(target: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gdb/abaca.py");
    let mut command = Command::new("gdb");
    command.args(["-q", "-batch", "-nx"]).args(target);
    let source = format!("source {}", script.display());
    let one = "python one = next((fiber for fiber in fibers(Layout()) if fiber.id), None)";
    let by_id = format!("python print({ONE:?}), gdb.execute('abaca bt %d' % one.id)");
    let by_address = format!("python gdb.execute('abaca bt %#x' % one.header), print({END:?})");
    for line in [&source, "abaca fibers", "abaca locks", "abaca apply all bt", one, &by_id, &by_address] {
        command.args(["-ex", line]);
    }
    let output = command.output().expect("gdb starts");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

/// What is printed before the backtraces of one fiber, which is asked for by its id and by its address.
const ONE: &str = "one fiber, twice:";
const END: &str = "that was it";

/// The same backtrace twice, of one fiber alone.
fn check_one(text: &str) {
    let twice = text.split_once(ONE).and_then(|(_, rest)| rest.split_once(END));
    let (twice, _) = twice.unwrap_or_else(|| panic!("no fiber has an id in {text}"));
    let parts: Vec<&str> = twice.trim().split("\n\n").map(str::trim).collect();
    let is_one = |part: &&str| part.starts_with("fiber ") && part.matches("spawned at").count() == 1;
    assert!(parts.len() == 2 && parts[0] == parts[1] && is_one(&parts[0]), "{twice}");
    assert!(parts[0].contains("\n#0 ") && parts[0].contains("fiber_start"), "{twice}");
}

/// Whether there is a gdb with Python. Says so if there is none.
pub fn has_gdb() -> bool {
    let asked = Command::new("gdb").args(["-q", "-batch", "-nx", "-ex", "python print(6 * 7)"]).output();
    let found = asked.is_ok_and(|output| output.stdout == b"42\n");
    if !found {
        skip(Tool::Gdb, "there is no gdb with Python");
    }
    found
}

/// Lets each process of this user look at the calling one, where the kernel would let only its parent.
pub fn let_gdb_attach() {
    // SAFETY: it changes who may attach, and nothing else. A kernel that has no such rule refuses.
    #[expect(unsafe_code, reason = "a system call")]
    unsafe {
        libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY);
    }
}

/// Starts this test binary anew by `command`, waits until it says that it is ready, and calls `check` with what gdb shows of the process,
/// and then of the core that it leaves in `folder`, which is made and removed. If the kernel writes no core there, gdb makes one.
pub fn with_gdb(folder: &Path, command: impl FnOnce() -> Command, check: impl Fn(&str)) {
    if !has_gdb() {
        return;
    }
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let this = std::env::current_exe().expect("this test has a path");
    let mut process = command().spawn().expect("the child starts");
    let lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
    let is_ready = lines.map_while(Result::ok).any(|line| line.ends_with("ready"));
    assert!(is_ready, "the child has ended");
    let id = process.id().to_string();
    let live = gdb(&["-p", &id]);
    if live.contains("ptrace: ") || live.contains("Could not attach") {
        skip(Tool::Gdb, "gdb may not attach to a process");
    } else {
        check_one(&live);
        check(&live);
    }
    let by_gdb = (!kernel_leaves_cores()).then(|| {
        println!("the kernel writes no core into the folder of a process here: gdb makes one");
        let core = folder.join("core-by-gdb");
        let make = format!("gcore {}", core.display());
        let made = Command::new("gdb").args(["-q", "-batch", "-nx", "-p", &id, "-ex", &make]).output();
        (core, made.expect("gdb starts"))
    });
    let killed = Command::new("kill").args(["-ABRT", &id]).status();
    assert!(killed.expect("there is `kill`").success());
    process.wait().expect("the child is ours");
    let core = match by_gdb {
        Some((core, made)) => core.exists().then_some(core).ok_or(format!("{made:?}")),
        None => {
            let mut files = std::fs::read_dir(folder).expect("the folder is there").flatten();
            files.next().map(|file| file.path()).ok_or("the kernel has left none".into())
        }
    };
    match core {
        Ok(core) => {
            let text = gdb(&[&this.to_string_lossy(), &core.to_string_lossy()]);
            check_one(&text);
            check(&text);
        }
        Err(why) => skip(Tool::Gdb, &format!("there is no core: {why}")),
    }
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

/// Whether the kernel writes the core of a process into the folder that is the process's own.
fn kernel_leaves_cores() -> bool {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern");
    pattern.is_ok_and(|pattern| !pattern.trim().is_empty() && !pattern.contains(['|', '/', '@']))
}

/// `command` in a shell that lets it leave a core in `folder`, with its output piped.
pub fn leaving_a_core(command: &Command, folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.expect("nothing is taken away"));
    }
    shell.current_dir(folder).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    shell
}
