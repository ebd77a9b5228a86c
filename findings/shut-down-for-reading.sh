#!/usr/bin/env bash
# Linux shutdown(SHUT_RD): no end on TCP, no wake-up on Unix sockets.
#
# One would expect that after shutdown(SHUT_RD) reads return the end of file for good, and that the peer's writes
# fail (or are thrown away) in both families, a peer that waits for room included.
# TCP: read returns the end of file while nothing is there, but bytes that arrive later are acknowledged and can
# be read: an end of file that is followed by data. The peer is told nothing. Unix stream: the peer's next write
# is EPIPE, and what had arrived before is still readable; but a peer that waits in epoll for room is not woken,
# although a write would now end at once (with EPIPE).
# It matters to a server that uses SHUT_RD to end idle connections: a TCP client can still slip a request in, and
# a Unix client that waits for room waits until the socket is closed.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, fcntl, os, select, socket, sys, termios

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")

def outcome(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]

print("Linux", os.uname().release)
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]
server.shutdown(socket.SHUT_RD)
see("TCP: read after SHUT_RD", server.recv(10), b"")
see("TCP: the peer writes", outcome(client.send, b"later"), 5)
while fcntl.ioctl(server, termios.FIONREAD, bytes(4)) == bytes(4):
    pass
see("TCP: reads after that", [server.recv(10), server.recv(10)], [b"later", b""])

a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
a.setblocking(False)
while outcome(a.send, bytes(4096)) != "EAGAIN":
    pass
waiting = select.epoll()
waiting.register(a, select.EPOLLOUT)
see("Unix: events for a writer without room", waiting.poll(0), [])
b.shutdown(socket.SHUT_RD)
see("Unix: events once the peer has shut down reading", waiting.poll(0.2), [])
see("Unix: its write all the same", outcome(a.send, b"x"), "EPIPE")
see("Unix: the peer still reads what had arrived", len(b.recv(4096)), 4096)
PY
python3 "$work/see.py"
