"""The service of the lab on gevent: a greenlet per connection, stackful, on one loop. It listens on standard input, which
is the lab's socket."""

import sys

import gevent.socket
from gevent.server import StreamServer

from service import Conversation


def converse(client, backend_address):
    backend = None
    conversation = Conversation()
    try:
        client.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        for wait_ms in conversation.steps:
            if conversation.output:
                client.sendall(conversation.take_output())
            if wait_ms is None:
                received = client.recv(4096)
                if not received:
                    return
                conversation.input += received
            else:
                if backend is None:
                    backend = gevent.socket.create_connection(backend_address)
                backend.sendall(b"%d\n" % wait_ms)
                if not backend.recv(1):
                    return
        client.sendall(conversation.take_output())
    except OSError:
        # A connection ends with its first error, as it does when its client is gone.
        pass
    finally:
        client.close()
        if backend:
            backend.close()


host, _, port = sys.argv[1].rpartition(":")
listener = gevent.socket.socket(fileno=0)
listener.setblocking(False)
StreamServer(listener, lambda client, _: converse(client, (host, int(port)))).serve_forever()
