#!/usr/bin/env bash
# Linux connect(2) called again on a non-blocking TCP socket: 0 first, EISCONN later, and a failure starts anew.
#
# One would expect EISCONN from a second connect(2) once the connection is there (POSIX says so), and the same
# error again and again once it has failed.
# The second call returns 0, only the third EISCONN. After a failure the call that reports it also forgets it: the
# next one sends a new SYN and says EINPROGRESS.
# It matters to code that calls connect(2) again in order to learn the outcome: a test for
# EISCONN alone misses success, and a loop "until it is no longer EINPROGRESS" whose caller asks once more has
# begun another attempt.
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

def connects(address, calls):
    s = socket.socket()
    s.setblocking(False)
    outcomes = []
    for _ in range(calls):
        outcomes.append(errno.errorcode.get(s.connect_ex(address), 0))
        select.select([], [s], [], 5)
    return outcomes

print("Linux", os.uname().release, "connect, wait until writable, connect, ...")
listener = socket.create_server(("127.0.0.1", 0))
see("somebody listens", connects(listener.getsockname(), 3), ["EINPROGRESS", 0, "EISCONN"])
nobody = socket.socket()
nobody.bind(("127.0.0.1", 0))
see("nobody listens", connects(nobody.getsockname(), 4), ["EINPROGRESS", "ECONNREFUSED"] * 2)
PY
python3 "$work/see.py"
