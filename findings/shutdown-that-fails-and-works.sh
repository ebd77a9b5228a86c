#!/usr/bin/env bash
# Linux shutdown(2): on a socket without a connection it fails with ENOTCONN, and takes effect all the same.
#
# One would expect that a call which fails has changed nothing.
# A UDP socket that is not connected: after the failed shutdown(SHUT_RD) poll says readable for ever while recv
# says EAGAIN (datagrams that arrive are still received), and after SHUT_WR sendto is EPIPE. A new TCP socket:
# after the failed shutdown(SHUT_WR) connect(2) works, but the first write is EPIPE, and the peer, which is told
# nothing, waits. A Unix socket says success.
# It matters to clean-up code that shuts down "just in case" and goes on using the socket if it was not connected
# yet, and to an event loop in which such a UDP socket is: it spins.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, os, select, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
def outcome(call, *args):
    try:
        return call(*args) or "works"
    except OSError as e:
        return errno.errorcode[e.errno]

def readable(s):
    p = select.poll()
    p.register(s, select.POLLIN)
    return any(events & select.POLLIN for _, events in p.poll(0))

def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.setblocking(False)
    return s

print("Linux", os.uname().release)
a, b = udp(), udp()
see("UDP: shutdown(SHUT_RD)", outcome(a.shutdown, socket.SHUT_RD), "ENOTCONN")
see("UDP: poll says readable, recv", (readable(a), outcome(a.recv, 10)), (True, "EAGAIN"))
b.sendto(b"hello", a.getsockname())
see("UDP: a datagram was sent to it, recv", outcome(a.recv, 10), b"hello")
see("UDP: shutdown(SHUT_WR)", outcome(a.shutdown, socket.SHUT_WR), "ENOTCONN")
see("UDP: sendto", outcome(a.sendto, b"x", b.getsockname()), "EPIPE")

listener = socket.create_server(("127.0.0.1", 0))
client = socket.socket()
see("TCP: shutdown(SHUT_WR)", outcome(client.shutdown, socket.SHUT_WR), "ENOTCONN")
see("TCP: connect", outcome(client.connect, listener.getsockname()), "works")
see("TCP: write", outcome(client.send, b"x"), "EPIPE")
server = listener.accept()[0]
server.setblocking(False)
see("TCP: the peer reads", outcome(server.recv, 1), "EAGAIN")

unix = socket.socket(socket.AF_UNIX)
see("Unix: shutdown(SHUT_WR)", outcome(unix.shutdown, socket.SHUT_WR), "works")
PY
cd "$work"
python3 see.py
