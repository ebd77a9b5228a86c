#!/usr/bin/env bash
# Linux: each look at a message (MSG_PEEK) opens its descriptors once more.
#
# One would expect that a look changes nothing: descriptors that travel with a message (SCM_RIGHTS) are opened in
# the receiver when the message is taken.
# Each recvmsg with MSG_PEEK and room for control data opens a further copy of each descriptor, and the final one
# without MSG_PEEK another. All of them are the receiver's to close.
# It matters to a server that peeks at a Unix socket to find the kind of a request, or its length: it leaks
# descriptors, and a pipe whose writing end was sent this way never ends.
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
def take(flags):
    data, control, _, _ = receiver.recvmsg(1, socket.CMSG_SPACE(4), flags)
    return [int.from_bytes(c[2][:4], sys.byteorder) for c in control]

print("Linux", os.uname().release, "one message with one descriptor, the writing end of a pipe")
sender, receiver = socket.socketpair(socket.AF_UNIX)
reader, writer = os.pipe()
socket.send_fds(sender, [b"x"], [writer])
os.close(writer)
before = len(os.listdir("/proc/self/fd"))
peeked = [fd for _ in range(3) for fd in take(socket.MSG_PEEK)]
taken = take(0)
see("descriptors after three looks and a read", len(os.listdir("/proc/self/fd")) - before, 4)
os.close(taken[0])
os.set_blocking(reader, False)
try:
    end = os.read(reader, 1)
except BlockingIOError:
    end = "somebody still writes"
see("the pipe, the descriptor that was taken being closed", end, "somebody still writes")
for fd in peeked:
    os.close(fd)
see("the pipe, those of the looks being closed too", os.read(reader, 1), b"")
PY
cd "$work"
python3 see.py
