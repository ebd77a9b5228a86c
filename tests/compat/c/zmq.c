/* libzmq, as its guide has it: clients with a context each, and a server of this program, which answers each request when it is time to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#include "call.h"

static void *server;
static char address[64], number[32];

const char *zmq_library(void) {
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    snprintf(number, sizeof number, "%d.%d.%d", major, minor, patch);
    return number;
}

/* Makes the server; returns where it is. */
const char *zmq_server(void) {
    size_t bytes = sizeof address;
    server = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
    if (server == NULL || zmq_bind(server, "tcp://127.0.0.1:*")) return NULL;
    return zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, address, &bytes) ? NULL : address;
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* A request that is not answered yet: of whom, and when it is time to. */
struct request {
    char client[32];
    int bytes;
    long long due;
};

/* Serves for ever. A request is in how many milliseconds its answer comes. */
void zmq_serve(void) {
    static struct request requests[256];
    int count = 0;
    for (;;) {
        zmq_pollitem_t item = {server, 0, ZMQ_POLLIN, 0};
        zmq_poll(&item, 1, count ? 1 : -1);
        if (item.revents & ZMQ_POLLIN && count < 256) {
            struct request *request = &requests[count];
            char text[32];
            request->bytes = zmq_recv(server, request->client, sizeof request->client, 0);
            zmq_recv(server, text, sizeof text, 0); /* It is empty. */
            int bytes = zmq_recv(server, text, sizeof text - 1, 0);
            text[bytes > 0 ? bytes : 0] = 0;
            request->due = now() + atoi(text);
            count++;
        }
        for (int i = count - 1; i >= 0; i--) {
            if (requests[i].due > now()) continue;
            zmq_send(server, requests[i].client, requests[i].bytes, ZMQ_SNDMORE);
            zmq_send(server, "", 0, ZMQ_SNDMORE);
            zmq_send(server, "done", 4, 0);
            requests[i] = requests[--count];
        }
    }
}

/* Returns 0 for an answer. */
int zmq_call(const struct call *call) {
    int failed = 1, no_time = 0;
    char request[32], answer[32];
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_REQ);
    zmq_setsockopt(socket, ZMQ_LINGER, &no_time, sizeof no_time);
    if (zmq_connect(socket, call->server) == 0) {
        call->ready(call->context);
        int bytes = snprintf(request, sizeof request, "%d", (int)(call->seconds * 1000));
        call->begin(call->context);
        if (zmq_send(socket, request, bytes, 0) >= 0) bytes = zmq_recv(socket, answer, sizeof answer, 0);
        failed = bytes < 0;
        snprintf(call->text, call->text_bytes, "%.*s", failed ? 64 : bytes, failed ? zmq_strerror(errno) : answer);
        call->end(call->context);
    }
    zmq_close(socket);
    while (zmq_ctx_term(context) && errno == EINTR) {
    }
    return failed;
}
