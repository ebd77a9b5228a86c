"""Fibers for gdb, in a live process and in a core file:

    (gdb) source gdb/abaca.py
    (gdb) abaca fibers            a line for each fiber: id, name, worker, state, what it waits for, where it was spawned
    (gdb) abaca bt 17             the backtrace of fiber 17
    (gdb) abaca apply all bt      the backtraces of all fibers
    (gdb) abaca locks             the mutexes that fibers wait for, with their holders

Nothing is run in the process and nothing is written to it. The script reads a table that is part of the program
(`runtime/src/observe/layout.rs`), so the program needs symbols, and no debug information. A fiber that runs is shown with the thread
that runs it, also one that its worker has left behind there (`own_tls`).

Thread-locals in an expression, `errno` among them, are those of the thread that is selected, also within a backtrace of this script: a
fiber shares those of its worker's thread. One with storage of its own (`own_tls`) has them at its thread pointer, which `abaca bt` shows:
with `$fs_base` for the thread's on x86_64, the fiber's errno is `*(int *)((char *)&errno - $fs_base + POINTER)`.
"""

import re

import gdb
from gdb.unwinder import Unwinder

WORD = 8
VERSION = 2
# An offset that this program has not.
NONE = (1 << 64) - 1


def inferior():
    return gdb.selected_inferior()


def word(address):
    return int.from_bytes(inferior().read_memory(address, WORD).tobytes(), "little")


def half(address):
    return int.from_bytes(inferior().read_memory(address, 4).tobytes(), "little")


def text(address, length):
    return inferior().read_memory(address, length).tobytes().decode("utf-8", "replace") if length else ""


class Layout:
    """The table in the program; see runtime/src/observe/layout.rs."""

    def __init__(self):
        listing = gdb.execute("info variables observe.*layout.*LAYOUT", to_string=True)
        found = re.search(r"^(0x[0-9a-f]+)\s+\S*LAYOUT\S*", listing, re.M)
        if found:
            at = int(found.group(1), 16)
        else:
            # With debug information gdb lists the variable without its address.
            try:
                symbol = gdb.execute("info address abaca::observe::layout::LAYOUT", to_string=True)
            except gdb.error:
                raise gdb.GdbError("abaca: this program has no symbols, or does not use abaca")
            at = int(re.search(r"0x[0-9a-f]+", symbol).group(0), 16)
        words = [word(at + index * WORD) for index in range(36)]
        if words[0] != VERSION:
            raise gdb.GdbError("abaca: this program has layout %d, and the script knows %d" % (words[0], VERSION))
        take = iter(words[1:])
        fields = (
            "first entry_shared entry_next workers roaming worker_index worker_current worker_live worker_bytes "
            "next context reason waiting site identity stack thread_pointer absence id name object "
            "stack_slab stack_index slab_base slab_stride mutex_word mutex_locked mutex_holder "
            "saved_pc saved_fp saved_bytes is_mutex is_join"
        )
        for field in fields.split():
            setattr(self, field, next(take))
        names, length = next(take), next(take)
        self.names = text(names, length).split(",")


