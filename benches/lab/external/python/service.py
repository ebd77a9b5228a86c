"""The service of the lab without its I/O: requests in, answers and waits out, as the other models have it."""

import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
END = b"Connection: close\r\n"
BODY = b"\r\nHello, world!"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
MAX_HEAD = 16 * 1024


def turn(iterations):
    state = 0x9E3779B97F4A7C15
    for _ in range(iterations):
        state ^= (state << 13) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 7
        state ^= (state << 17) & 0xFFFFFFFFFFFFFFFF
    return state


def calibrate():
    """Iterations of the loop per microsecond: fewer than elsewhere, so that the time is the same."""
    def trial():
        began = time.perf_counter()
        turn(10_000)
        return time.perf_counter() - began
    return 10_000 / (min(trial() for _ in range(16)) * 1e6)


ITERATIONS_PER_US = calibrate()


class Garbage(Exception):
    """What is not a request of this service."""


def parse(head):
    """The target's (found, cpu_us, wait_ms) of a request, and whether the connection ends with the answer."""
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or words[0] != b"GET" or not words[2].startswith(b"HTTP/1."):
        raise Garbage
    close = words[2] == b"HTTP/1.0"
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name, value = name.lower(), value.strip().lower()
        if not colon or name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            raise Garbage
        if name == b"connection" and value == b"close":
            close = True
    return target(words[1]), close


def target(text):
    path, _, query = text.partition(b"?")
    work = {b"cpu_us": 0, b"wait_ms": 0}
    if path == b"/work" and query:
        for pair in query.split(b"&"):
            name, _, value = pair.partition(b"=")
            if name not in work or not value.isdigit():
                raise Garbage
            work[name] = int(value)
    if work[b"cpu_us"] > 10_000_000 or work[b"wait_ms"] > 60_000:
        raise Garbage
    return path in (b"/", b"/work"), work[b"cpu_us"], work[b"wait_ms"]


def steps(conversation):
    """What a connection does: yields the milliseconds to wait, or None to read, once its output is sent."""
    while True:
        end = conversation.input.find(b"\r\n\r\n")
        if end < 0 and len(conversation.input) < MAX_HEAD:
            yield None
            continue
        try:
            if end < 0:
                raise Garbage
            (found, cpu_us, wait_ms), close = parse(bytes(conversation.input[:end]))
        except Garbage:
            conversation.output += BAD_REQUEST
            return
        del conversation.input[: end + 4]
        if cpu_us:
            turn(int(cpu_us * ITERATIONS_PER_US))
        if wait_ms:
            yield wait_ms
        conversation.output += HEAD if found else NOT_FOUND
        if close:
            conversation.output += END
        conversation.output += BODY if found else b"\r\n"
        if close:
            return


class Conversation:
    """One connection's part of the service."""

    def __init__(self):
        self.input = bytearray()
        self.output = bytearray()
        self.steps = steps(self)

    def take_output(self):
        output, self.output = self.output, bytearray()
        return output
