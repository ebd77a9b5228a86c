#!/usr/bin/env bash
# Linux splice(2): SPLICE_F_NONBLOCK holds for a Unix socket as the source, not for TCP, nor for any socket as the
# target.
#
# One would expect that the flag holds for the pipe only (as the manual hints: the other end "may" block), or for
# both ends; not that it depends on the family of the socket and on the direction.
# From an empty blocking Unix socket the call is EAGAIN, also if only the *pipe* is O_NONBLOCK and no flag was
# given. From an empty TCP socket it waits in both cases. Into a full socket of either family it waits although
# the flag is given.
# It matters to a proxy on descriptors that it does not own (it may not set O_NONBLOCK): tested with Unix sockets
# it never blocks in the reading half, with TCP one silent client stops the loop. MSG_DONTWAIT has no counterpart
# here.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, os, signal, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
class Waits(Exception):
    pass

def alarm(*_):
    raise Waits

signal.signal(signal.SIGALRM, alarm)

def spliced(source, target, flags=os.SPLICE_F_NONBLOCK):
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        return os.splice(source, target, 100, flags=flags)
    except BlockingIOError:
        return "EAGAIN"
    except Waits:
        return "waits"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

def full(s):
    try:
        while True:
            s.send(bytes(65536), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return s

def tcp_pair():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    return client, listener.accept()[0]

print("Linux", os.uname().release, "all sockets are in blocking mode")
reader, writer = os.pipe()
nonblocking = os.pipe2(os.O_NONBLOCK)[1]
one_byte, filler = os.pipe()
os.write(filler, b"x")
for name, (a, b), source in ("Unix", socket.socketpair(), "EAGAIN"), ("TCP", tcp_pair(), "waits"):
    see(f"{name}: from the empty socket, SPLICE_F_NONBLOCK", spliced(a.fileno(), writer), source)
    see(f"{name}: from the empty socket, a pipe with O_NONBLOCK", spliced(a.fileno(), nonblocking, 0), source)
    see(f"{name}: into the full socket, SPLICE_F_NONBLOCK", spliced(one_byte, full(b).fileno()), "waits")
see("from an empty pipe, SPLICE_F_NONBLOCK", spliced(reader, a.fileno()), "EAGAIN")
PY
cd "$work"
python3 see.py
