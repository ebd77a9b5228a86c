#!/usr/bin/env bash
# Linux pipes: room comes in pages, so 4095 free bytes are none, and 16 bytes can fill a pipe.
#
# One would expect that a pipe of 65536 bytes that was full has room for one byte after one byte was read, and
# that it is full when it holds 65536 bytes, or nearly: pipe(7) speaks of bytes.
# It holds 16 pages. A page that is not read to its end is not free: after 4095 bytes were read from a full pipe
# poll says nothing and a write of one byte says EAGAIN. And splice(2) of one byte from a file takes a page for
# it: after 16 such calls the pipe is full.
# It matters to a proxy that splices small pieces (it stalls on a pipe that FIONREAD calls almost empty), and to
# one that counts bytes in order to know whether its next write will be taken.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import fcntl, os, select, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
def takes_a_byte(fd):
    p = select.poll()
    p.register(fd, select.POLLOUT)
    said = bool(p.poll(0))
    try:
        return said, os.write(fd, b"x")
    except BlockingIOError:
        return said, "EAGAIN"

print("Linux", os.uname().release)
reader, writer = os.pipe()
os.set_blocking(writer, False)
size, page = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ), os.sysconf("SC_PAGESIZE")
see("written to an empty pipe", os.write(writer, bytes(size)), size)
os.read(reader, page - 1)
see(f"{page - 1} bytes were read: poll says writable, write", takes_a_byte(writer), (False, "EAGAIN"))
os.read(reader, 1)
see("one more was read: poll says writable, write", takes_a_byte(writer), (True, 1))

reader, writer = os.pipe()
os.set_blocking(writer, False)
file = os.open("see.py", os.O_RDONLY)
spliced = 0
try:
    while os.splice(file, writer, 1):
        spliced += 1
except BlockingIOError:
    pass
see("bytes that fit into an empty pipe, spliced one at a time", spliced, size // page)
see("after that: poll says writable, write", takes_a_byte(writer), (False, "EAGAIN"))
PY
cd "$work"
python3 see.py
