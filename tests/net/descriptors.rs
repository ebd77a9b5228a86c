//! When descriptors run out. The limit is a process's, so a child has it.

use std::io::{Read, Write};
use std::process::Command;

use abaca::net::{TcpListener, TcpStream};

use super::kinds::on_each_runtime;

/// Set in the child.
const CHILD: &str = "ABACA_TEST_FEW_DESCRIPTORS";

const EMFILE: i32 = 24;

#[test]
fn an_accept_without_descriptors_is_an_error_and_the_connection_waits() {
    let script = r#"ulimit -n 64; exec "$0" --exact "$1" --nocapture"#;
    let name = "descriptors::in_a_child_with_few_descriptors";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("the child did its work"), "{text}");
}

#[test]
fn in_a_child_with_few_descriptors() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    on_each_runtime(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"here").unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        for _ in 0..3 {
            // It comes back each time, without the connection being lost.
            assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(EMFILE));
        }
        drop(hoard);
        let mut text = [0; 4];
        listener.accept().unwrap().0.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"here");
    });
    println!("the child did its work");
}
