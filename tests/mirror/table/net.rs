//! `std::net` and `std::os::unix::net`.

use super::Exception::CompiledOnly;
use super::{PAGE, Page};

pub(super) const PAGES: &[Page] = &[
    Page {
        original: "net/struct.TcpStream.html",
        ours: "net/struct.TcpStream.html",
        examples: 20,
        stand_ins: &[
            ("\"127.0.0.1:34254\"", "crate::peer::address()"),
            ("\"127.0.0.1:8080\"", "crate::peer::address()"),
            ("\"127.0.0.1:8000\"", "crate::peer::address()"),
            (" 8080)", " crate::peer::port())"),
        ],
        exceptions: &[("method.set_nonblocking", CompiledOnly(UNFINISHED))],
        lacks: &[("impl TcpStreamExt", "std seals this trait")],
    },
    Page {
        original: "net/struct.TcpListener.html",
        ours: "net/struct.TcpListener.html",
        examples: 12,
        stand_ins: &[
            ("\"127.0.0.1:80\"", "\"127.0.0.1:0\""),
            ("\"127.0.0.1:8080\"", "crate::peer::knocked()"),
            (" 8080)", " crate::peer::knocked_port())"),
            (" 80)", " 0)"),
        ],
        exceptions: &[
            ("main-content", CompiledOnly(ENDLESS)),
            ("method.incoming", CompiledOnly(ENDLESS)),
            ("method.set_nonblocking", CompiledOnly(UNFINISHED)),
        ],
        ..PAGE
    },
    Page { original: "net/struct.Incoming.html", ours: "net/struct.Incoming.html", examples: 0, ..PAGE },
    Page {
        original: "net/trait.ToSocketAddrs.html",
        ours: "net/trait.ToSocketAddrs.html",
        examples: 5,
        ..PAGE
    },
];

const ENDLESS: &str = "accepts connections for ever";
const UNFINISHED: &str = "calls `unimplemented!()` when it would have to wait";
