#!/usr/bin/env bash
# Linux mmap(2): MAP_STACK is not a no-op, it forbids huge pages and keeps neighbours apart.
#
# One would expect that it does nothing: mmap(2) says so, and many allocators of stacks pass it for form's sake.
# Since Linux 6.7 it sets what madvise(MADV_NOHUGEPAGE) sets ("nh" in smaps). A mapping with it does not merge
# with one without, and MADV_HUGEPAGE on such a stack takes the mark away again. glibc's thread stacks have it,
# stacks from a plain mmap do not.
# It matters to runtimes that allocate stacks: without the flag a large slab may be backed by huge pages (memory
# that a small fiber never touches), with it each stack beside other memory is one more mapping towards
# vm.max_map_count; and "nh" does not tell your own stacks from others'.
# Seen with Linux 6.18.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/see.py" <<'PY'
import ctypes, mmap, os, sys, threading

def see(what, got, surprise):
    print(f"  {what}: {got}")
    if got != surprise:
        sys.exit(f"no longer so: {surprise} was expected")
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
FIXED, STACK, NO_ACCESS, MIB = 0x10, 0x20000, 0, 1 << 20
PLAIN = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

def mapped(address, length, flags, protection=mmap.PROT_READ | mmap.PROT_WRITE):
    return libc.mmap(address, length, protection, PLAIN | flags, -1, 0)

# The mappings between two addresses: whether each is marked.
def marks(start, end):
    found, inside = [], False
    for line in open("/proc/self/smaps"):
        head = line.split()[0]
        if "-" in head and not head.endswith(":"):
            low, high = (int(n, 16) for n in head.split("-"))
            inside = low < end and high > start
        elif inside and head == "VmFlags:":
            found.append("nh" in line.split()[1:])
    return found

def two(first, second):
    # Room without access on all sides, so that nothing else merges with the two.
    room = mapped(None, 4 * MIB, 0, NO_ACCESS) + MIB
    mapped(room, MIB, FIXED | first)
    mapped(room + MIB, MIB, FIXED | second)
    return room, marks(room, room + 2 * MIB)

print("Linux", os.uname().release, "two neighbours of 1 MiB: the mappings, and whether each is marked nh")
see("both plain", two(0, 0)[1], [False])
see("both with MAP_STACK", two(STACK, STACK)[1], [True])
room, got = two(0, STACK)
see("one plain, one with MAP_STACK", got, [False, True])
libc.madvise(room + MIB, MIB, mmap.MADV_HUGEPAGE)
see("MADV_HUGEPAGE on the latter", marks(room + MIB, room + 2 * MIB), [False])

def own_stack():
    control_block = threading.get_ident()  # glibc puts it at the top of the thread's stack
    found.extend(marks(control_block, control_block + 1))

found = []
thread = threading.Thread(target=own_stack)
thread.start()
thread.join()
see("the stack of a thread of glibc's", found, [True])
PY
cd "$work"
python3 see.py
