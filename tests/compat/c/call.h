/* What a program in C is told, and how it answers. */
#ifndef CALL_H
#define CALL_H

#include <stddef.h>

struct call {
    const char *server;
    /* How long the server takes. */
    double seconds;
    /* To be called when the client is connected, before the call that waits. */
    void (*ready)(const void *context);
    /* The call that waits begins, and has ended; for servers that do not tell how many they serve. */
    void (*begin)(const void *context);
    void (*end)(const void *context);
    const void *context;
    /* The answer, or the client's error. */
    char *text;
    size_t text_bytes;
};

#endif