class Fiber:
    def __init__(self, layout, header, worker, is_running):
        self.header, self.worker, self.is_running = header, worker, is_running
        self.thread_pointer = 0
        if layout.absence != NONE:
            self.thread_pointer = word(header + layout.thread_pointer)
            # Its home has left it behind on a thread, where it runs.
            self.is_running |= inferior().read_memory(header + layout.absence, 1).tobytes() != b"\0"
        identity = word(header + layout.identity)
        self.id, self.name = 0, ""
        if identity:
            self.id = word(identity + layout.id)
            pointer, length = word(identity + layout.name), word(identity + layout.name + WORD)
            self.name = text(pointer, length) if pointer else ""
        number = inferior().read_memory(header + layout.reason, 1).tobytes()[0]
        self.reason_number = 0 if self.is_running else number
        self.reason = layout.names[number]
        waiter = word(header + layout.waiting)
        self.object = word(waiter + layout.object) if self.reason_number and waiter else 0
        site = word(header + layout.site)
        self.site = "%s:%d:%d" % (text(word(site), word(site + WORD)), half(site + 16), half(site + 20))
        # The addresses between which its stack lies, with its guard.
        slab = word(header + layout.stack + layout.stack_slab)
        stride = word(slab + layout.slab_stride)
        begin = word(slab + layout.slab_base) + stride * half(header + layout.stack + layout.stack_index)
        self.stack = (begin, begin + stride)
        self.context = word(header + layout.context)
        self.pc = self.sp = self.fp = 0
        if not self.is_running:
            self.pc = word(self.context + layout.saved_pc)
            self.fp = word(self.context + layout.saved_fp)
            self.sp = self.context + layout.saved_bytes

    def has(self, address):
        return self.stack[0] <= address < self.stack[1]

    def state(self):
        if self.is_running:
            return "running"
        return self.reason if self.reason_number else "ready"

    def title(self):
        name = " '%s'" % self.name if self.name else ""
        number = str(self.id) if self.id else "%#x" % self.header
        return "%s%s" % (number, name)

    def thread(self):
        """The thread that runs it: one that has a frame on its stack. None if there is none in a core, or the frames are not known."""
        selected = gdb.selected_thread()
        try:
            return next((thread for thread in inferior().threads() if self.is_on(thread)), None)
        finally:
            if selected is not None:
                selected.switch()

    def is_on(self, thread):
        try:
            thread.switch()
            # A signal's frames may be on another stack, and a coroutine's are.
            frame, depth = gdb.newest_frame(), 0
            while frame is not None and depth < 256:
                if self.has(int(frame.read_register(stack_pointer()))):
                    return True
                frame, depth = frame.older(), depth + 1
        except gdb.error:
            # In a core, gdb may list the blocks of fibers with storage of their own as threads, which have no registers.
            pass
        return False


def members(layout, first):
    header = first
    while header:
        yield header
        header = word(header + layout.next)
        if header == first:
            break


def fibers(layout):
    entry = word(layout.first)
    while entry:
        shared = word(entry + layout.entry_shared)
        workers, count = word(shared + layout.workers), word(shared + layout.workers + WORD)
        currents = {}
        for index in range(count):
            worker = workers + index * layout.worker_bytes
            currents[word(worker + layout.worker_current)] = word(worker + layout.worker_index)
        for index in range(count):
            worker = workers + index * layout.worker_bytes
            for header in members(layout, word(worker + layout.worker_live)):
                yield Fiber(layout, header, word(worker + layout.worker_index), header in currents)
        for header in members(layout, word(shared + layout.roaming)):
            yield Fiber(layout, header, currents.get(header), header in currents)
        entry = word(entry + layout.entry_next)


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Switch(Unwinder):
    """Lets the backtrace of the selected thread go on in a fiber: its innermost frame seems to be called by the fiber's."""

    def __init__(self):
        super().__init__("abaca-fiber")
        self.fiber = None

    def __call__(self, pending):
        if self.fiber is None:
            return None
        names = registers()
        sp, pc = int(pending.read_register(names[0])), int(pending.read_register(names[1]))
        if sp == self.fiber.sp and pc == self.fiber.pc:
            return None
        if self.innermost not in (None, (sp, pc)):
            return None
        self.innermost = (sp, pc)
        info = pending.create_unwind_info(FrameId(gdb.Value(sp), gdb.Value(pc)))
        kind = gdb.lookup_type("unsigned long")
        for name, value in zip(names, (self.fiber.sp, self.fiber.pc, self.fiber.fp)):
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info

    def backtrace(self, fiber):
        self.fiber, self.innermost = fiber, None
        gdb.invalidate_cached_frames()
        try:
            lines = gdb.execute("bt", to_string=True).splitlines()
        finally:
            self.fiber = None
            gdb.invalidate_cached_frames()
        # The first is the thread's own frame.
        begin = next((index for index, line in enumerate(lines) if line.startswith("#1 ")), len(lines))
        return [renumbered(line) for line in lines[begin:]]


