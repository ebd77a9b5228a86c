//! Turns examples into programs: a generated package under the target directory, one module for each example.
//!
//! All that should compile is one program, built once. An example that fails to compile is found by its file in the
//! compiler's messages, and left out of the next build, so it takes no other down. What should not compile is a
//! program of its own each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The generated package.
pub(crate) struct Stage {
    folder: PathBuf,
}

/// The compiler's messages for each example that it rejects.
pub(crate) type Rejections = BTreeMap<usize, String>;

impl Stage {
    /// A package of this name, with this workspace's lock file.
    pub(crate) fn new(name: &str) -> Self {
        let stage = Self { folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join(name) };
        fs::create_dir_all(stage.folder.join("src")).expect("the target directory is writable");
        let lock = fs::read_to_string(workspace().join("Cargo.lock")).expect("Cargo.lock is committed");
        stage.write("Cargo.lock", &lock);
        stage
    }

    /// Writes the manifest of a package that depends on this abaca.
    fn write_manifest(&self, programs: &str) {
        let abaca = if crate::form().is_unchanged() {
            "[lints.rust]\nunexpected_cfgs = \"allow\"\n".to_owned()
        } else {
            format!("[dependencies.abaca]\npath = {:?}\n", workspace().join("runtime"))
        };
        let manifest = format!(
            "[package]\nname = \"mirrored\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\n\
             [workspace]\n\n[profile.dev]\ndebug = \"line-tables-only\"\n\n\
             [dependencies]\ncrossbeam-channel = \"0.5\"\ncrossbeam-utils = \"0.8\"\n\n{abaca}{programs}"
        );
        self.write("Cargo.toml", &manifest);
    }

    /// Builds the programs: `accepted` as one, each of `rejected` alone. Returns what the compiler said against any.
    pub(crate) fn build(
        &self,
        accepted: &BTreeMap<usize, String>,
        rejected: &BTreeMap<usize, String>,
    ) -> Rejections {
        for (number, code) in accepted {
            let play =
                "pub fn play() -> std::process::ExitCode { std::process::Termination::report(main()) }";
            self.write(&format!("src/e{number}.rs"), &format!("{code}\n\n{play}\n"));
        }
        let mut programs = String::from("\n[[bin]]\nname = \"play\"\npath = \"src/main.rs\"\n");
        for (number, code) in rejected {
            self.write(&format!("src/e{number}.rs"), code);
            programs.push_str(&format!("\n[[bin]]\nname = \"e{number}\"\npath = \"src/e{number}.rs\"\n"));
        }
        self.write_manifest(&programs);
        let runner = if crate::form().is_unchanged() {
            include_str!("runner.rs").replace("abaca::run(play)", "thread::spawn(play).join().unwrap()")
        } else {
            include_str!("runner.rs").to_owned()
        };
        self.write("src/main.rs", &runner);
        self.write("src/peer.rs", include_str!("peer.rs"));

        let mut rejections = Rejections::new();
        loop {
            let left: Vec<_> = accepted.keys().filter(|number| !rejections.contains_key(number)).collect();
            let modules = left.iter().map(|number| format!("#[path = \"e{number}.rs\"]\nmod e{number};\n"));
            let plays = left.iter().map(|number| format!("    ({number}, e{number}::play),\n"));
            self.write(
                "src/examples.rs",
                &format!(
                    "{}\npub const ALL: &[(usize, fn() -> std::process::ExitCode)] = &[\n{}];\n",
                    modules.collect::<String>(),
                    plays.collect::<String>()
                ),
            );
            let (is_built, messages) = self.cargo(&["build", "--bin", "play"]);
            if is_built {
                break;
            }
            let found = errors(&messages);
            assert!(
                found.keys().any(|number| !rejections.contains_key(number)),
                "the examples do not build:\n{messages}"
            );
            rejections.extend(found);
        }
        if !rejected.is_empty() {
            let bins: Vec<_> =
                rejected.keys().flat_map(|number| ["--bin".into(), format!("e{number}")]).collect();
            let mut arguments = vec!["check", "--keep-going"];
            arguments.extend(bins.iter().map(String::as_str));
            rejections.extend(errors(&self.cargo(&arguments).1));
        }
        rejections
    }

    /// The program that plays accepted examples.
    pub(crate) fn program(&self) -> PathBuf {
        self.target().join("debug/play")
    }

    /// An empty folder for an example to run in.
    pub(crate) fn empty_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join("folders").join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).expect("the target directory is writable");
        folder
    }

    /// A source file of a dependency, where cargo keeps it: `crossbeam-channel/src/lib.rs`.
    pub(crate) fn dependency(&self, path: &str) -> String {
        let (name, file) = path.split_once('/').expect("a package and a file");
        self.write_manifest("");
        self.write("src/lib.rs", "//! Nothing: its dependencies are read.");
        let version = crate::form::rustc(&["--version", "--verbose"]);
        let host =
            version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host])
            .current_dir(&self.folder)
            .output()
            .expect("cargo runs");
        let metadata = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let manifest = metadata
            .split("\"manifest_path\":\"")
            .filter_map(|text| text.split('"').next())
            .find(|path| path.contains(&format!("/{name}-")))
            .unwrap_or_else(|| {
                panic!("{name} is no dependency: {}", String::from_utf8_lossy(&output.stderr))
            });
        let path = Path::new(manifest).with_file_name(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The rustdoc pages of abaca and of crossbeam-channel, written by the same rustdoc as std's. Returns their folder.
    pub(crate) fn document(&self) -> PathBuf {
        self.write_manifest("");
        self.write("src/lib.rs", "//! Nothing: its dependencies are documented.");
        let (is_done, messages) =
            self.cargo(&["doc", "--no-deps", "--lib", "-p", "abaca", "-p", "crossbeam-channel"]);
        assert!(is_done, "the documentation does not build:\n{messages}");
        self.target().join("doc")
    }

    /// Writes the report where a reader finds it, and returns its path.
    pub(crate) fn keep_report(&self, text: &str) -> PathBuf {
        self.write("report.txt", text);
        self.folder.join("report.txt")
    }

    fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    fn cargo(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .args(["--offline", "--message-format", "short", "--color", "never", "--target-dir"])
            .arg(self.target())
            // What the examples' package depends on is built where this test is: the workspace has much of it already.
            .env(
                "CARGO_BUILD_BUILD_DIR",
                Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder"),
            )
            .current_dir(&self.folder)
            .output()
            .expect("cargo runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Leaves a file alone that is as it should be, so that cargo sees nothing to build.
    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::write(path, text).expect("the target directory is writable");
        }
    }
}

/// The root of this repository.
pub(crate) fn workspace() -> &'static Path {
    let has_lock = |folder: &&Path| folder.join("Cargo.lock").exists();
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1).find(has_lock).expect("the workspace")
}

/// Lines like `src/e12.rs:5:9: error[E0432]: ..`, by example.
fn errors(messages: &str) -> Rejections {
    let mut rejections = Rejections::new();
    for line in messages.lines() {
        let Some((file, rest)) = line.strip_prefix("src/e").and_then(|line| line.split_once(".rs:")) else {
            continue;
        };
        if let (Ok(number), Some(at)) = (file.parse(), rest.find(": error")) {
            let text: &mut String = rejections.entry(number).or_default();
            text.push_str(if text.is_empty() { "" } else { "\n" });
            text.push_str(&rest[at + 2..]);
        }
    }
    rejections
}
