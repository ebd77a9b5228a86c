/* libpq, as its manual has it. */
#include <libpq-fe.h>
#include <stdio.h>

#include "call.h"

int libpq_version(void) { return PQlibVersion(); }

/* Returns 0 for an answer. */
int libpq_call(const struct call *call) {
    char query[64];
    int failed = 1;
    PGconn *connection = PQconnectdb(call->server);
    if (PQstatus(connection) != CONNECTION_OK) {
        snprintf(call->text, call->text_bytes, "%s", PQerrorMessage(connection));
        PQfinish(connection);
        return 1;
    }
    call->ready(call->context);
    snprintf(query, sizeof query, "select 6 * 7, pg_sleep(%f)", call->seconds);
    PGresult *result = PQexec(connection, query);
    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        snprintf(call->text, call->text_bytes, "%s", PQgetvalue(result, 0, 0));
        failed = 0;
    } else {
        snprintf(call->text, call->text_bytes, "%s", PQerrorMessage(connection));
    }
    PQclear(result);
    PQfinish(connection);
    return failed;
}
