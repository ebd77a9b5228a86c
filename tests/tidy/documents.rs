//! The documents: their commands run, their paths exist, the changelog is ready for the next change.

use super::{assert_none, files, read, root, rust_files};

/// The code in a document: lines of fenced blocks (without their comments) and spans between backticks.
fn code(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push(line.split(" #").next().expect("text").trim());
        } else {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// What is wrong with a command line that a reader may copy.
fn fault(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let value = |option: &str| {
        let at = words.iter().position(|word| *word == option)?;
        words.get(at + 1).copied()
    };
    if words.first() == Some(&"bash") {
        let script = words.get(1)?;
        let Ok(text) = std::fs::read_to_string(root().join(script)) else {
            return Some(format!("no {script}"));
        };
        let mut steps = words[2..].iter().filter(|step| !step.starts_with('['));
        return steps
            .find(|step| !text.contains(&format!("\n{step}() ")))
            .map(|step| format!("no step {step}"));
    }
    // The lab is a workspace of its own, which is named; all other packages are in the one at the root.
    let manifest = value("--manifest-path").unwrap_or("Cargo.toml");
    if !root().join(manifest).exists() {
        return Some(format!("no {manifest}"));
    }
    let manifests = || {
        let manifests = files("").into_iter().filter(|file| file.path.ends_with("Cargo.toml"));
        let of_lab = |path: &str| path.starts_with("benches/lab/");
        manifests.filter(move |file| of_lab(&file.path) == of_lab(manifest)).filter(|file| {
            value("-p")
                .is_none_or(|package| file.text.contains(&format!("[package]\nname = \"{package}\"\n")))
        })
    };
    if manifests().next().is_none() {
        return Some(format!("no package {}", value("-p").unwrap_or_default()));
    }
    ["example", "bin", "bench", "test"].into_iter().find_map(|kind| {
        let name = value(&format!("--{kind}"))?;
        let target = format!("[[{kind}]]\nname = \"{name}\"\n");
        // Cargo finds a test beside the manifest that does not name it.
        let beside = |manifest: &str| {
            kind == "test"
                && root().join(manifest).with_file_name("tests").join(format!("{name}.rs")).exists()
        };
        let exists = manifests().any(|file| file.text.contains(&target) || beside(&file.path));
        (!exists).then(|| format!("no {kind} {name}"))
    })
}

#[test]
fn faults_of_commands_are_found() {
    for good in [
        "cargo run --release --example c10k",
        "cargo test --workspace",
        "cargo test --manifest-path benches/lab/Cargo.toml --test load",
        "bash .ci/run lint models",
    ] {
        assert_eq!(fault(good), None, "{good}");
    }
    for bad in [
        "cargo run --example c11k",
        "cargo test -p abacus",
        "cargo test --manifest-path benches/lab/Cargo.toml --test lode",
        "cargo test --manifest-path benches/lap/Cargo.toml",
        "cargo test -p abaca-lab",
        "cargo run -p abaca --bin x",
        "bash .ci/run fly",
    ] {
        assert!(fault(bad).is_some(), "{bad}");
    }
    assert_eq!(code("a `b` c `d`\n```sh\ne  # f\n```\ng"), ["b", "d", "e"]);
}

#[test]
fn commands_in_documents_name_what_exists() {
    let mut wrong = Vec::new();
    for file in files("").iter().filter(|file| file.path.ends_with(".md")) {
        let commands = code(&file.text)
            .into_iter()
            .filter(|code| code.starts_with("cargo ") || code.starts_with("bash ") && code.contains('/'));
        wrong.extend(
            commands.filter_map(|command| Some(format!("{}: {command}: {}", file.path, fault(command)?))),
        );
    }
    assert_none(&wrong, "a reader copies these commands:");
}

#[test]
fn paths_in_documents_exist() {
    let rooms = ["asm/", "runtime/", "examples/", "benches/", "tests/", ".ci/"];
    let is_path = |code: &&str| {
        rooms.iter().any(|room| code.starts_with(room))
            && code.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    };
    let mut wrong = Vec::new();
    for file in files("").iter().filter(|file| file.path.ends_with(".md")) {
        let beside = root().join(&file.path).parent().expect("a folder").to_path_buf();
        let missing = |path: &&str| !root().join(path).exists() && !beside.join(path).exists();
        wrong.extend(
            code(&file.text)
                .into_iter()
                .filter(is_path)
                .filter(missing)
                .map(|path| format!("{}: {path}", file.path)),
        );
    }
    assert_none(&wrong, "the file has moved; say where it is now:");
}

/// The bodies of fenced blocks whose info strings have this word.
fn blocks<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let block =
        |part: &'a str| part.split_once('\n').filter(|(info, _)| info.split(',').any(|it| it == word));
    text.split("```").skip(1).step_by(2).filter_map(block).map(|(_, body)| body).collect()
}

