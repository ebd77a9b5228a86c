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
/// and then of the core that it leaves in `folder`, which is made and removed. If the kernel writes no core there, or `ABACA_CORE_BY_GDB` is set,
/// gdb makes one, which may lack the stacks: then the list of fibers is compared.
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
    let by_gdb = (!kernel_leaves_cores()).then(|| core_by_gdb(folder, &id));
    let killed = Command::new("kill").args(["-ABRT", &id]).status();
    assert!(killed.expect("there is `kill`").success());
    process.wait().expect("the child is ours");
    let core = std::fs::read_dir(folder).expect("the folder is there").flatten().next();
    match core {
        Some(core) => {
            let text = gdb(&[&this.to_string_lossy(), &core.path().to_string_lossy()]);
            match by_gdb {
                Some(told) if lacks_memory(&told) => {
                    let titles = live
                        .lines()
                        .filter(|line| line.starts_with("fiber "))
                        .filter_map(|line| line.split_once(": "));
                    titles.for_each(|(title, _)| assert!(text.contains(title), "no {title} in {text}"));
                    skip(
                        Tool::Core,
                        "gdb's own core lacks the stacks, whose guards are marks in the page table",
                    );
                }
                _ => {
                    check_one(&text);
                    check(&text);
                }
            }
        }
        None => skip(Tool::Core, &format!("there is none: {by_gdb:?}")),
    }
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

/// Has gdb make the core of a process, and returns what it says.
fn core_by_gdb(folder: &Path, process: &str) -> String {
    let make = format!("gcore {}", folder.join("core-by-gdb").display());
    let made = Command::new("gdb").args(["-q", "-batch", "-nx", "-p", process, "-ex", &make]).output();
    String::from_utf8_lossy(&made.expect("gdb starts").stderr).into_owned()
}

/// Whether a core that gdb has made has less than it should, beside the page of the kernel's that nobody reads.
fn lacks_memory(told: &str) -> bool {
    told.lines().any(|line| line.contains("Memory read failed") && !line.contains("0xffffffffff600000"))
}

/// Whether the kernel writes the core of a process into the folder that is the process's own.
fn kernel_leaves_cores() -> bool {
    if std::env::var_os("ABACA_CORE_BY_GDB").is_some() {
        return false;
    }
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
