/* libmariadb, as its manual has it. */
#include <mysql.h>
#include <pthread.h>
#include <stdio.h>

#include "call.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void) { mysql_library_init(0, NULL, NULL); }

const char *mariadb_version(void) { return mysql_get_client_info(); }

/* Returns 0 for an answer. */
int mariadb_call(const struct call *call) {
    char query[64];
    int failed = 1;
    pthread_once(&once, start);
    MYSQL *connection = mysql_init(NULL);
    if (mysql_real_connect(connection, NULL, "root", NULL, NULL, 0, call->server, 0) == NULL) {
        snprintf(call->text, call->text_bytes, "%s", mysql_error(connection));
        mysql_close(connection);
        return 1;
    }
    call->ready(call->context);
    snprintf(query, sizeof query, "select 6 * 7, sleep(%f)", call->seconds);
    MYSQL_RES *result = mysql_query(connection, query) ? NULL : mysql_store_result(connection);
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    if (row != NULL) {
        snprintf(call->text, call->text_bytes, "%s %s", row[0], row[1]);
        failed = 0;
    } else {
        snprintf(call->text, call->text_bytes, "%s", mysql_error(connection));
    }
    mysql_free_result(result);
    mysql_close(connection);
    return failed;
}
