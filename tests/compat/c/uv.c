/* libuv: a client of HTTP, with a loop of its own. */
#include <stdio.h>
#include <uv.h>

#include "call.h"

struct client {
    uv_tcp_t connection;
    uv_connect_t connecting;
    uv_write_t writing;
    char request[128], answer[512];
    size_t bytes;
    int error;
};

const char *uv_library(void) { return uv_version_string(); }

/* The end, or the error. */
static void end(uv_stream_t *connection, int status) {
    struct client *client = connection->data;
    if (status != UV_EOF) client->error = status;
    if (!uv_is_closing((uv_handle_t *)connection)) uv_close((uv_handle_t *)connection, NULL);
}

static void room(uv_handle_t *connection, size_t bytes, uv_buf_t *buffer) {
    struct client *client = connection->data;
    (void)bytes;
    *buffer = uv_buf_init(client->answer + client->bytes, sizeof client->answer - client->bytes);
}

static void has_read(uv_stream_t *connection, ssize_t bytes, const uv_buf_t *buffer) {
    struct client *client = connection->data;
    (void)buffer;
    if (bytes < 0) {
        end(connection, bytes);
    } else {
        client->bytes += bytes;
    }
}

static void has_written(uv_write_t *writing, int status) {
    if (status) end(writing->handle, status);
}

static void has_connected(uv_connect_t *connecting, int status) {
    struct client *client = connecting->data;
    uv_buf_t request = uv_buf_init(client->request, snprintf(NULL, 0, "%s", client->request));
    if (!status) status = uv_read_start(connecting->handle, room, has_read);
    if (!status) status = uv_write(&client->writing, connecting->handle, &request, 1, has_written);
    if (status) end(connecting->handle, status);
}

/* Returns 0 for an answer. `server` is a port, and the page. */
int uv_call(const struct call *call) {
    struct client client = {0};
    struct sockaddr_in address;
    uv_loop_t loop;
    int port = 0;
    char page[64] = "";
    sscanf(call->server, "%d %63s", &port, page);
    snprintf(client.request, sizeof client.request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", page);
    client.connection.data = client.connecting.data = &client;
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &client.connection);
    uv_ip4_addr("127.0.0.1", port, &address);
    call->ready(call->context);
    client.error = uv_tcp_connect(&client.connecting, &client.connection, (struct sockaddr *)&address, has_connected);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    if (client.error) {
        snprintf(call->text, call->text_bytes, "%s", uv_strerror(client.error));
    } else {
        snprintf(call->text, call->text_bytes, "%.*s", (int)client.bytes, client.answer);
    }
    return client.error != 0;
}
