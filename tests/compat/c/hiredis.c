/* hiredis, as its README has it. */
#include <hiredis/hiredis.h>
#include <stdio.h>

#include "call.h"

int hiredis_version(void) { return HIREDIS_MAJOR * 10000 + HIREDIS_MINOR * 100 + HIREDIS_PATCH; }

/* Returns 0 for an answer. */
int hiredis_call(const struct call *call) {
    int failed = 1;
    redisContext *connection = redisConnectUnix(call->server);
    if (connection == NULL || connection->err) {
        snprintf(call->text, call->text_bytes, "%s", connection ? connection->errstr : "no memory");
        redisFree(connection);
        return 1;
    }
    call->ready(call->context);
    redisReply *nothing = redisCommand(connection, "BLPOP nothing %f", call->seconds);
    redisReply *pong = nothing ? redisCommand(connection, "PING") : NULL;
    if (pong == NULL) {
        snprintf(call->text, call->text_bytes, "%s", connection->errstr);
    } else {
        snprintf(call->text, call->text_bytes, "%d %s", nothing->type == REDIS_REPLY_NIL, pong->str);
        failed = 0;
    }
    if (nothing != NULL) freeReplyObject(nothing);
    if (pong != NULL) freeReplyObject(pong);
    redisFree(connection);
    return failed;
}
