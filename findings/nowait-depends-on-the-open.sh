#!/usr/bin/env bash
# Linux RWF_NOWAIT: works on a pipe from pipe(2), not on a FIFO, nor on the same pipe opened by name.
#
# One would expect that "do not wait, for this call only" is a matter of the kind of file: pipes have it or not,
# and memory files, which never wait for a disk, have it above all.
# It is a mark on the open file. pipe(2) and socket(2) set it, open(2) of a FIFO does not, nor does
# open(2) of /proc/self/fd/N for a pipe whose other descriptor has it. Terminals, tmpfs files and memfds say
# EOPNOTSUPP too, reads as well as writes.
# It matters to whoever gets a descriptor that must not be made non-blocking since others share it: standard
# output that is a pipe can be written to without waiting or not, according to how somebody else opened it.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import errno, os, pty, socket, sys

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
NOWAIT = os.RWF_NOWAIT

def written(fd):
    try:
        return os.pwritev(fd, [b"x" * 8], -1, NOWAIT)
    except OSError as e:
        return "EOPNOTSUPP" if e.errno == errno.EOPNOTSUPP else errno.errorcode[e.errno]

def read(fd):
    try:
        return os.preadv(fd, [bytearray(8)], -1, NOWAIT)
    except OSError as e:
        return "EOPNOTSUPP" if e.errno == errno.EOPNOTSUPP else errno.errorcode[e.errno]

print("Linux", os.uname().release, "writes and reads of 8 bytes with RWF_NOWAIT")
reader, writer = os.pipe()
again = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY)
see("pipe: write, read", (written(writer), read(reader)), (8, 8))
see("the same pipe, opened again by name: write", written(again), "EOPNOTSUPP")
os.mkfifo("fifo")
fifo = os.open("fifo", os.O_RDWR)
see("FIFO: write, read", (written(fifo), read(fifo)), ("EOPNOTSUPP",) * 2)
a, b = socket.socketpair()
see("socket: write, read", (written(a.fileno()), read(b.fileno())), (8, 8))
memory = os.memfd_create("memory")
os.write(memory, b"12345678")
os.lseek(memory, 0, os.SEEK_SET)
see("memfd: write, read", (written(memory), read(memory)), ("EOPNOTSUPP",) * 2)
master, terminal = pty.openpty()
see("terminal: write, read", (written(terminal), read(terminal)), ("EOPNOTSUPP",) * 2)
PY
cd "$work"
python3 see.py
