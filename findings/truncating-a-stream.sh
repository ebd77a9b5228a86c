#!/usr/bin/env bash
# Linux: recv(MSG_TRUNC) on a stream throws bytes away (TCP), or is an ordinary read (Unix).
#
# One would expect that MSG_TRUNC, which asks for the real length of a datagram, means nothing on a stream, or the
# same on all streams.
# On a TCP socket the bytes are taken out of the stream and are *not* written to the buffer: the call returns 3
# and the buffer is as it was. On a Unix stream the flag is ignored and the bytes are there.
# It matters to code that passes MSG_TRUNC always, to learn about cut datagrams: over TCP it reads old memory as
# if it had been received. (As a fast way to skip input it works over TCP, and a caller that shares the code must
# copy over Unix.)
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import os, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
def tcp_pair():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    return client, listener.accept()[0]

print("Linux", os.uname().release, "abcdef has been sent; recv of 3 bytes with MSG_TRUNC into a buffer of dots")
for name, (sender, receiver), surprise in ("TCP", tcp_pair(), b"..."), ("Unix", socket.socketpair(), b"abc"):
    sender.send(b"abcdef")
    buffer = bytearray(b"...")
    see(f"{name}: returned", receiver.recv_into(buffer, 3, socket.MSG_TRUNC), 3)
    see(f"{name}: the buffer", bytes(buffer), surprise)
    see(f"{name}: the next read", receiver.recv(10), b"def")
PY
cd "$work"
python3 see.py
