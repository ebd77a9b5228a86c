#!/usr/bin/env bash
# Linux TCP: a reset is told once; whoever asks next reads a clean end of file.
#
# One would expect that a connection that was reset stays in error: each read says ECONNRESET.
# The error is taken by the first call that meets it. The next read returns 0, the same as after an orderly close.
# A write takes it too, and so does getsockopt(SO_ERROR), which is what many event loops ask after EPOLLERR.
# It matters to a program with a reader and a writer, or a loop that clears SO_ERROR to log it: the writer or the
# loop takes the reset, and the reader takes a message that was cut for one that is complete.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, os, select, socket, struct, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")

def outcome(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]

listener = socket.create_server(("127.0.0.1", 0))

def reset_connection():
    client = socket.create_connection(listener.getsockname())
    server = listener.accept()[0]
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()  # with a linger time of 0: a reset
    p = select.poll()
    p.register(client, 0)
    p.poll()  # the reset has arrived
    return client

print("Linux", os.uname().release, "after a reset by the peer")
c = reset_connection()
see("read, read", [outcome(c.recv, 1), outcome(c.recv, 1)], ["ECONNRESET", b""])
c = reset_connection()
see("write, read", [outcome(c.send, b"x"), outcome(c.recv, 1)], ["ECONNRESET", b""])
c = reset_connection()
error = errno.errorcode[c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]
see("SO_ERROR, read", [error, outcome(c.recv, 1)], ["ECONNRESET", b""])
PY
python3 "$work/see.py"
