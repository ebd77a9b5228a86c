#!/usr/bin/env bash
# Linux Unix stream sockets: a peer that closes with unread input makes your clean end an ECONNRESET.
#
# One would expect a reset of TCP only: a Unix stream socket is a pair of queues in one kernel, and a close says
# "end of file" to the other side.
# If bytes are still unread where close(2) is called, the other side reads what was sent to it, then gets
# ECONNRESET once, and the end of file only afterwards.
# It matters to whoever takes an error for a truncated answer: a server that answers, does not read a trailing
# newline of its request and closes gives a complete answer that a strict client throws away.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, os, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")

def read(s):
    try:
        return s.recv(10)
    except OSError as e:
        return errno.errorcode[e.errno]

def three_reads(unread):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.send(unread)
    theirs.send(b"answer")
    theirs.close()
    return [read(ours) for _ in range(3)]

print("Linux", os.uname().release, "three reads after the peer has answered and closed")
see("it had read all", three_reads(b""), [b"answer", b"", b""])
see("one byte was unread", three_reads(b"\n"), [b"answer", "ECONNRESET", b""])
PY
python3 "$work/see.py"
