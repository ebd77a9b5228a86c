//! The programs in C: each is built where its library is installed, and left out elsewhere.

#[cfg(not(feature = "whole"))]
fn main() {}

#[cfg(feature = "whole")]
fn main() {
    for (library, name) in [
        ("libpq", "libpq"),
        ("libmariadb", "mariadb"),
        ("hiredis", "hiredis"),
        ("rdkafka", "rdkafka"),
        ("libzmq", "zmq"),
        ("libuv", "uv"),
    ] {
        let source = format!("c/{name}.c");
        println!("cargo::rerun-if-changed={source}");
        println!("cargo::rerun-if-changed=c/call.h");
        let Ok(found) = pkg_config::Config::new().cargo_metadata(false).env_metadata(false).probe(library)
        else {
            continue;
        };
        cc::Build::new()
            .file(&source)
            .includes(&found.include_paths)
            .warnings_into_errors(true)
            .compile(&format!("call_{name}"));
        // After the program that uses it.
        for path in &found.link_paths {
            println!("cargo::rustc-link-search=native={}", path.display());
        }
        for library in &found.libs {
            println!("cargo::rustc-link-lib=dylib={library}");
        }
        println!("cargo::rustc-cfg=has_{name}");
    }
}
