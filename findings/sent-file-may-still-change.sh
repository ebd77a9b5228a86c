#!/usr/bin/env bash
# Linux sendfile(2): bytes that were "sent" may still change, on Unix sockets too.
#
# One would expect that when sendfile has returned 4096, those 4096 bytes are on their way as they were; write(2)
# works so.
# The socket's queue holds the file's own pages. Until the receiver has read them (TCP over the loopback device
# here), a write to the file changes what arrives; a truncation makes zeros of it.
# It matters to whoever rewrites a file in place after it was served, or frames it with a checksum that was taken
# before: the receiver gets a mixture with the right length. Files that are replaced by rename(2) are safe.
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

def received(pair, change):
    sender, receiver = pair
    file = os.open("file", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(file, b"a" * 4096)
    assert os.sendfile(sender.fileno(), file, 0, 4096) == 4096
    change(file)
    return set(receiver.recv(4096, socket.MSG_WAITALL))

print("Linux", os.uname().release, "4096 times a is sent from a file; what arrives if afterwards")
for name, pair in ("TCP", tcp_pair), ("Unix", socket.socketpair):
    see(f"{name}: the file is left alone", received(pair(), lambda f: None), {ord("a")})
    see(f"{name}: b is written over it", received(pair(), lambda f: os.pwrite(f, b"b" * 4096, 0)), {ord("b")})
    see(f"{name}: it is cut to one byte", received(pair(), lambda f: os.ftruncate(f, 1)), {ord("a"), 0})
PY
cd "$work"
python3 see.py
