"""Fibers for gdb, in a live process and in a core file:

    (gdb) source gdb/abaca.py
    (gdb) abaca fibers            a line for each fiber: id, name, worker, state, what it waits for, where it was spawned
    (gdb) abaca bt 17             the backtrace of fiber 17
    (gdb) abaca apply all bt      the backtraces of all fibers
    (gdb) abaca locks             the mutexes that fibers wait for, with their holders

Nothing is run in the process and nothing is written to it. The script reads a table that is part of the program
(`runtime/src/observe/layout.rs`), so the program needs symbols, and no debug information. A fiber that runs is shown by the
thread that runs it: `thread apply all bt`. Roaming fibers are not in the workers' lists and are not shown.
"""

import re

import gdb
from gdb.unwinder import Unwinder

WORD = 8
VERSION = 1


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
            symbol = gdb.execute("info address abaca::observe::layout::LAYOUT", to_string=True)
            at = int(re.search(r"0x[0-9a-f]+", symbol).group(0), 16)
        words = [word(at + index * WORD) for index in range(27)]
        if words[0] != VERSION:
            raise gdb.GdbError("abaca: this program has layout %d, and the script knows %d" % (words[0], VERSION))
        self.first = words[1]
        self.entry_shared, self.entry_next, self.workers = words[2:5]
        self.worker_index, self.worker_current, self.worker_live, self.worker_bytes = words[5:9]
        self.next, self.context, self.reason, self.waiting, self.site, self.identity = words[9:15]
        self.id, self.name, self.object = words[15:18]
        self.mutex_word, self.mutex_locked, self.mutex_holder = words[18:21]
        self.saved_pc, self.saved_fp, self.saved_bytes = words[21:24]
        self.is_mutex, self.is_join = words[24:26]
        names, length = words[26], word(at + 27 * WORD)
        self.names = text(names, length).split(",")


class Fiber:
    def __init__(self, layout, header, worker, is_running):
        self.header, self.worker, self.is_running = header, worker, is_running
        identity = word(header + layout.identity)
        self.id, self.name = 0, ""
        if identity:
            self.id = word(identity + layout.id)
            pointer, length = word(identity + layout.name), word(identity + layout.name + WORD)
            self.name = text(pointer, length) if pointer else ""
        number = inferior().read_memory(header + layout.reason, 1).tobytes()[0]
        self.reason_number = number
        self.reason = layout.names[number]
        waiter = word(header + layout.waiting)
        self.object = word(waiter + layout.object) if number and waiter else 0
        site = word(header + layout.site)
        self.site = "%s:%d:%d" % (text(word(site), word(site + WORD)), half(site + 16), half(site + 20))
        self.context = word(header + layout.context)
        self.pc = self.sp = self.fp = 0
        if not is_running:
            self.pc = word(self.context + layout.saved_pc)
            self.fp = word(self.context + layout.saved_fp)
            self.sp = self.context + layout.saved_bytes

    def state(self):
        if self.is_running:
            return "running"
        return self.reason if self.reason_number else "ready"

    def title(self):
        name = " '%s'" % self.name if self.name else ""
        number = str(self.id) if self.id else "%#x" % self.header
        return "%s%s" % (number, name)


def fibers(layout):
    entry = word(layout.first)
    while entry:
        shared = word(entry + layout.entry_shared)
        workers, count = word(shared + layout.workers), word(shared + layout.workers + WORD)
        for index in range(count):
            worker = workers + index * layout.worker_bytes
            current, first = word(worker + layout.worker_current), word(worker + layout.worker_live)
            header = first
            while header:
                yield Fiber(layout, header, word(worker + layout.worker_index), header == current)
                header = word(header + layout.next)
                if header == first:
                    break
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
        names = REGISTERS[inferior().architecture().name().split(":")[0]]
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

SWITCH = Switch()
gdb.unwinder.register_unwinder(None, SWITCH, replace=True)


def renumbered(line):
    number = re.match(r"#(\d+)", line)
    return "#%-3d%s" % (int(number.group(1)) - 1, line[number.end():].replace("  ", " ", 1)) if number else line


def holder_of(layout, mutex, known):
    if not word(mutex + layout.mutex_word) & layout.mutex_locked & 0xFFFFFFFF:
        return "nobody"
    address = word(mutex + layout.mutex_holder)
    # The stack grows down from the oldest frame: the holder's frames reach from its stack pointer to above the address.
    below = [fiber for fiber in known if not fiber.is_running and fiber.sp <= address < fiber.sp + 64 * 1024 * 1024]
    if not below:
        return "a fiber that runs, or a plain thread"
    return "fiber " + max(below, key=lambda fiber: fiber.sp).title()


def describe(layout, fiber, known):
    text = "fiber %s on worker %d: %s" % (fiber.title(), fiber.worker, fiber.state())
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
        if fiber.is_running:
            print("  it runs: see `thread apply all bt`")
        else:
            print("\n".join(SWITCH.backtrace(fiber)))
        print()


Abaca()