/// abaca cannot depend on abaca-transparent, which has the README's programs among its tests.
#[test]
fn programs_that_their_own_crate_cannot_compile_are_in_the_readme() {
    assert_eq!(blocks("a\n```ignore\nb\n```\n```c\nd\n```\n", "ignore"), ["b\n"]);
    let readme = read("README.md");
    let tested = read("runtime/transparent/src/lib.rs");
    assert!(tested.contains("#[cfg(doctest)]\n#[doc = include_str!(\"../../../README.md\")]"));
    let mut wrong = Vec::new();
    for file in files("").iter().filter(|file| file.path.ends_with(".md")) {
        let is_guide = file.path.starts_with("runtime/guide/");
        let untested = blocks(&file.text, "ignore").into_iter();
        wrong.extend(
            untested
                .filter(|block| !is_guide || !blocks(&readme, "rust").contains(block))
                .map(|block| format!("{}: {block}", file.path)),
        );
    }
    assert_none(&wrong, "a program that nobody compiles is wrong sooner or later:");
}

#[test]
fn a_newcomer_finds_the_two_commands_and_ci_runs_them() {
    let readme = read("README.md");
    for command in ["cargo run --release -p abaca-demo", "cargo test --workspace"] {
        assert!(code(&readme).contains(&command), "README.md shows `{command}`");
    }
    let ci = read(".ci/run");
    assert!(ci.contains("cargo test --workspace"), ".ci/run calls the README's test command");
    assert!(
        ci.contains("--cfg loom") && ci.contains(" model "),
        ".ci/run runs every loom model, by the filter `model`"
    );
}

#[test]
fn loom_models_have_the_name_that_ci_runs() {
    let mut wrong = Vec::new();
    for file in super::rust_files("runtime/src") {
        let mut lines = file.text.lines();
        while let Some(line) = lines.next() {
            let item = if line == "#[cfg(all(test, loom))]" { lines.next().unwrap_or("") } else { continue };
            let name =
                item.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").strip_prefix("mod ");
            if name.is_some_and(|name| !name.starts_with("model")) {
                wrong.push(format!("{}: {item}", file.path));
            }
        }
    }
    assert_none(&wrong, "name it `model`, or `model_..`: .ci/run selects the models by that");
}

#[test]
fn the_changelog_has_unreleased_on_top() {
    let text = read("CHANGELOG.md");
    let first = text.lines().find(|line| line.starts_with("## "));
    assert_eq!(first, Some("## Unreleased"), "CHANGELOG.md: put what changed under `## Unreleased`, on top");
}

#[test]
fn what_a_project_owes_its_readers_is_there() {
    for file in
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.lock"]
    {
        assert!(read(file).lines().count() > 10, "{file} is empty");
    }
    assert!(read("LICENSE-MIT").contains("The abaca developers"), "LICENSE-MIT names its holders");
}

#[test]
fn the_toolchain_is_the_oldest_that_the_manifests_promise() {
    let value = |file: &str, key: &str| {
        let text = read(file);
        let line =
            text.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{file} has {key}"));
        line.split('"').nth(1).expect("a value in quotes").to_owned()
    };
    let (pinned, promised) = (value("rust-toolchain.toml", "channel"), value("Cargo.toml", "rust-version"));
    assert!(
        pinned == promised || pinned == format!("{promised}.0"),
        "{pinned} is pinned, {promised} promised"
    );
}

/// `abaca` has this module under its own name, and rustdoc shows the examples as they are.
#[test]
fn examples_of_coroutines_name_the_crate_that_most_readers_have() {
    let wrong: Vec<_> = rust_files("asm/src/coroutine")
        .flat_map(|file| {
            let shown = |line: &&str| {
                let text = line.trim_start().trim_start_matches('/').trim_start_matches('!').trim_start();
                line.trim_start().starts_with("//") && !text.starts_with('#') && text.contains("abaca_asm::")
            };
            file.text.lines().filter(shown).map(|line| format!("{}: {line}", file.path)).collect::<Vec<_>>()
        })
        .collect();
    assert_none(&wrong, "write `# use abaca_asm as abaca;`, and then `abaca::coroutine`:");
}