REGISTERS = {
    "i386": ("rsp", "rip", "rbp"),
    "aarch64": ("sp", "pc", "x29"),
    "riscv": ("sp", "pc", "s0"),
}


def registers():
    return REGISTERS[inferior().architecture().name().split(":")[0]]


def stack_pointer():
    return registers()[0]


SWITCH = Switch()
gdb.unwinder.register_unwinder(None, SWITCH, replace=True)


def renumbered(line):
    number = re.match(r"#(\d+)", line)
    return "#%-3d%s" % (int(number.group(1)) - 1, line[number.end():].replace("  ", " ", 1)) if number else line


def holder_of(layout, mutex, known):
    if not word(mutex + layout.mutex_word) & layout.mutex_locked & 0xFFFFFFFF:
        return "nobody"
    address = word(mutex + layout.mutex_holder)
    holders = [fiber for fiber in known if fiber.has(address)]
    return "fiber " + holders[0].title() if holders else "a plain thread or a coroutine"


def describe(layout, fiber, known):
    where = "roaming" if fiber.worker is None else "on worker %d" % fiber.worker
    text = "fiber %s %s: %s" % (fiber.title(), where, fiber.state())
    if fiber.is_running:
        thread = fiber.thread()
        text += " on thread %d (LWP %d)" % (thread.num, thread.ptid[1] or thread.ptid[2]) if thread else " on no thread that is known"
    if fiber.object and fiber.reason_number == layout.is_mutex:
        text += " at %#x held by %s" % (fiber.object, holder_of(layout, fiber.object, known))
    elif fiber.object and fiber.reason_number == layout.is_join:
        joined = [other.title() for other in known if other.header == fiber.object]
        text += " of fiber %s" % (joined[0] if joined else "%#x" % fiber.object)
    elif fiber.object:
        text += " %s" % (fiber.object if fiber.object < 1 << 20 else "%#x" % fiber.object)
    return "%s, spawned at %s" % (text, fiber.site)


class Abaca(gdb.Command):
    """abaca fibers | bt ID | apply all bt | locks: the fibers of abaca, in a live process or a core file."""

    def __init__(self):
        super().__init__("abaca", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        layout = Layout()
        known = list(fibers(layout))
        words = argument.split()
        if words == ["fibers"]:
            for fiber in known:
                print(describe(layout, fiber, known))
        elif words == ["apply", "all", "bt"]:
            for fiber in known:
                self.backtrace(layout, fiber, known)
        elif len(words) == 2 and words[0] == "bt":
            found = [fiber for fiber in known if words[1] in (str(fiber.id), "%#x" % fiber.header)]
            if not found:
                raise gdb.GdbError("abaca: no fiber %s" % words[1])
            self.backtrace(layout, found[0], known)
        elif words == ["locks"]:
            waiting = {}
            for fiber in known:
                if fiber.object and fiber.reason_number == layout.is_mutex:
                    waiting.setdefault(fiber.object, []).append(fiber.title())
            for mutex, names in waiting.items():
                print("mutex %#x, held by %s, wanted by %s" % (mutex, holder_of(layout, mutex, known), ", ".join(names)))
        else:
            raise gdb.GdbError("abaca fibers | bt ID | apply all bt | locks")

    @staticmethod
    def backtrace(layout, fiber, known):
        print(describe(layout, fiber, known))
        if fiber.thread_pointer:
            print("  its thread-locals are at the thread pointer %#x" % fiber.thread_pointer)
        if not fiber.is_running:
            print("\n".join(SWITCH.backtrace(fiber)))
        else:
            selected, thread = gdb.selected_thread(), fiber.thread()
            if thread:
                thread.switch()
                print(gdb.execute("bt", to_string=True).rstrip())
                selected.switch()
        print()


Abaca()
