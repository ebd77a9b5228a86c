//! `std::net` and `std::os::unix::net`.

use super::Exception::{CompiledOnly, With};
use super::{PAGE, Page};

pub(super) const PAGES: &[Page] = &[
    Page { original: "net/index.html", ours: "net/index.html", ..PAGE },
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
        exceptions: &[("method.set_nonblocking", CompiledOnly(GIVES_UP))],
        lacks: &[("impl TcpStreamExt", "std seals this trait; its methods are the type's own")],
    },
    Page {
        original: "net/struct.TcpListener.html",
        ours: "net/struct.TcpListener.html",
        examples: 12,
        stand_ins: &[
            ("\"127.0.0.1:80\"", "\"127.0.0.1:0\""),
            ("\"127.0.0.1:8080\"", "crate::peer::knocked()"),
            (" 8080)", " crate::peer::vacant_port())"),
            (" 80)", " 0)"),
        ],
        exceptions: &[
            ("main-content", CompiledOnly(ENDLESS)),
            ("method.incoming", CompiledOnly(ENDLESS)),
            ("method.set_nonblocking", CompiledOnly(GIVES_UP)),
        ],
        ..PAGE
    },
    Page { original: "net/struct.Incoming.html", ours: "net/struct.Incoming.html", ..PAGE },
    Page {
        original: "net/trait.ToSocketAddrs.html",
        ours: "net/trait.ToSocketAddrs.html",
        examples: 5,
        ..PAGE
    },
    Page {
        original: "net/struct.UdpSocket.html",
        ours: "net/struct.UdpSocket.html",
        examples: 33,
        stand_ins: &[
            ("\"127.0.0.1:34254\"", "crate::peer::sprinkled()"),
            ("\"127.0.0.1:3400\"", "\"127.0.0.1:0\""),
            ("\"127.0.0.1:8080\"", "crate::peer::source()"),
            ("\"127.0.0.1:4242\"", "crate::peer::source()"),
            (" 34254)", " crate::peer::vacant_port())"),
            (" 3400)", " 0)"),
            ("\"192.168.0.1:41203\"", "\"127.0.0.1:41203\""),
            ("(192, 168, 0, 1)", "(127, 0, 0, 1)"),
        ],
        exceptions: &[
            ("method.set_multicast_loop_v6", With(&[("\"127.0.0.1:34254\"", "\"[::1]:0\"")])),
            ("method.multicast_loop_v6", With(&[("\"127.0.0.1:34254\"", "\"[::1]:0\"")])),
            ("method.set_nonblocking", CompiledOnly(GIVES_UP)),
        ],
        ..PAGE
    },
    Page {
        original: "os/unix/net/struct.UnixStream.html",
        ours: "net/unix/struct.UnixStream.html",
        examples: 16,
        stand_ins: &[
            ("\"/tmp/sock\"", "crate::peer::path()"),
            ("\"/path/to/my/socket\"", "crate::peer::curt_path()"),
            ("\"/path/to/the/socket\"", "\"listener\""),
        ],
        lacks: &[("impl UnixSocketExt", NIGHTLY)],
        ..PAGE
    },
    Page {
        original: "os/unix/net/struct.UnixListener.html",
        ours: "net/unix/struct.UnixListener.html",
        examples: 9,
        stand_ins: &[
            ("\"/path/to/the/socket\"", "crate::peer::knocked_path()"),
            ("\"/tmp/sock\"", "\"listener\""),
        ],
        exceptions: &[
            ("main-content", CompiledOnly(ENDLESS)),
            ("method.incoming", CompiledOnly(ENDLESS)),
            ("method.bind_addr", CompiledOnly(TWICE)),
        ],
        ..PAGE
    },
    Page {
        original: "os/unix/net/struct.Incoming.html",
        ours: "net/unix/struct.Incoming.html",
        examples: 1,
        exceptions: &[("main-content", CompiledOnly(ENDLESS))],
        ..PAGE
    },
    Page {
        original: "os/unix/net/struct.UnixDatagram.html",
        ours: "net/unix/struct.UnixDatagram.html",
        examples: 24,
        stand_ins: &[
            (
                "UnixDatagram::bind(\"/path/to/the/socket\")",
                "UnixDatagram::bind(crate::peer::sprinkled_path())",
            ),
            ("\"/path/to/the/socket\"", "crate::peer::sink_path()"),
            ("\"/path/to/socket\"", "\"receiver\""),
            ("\"/some/sock\"", "crate::peer::sink_path()"),
            ("\"/path/to/my/socket\"", "crate::peer::sprinkled_path()"),
            ("\"/path/to/other/socket\"", "crate::peer::sink_path()"),
        ],
        exceptions: &[
            ("method.bind_addr", CompiledOnly(TWICE)),
            ("method.recv_from", CompiledOnly("receives on a socket without a name, for ever")),
            ("method.shutdown", CompiledOnly("shuts down a socket without a peer, which fails on Linux")),
        ],
        lacks: &[("impl UnixSocketExt", NIGHTLY)],
    },
    Page {
        original: "os/unix/net/struct.SocketAddr.html",
        examples: 7,
        stand_ins: &[("\"/tmp/sock\"", "\"listener\"")],
        ..PAGE
    },
    Page {
        original: "os/linux/net/trait.SocketAddrExt.html",
        examples: 2,
        stand_ins: &[("b\"hidden\"", "&crate::peer::name()")],
        ..PAGE
    },
    Page {
        original: "os/linux/net/trait.TcpStreamExt.html",
        examples: 2,
        stand_ins: &[("\"127.0.0.1:8080\"", "crate::peer::address()")],
        ..PAGE
    },
    Page { original: "net/enum.IpAddr.html", examples: 12, ..PAGE },
    Page { original: "net/struct.Ipv4Addr.html", examples: 22, ..PAGE },
    Page { original: "net/struct.Ipv6Addr.html", examples: 23, ..PAGE },
    Page { original: "net/enum.SocketAddr.html", examples: 8, ..PAGE },
    Page { original: "net/struct.SocketAddrV4.html", examples: 6, ..PAGE },
    Page { original: "net/struct.SocketAddrV6.html", examples: 10, ..PAGE },
    Page { original: "net/struct.AddrParseError.html", examples: 2, ..PAGE },
];

const ENDLESS: &str = "accepts connections for ever";
const NIGHTLY: &str = "the trait is there on nightly only";
const TWICE: &str = "binds one address twice, which fails";
const GIVES_UP: &str = "std's example panics when it would have to wait";
