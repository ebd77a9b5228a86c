#!/usr/bin/env bash
# Linux SO_RCVLOWAT: poll obeys it for TCP and not for Unix sockets.
#
# One would expect that a socket with a low-water mark of 10 is not readable with 3 bytes, whatever its family:
# socket(7) says so of select, poll and epoll without an exception.
# A Unix stream socket takes the option, shows it when asked, and is readable with the first byte.
# It matters to a reader that uses the mark in order to be woken once a whole record is there: over TCP it saves
# wake-ups, over a Unix socket the same code is woken at each byte, and finds incomplete records. (A read that
# does not wait returns less than the mark in both families.)
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, select, socket, sys

def readable(s):
    p = select.poll()
    p.register(s, select.POLLIN)
    return bool(p.poll(100))

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")

def with_mark(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10)
    s.setblocking(False)
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)

print("Linux", os.uname().release, "low-water mark 10, 3 bytes have arrived")
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
tcp = listener.accept()[0]
a, unix = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
for name, sender, receiver, surprise in ("TCP", client, tcp, False), ("Unix", a, unix, True):
    see(f"{name}: the mark read back", with_mark(receiver), 10)
    sender.send(b"abc")
    see(f"{name}: poll says readable", readable(receiver), surprise)
    see(f"{name}: a read that does not wait", receiver.recv(20), b"abc")
PY
python3 "$work/see.py"
