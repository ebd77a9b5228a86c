"""The clients: all connected at once, each checks every answer that it gets."""

import asyncio
import os
import resource
import ssl
import subprocess
import threading
import time

ROUNDS = 3
# For how long nothing may happen, on a busy machine as well. As long as something does, there is no limit.
PATIENCE = 120

# A connection is a descriptor here, and one or two at the server.
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Failure(Exception):
    """What a server did that it should not do, or the other way about."""


def page(number):
    return f"page {number}\n" * (1000 * (number + 1))


def certificate(folder):
    path = os.path.join(folder, "certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    "/CN=localhost", "-days", "2", "-keyout", path + ".key", "-out", path + ".crt"], check=True, capture_output=True)
    with open(path, "w") as file:
        for end in (".key", ".crt"):
            with open(path + end) as part:
                file.write(part.read())
    os.chmod(path, 0o600)
    return path


class Echo:
    """A server of one thread that returns what it gets."""

    def __init__(self):
        started = threading.Event()

        async def serve(reader, writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        async def main():
            server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await server.serve_forever()

        threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
        started.wait()


async def nothing(*_):
    """How a client enters a server that says nothing first."""


# One for all clients, without the machine's certificates, which take some 15 ms to read.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


async def tls(stream):
    await stream[1].start_tls(CONTEXT)


async def socks(stream, port):
    reader, writer = stream
    writer.write(b"\5\1\0")
    expect(await reader.readexactly(2), b"\5\0")
    writer.write(b"\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
    expect((await reader.readexactly(10))[:2], b"\5\0")


async def http_connect(stream, port):
    reader, writer = stream
    writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    expect(head.split()[1], b"200")


def expect(found, expected):
    if found != expected:
        raise Failure(f"{found[:100]!r} came, not {expected[:100]!r}")


class Progress:
    """When something last happened."""

    def __init__(self):
        self.step()

    def step(self):
        self.last = time.monotonic()

    def patience(self):
        """How long the next step is still waited for; 0 if it has not come."""
        return max(0, self.last + PATIENCE - time.monotonic())


async def all_at_once(port, number, enter, talk, count_threads, progress):
    """Connects all clients, then lets all of them talk in rounds, and counts the server's threads after the first."""
    at_once = asyncio.Semaphore(100)

    async def connect():
        async with at_once:
            stream = await asyncio.open_connection("127.0.0.1", port)
            await enter(stream)
            progress.step()
            return stream

    async def one(stream, client, round):
        await talk(stream, client, round)
        progress.step()

    streams = await asyncio.gather(*(connect() for _ in range(number)))
    threads = 0
    for round in range(ROUNDS):
        await asyncio.gather(*(one(stream, client, round) for client, stream in enumerate(streams)))
        threads = threads or count_threads()
    for _, writer in streams:
        writer.close()
    return number * ROUNDS, threads


def started(clients, progress):
    """Runs the clients until they are done, or nothing has happened for long."""

    async def watched():
        task = asyncio.ensure_future(clients)
        while patience := progress.patience():
            if (await asyncio.wait({task}, timeout=patience))[0]:
                return task.result()
        task.cancel()
        raise Failure("answers are missing")

    try:
        return asyncio.run(watched())
    except (OSError, EOFError) as error:
        raise Failure(f"a client: {error!r}") from None


def talking(port, number, enter, talk, count_threads):
    progress = Progress()
    return started(all_at_once(port, number, enter, talk, count_threads, progress), progress)


def tunnels(port, echo_port, number, count_threads, enter):
    async def talk(stream, client, round):
        reader, writer = stream
        message = f"client {client}, round {round}; ".encode() * (100 if round == 1 else 1) + b"\n"
        writer.write(message)
        expect(await reader.readexactly(len(message)), message)

    return talking(port, number, lambda stream: enter(stream, echo_port), talk, count_threads)


def http(port, number, count_threads):
    async def talk(stream, client, round):
        reader, writer = stream
        wanted = (client + round) % 10
        writer.write(f"GET /{wanted} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        expect(head.split()[1], b"200")
        length = int(head.split(b"content-length:")[1].split()[0])
        expect(await reader.readexactly(length), page(wanted).encode())

    return talking(port, number, nothing, talk, count_threads)


def tftp(port, number, count_threads):
    """Each client asks for a file of ten blocks, and takes one block a round until it has all."""

    progress = Progress()

    class Client(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport, self.came = transport, asyncio.Queue()

        def datagram_received(self, data, address):
            self.came.put_nowait((data, address))

        async def block(self, n):
            # The server may repeat a block that it thinks was lost.
            while True:
                data, self.server = await self.came.get()
                expect(data[:2], b"\0\3")
                if data[2:4] == n.to_bytes(2, "big"):
                    progress.step()
                    return data[4:]

        def acknowledge(self, n):
            self.transport.sendto(b"\0\4" + n.to_bytes(2, "big"), self.server)

    async def main():
        loop = asyncio.get_running_loop()
        clients = [(await loop.create_datagram_endpoint(Client, local_addr=("127.0.0.1", 0)))[1] for _ in range(number)]
        for n, client in enumerate(clients):
            client.transport.sendto(b"\0\1" + str(n % 10).encode() + b"\0octet\0", ("127.0.0.1", port))
        blocks = await asyncio.gather(*(client.block(1) for client in clients))
        threads = count_threads()

        async def rest(n, client, data):
            block = 1
            while len(data) == 512 * block:
                client.acknowledge(block)
                block += 1
                data += await client.block(block)
            client.acknowledge(block)
            expect(data, page(n % 10).encode())

        await asyncio.gather(*(rest(n, client, data) for n, (client, data) in enumerate(zip(clients, blocks))))
        return number, threads

    return started(main(), progress)
