//! Blocks: what code that runs with one finds, and what is left when it ends.

use abaca_tls::support;

#[test]
fn x() {
    let s = support();
    println!("{s:#?}");
}
