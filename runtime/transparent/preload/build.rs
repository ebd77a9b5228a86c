//! The library's own calls of the functions that it defines are of these, also in a program that has functions of the same names, as Erlang's has
//! `sigaction`: that calls the next one, which is this library's, which would call the program's again.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic-functions");
    println!("cargo::rerun-if-changed=build.rs");
}
