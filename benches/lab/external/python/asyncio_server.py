"""The service of the lab on asyncio: a coroutine per connection, stackless, on one loop. It listens on standard input,
which is the lab's socket."""

import asyncio
import socket
import sys

from service import Conversation


async def converse(reader, writer, backend_address):
    backend = None
    conversation = Conversation()
    try:
        for wait_ms in conversation.steps:
            if conversation.output:
                writer.write(conversation.take_output())
                await writer.drain()
            if wait_ms is None:
                received = await reader.read(4096)
                if not received:
                    return
                conversation.input += received
            else:
                if backend is None:
                    backend = await asyncio.open_connection(*backend_address)
                backend[1].write(b"%d\n" % wait_ms)
                await backend[0].readexactly(1)
        writer.write(conversation.take_output())
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        # A connection ends with its first error, as it does when its client is gone.
        pass
    finally:
        writer.close()
        if backend:
            backend[1].close()


async def main():
    host, _, port = sys.argv[1].rpartition(":")
    listener = socket.socket(fileno=0)
    listener.setblocking(False)
    handler = lambda reader, writer: converse(reader, writer, (host, int(port)))
    server = await asyncio.start_server(handler, sock=listener, backlog=4096)
    await server.serve_forever()


asyncio.run(main())
