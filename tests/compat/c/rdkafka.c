/* librdkafka against its own mock cluster: a broker that answers when it is told to. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>

#include "call.h"

static rd_kafka_t *owner;
static rd_kafka_mock_cluster_t *cluster;

const char *rdkafka_version(void) { return rd_kafka_version_str(); }

static rd_kafka_t *client(const char *name, const char *value, void *opaque,
                          void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *)) {
    char error[256];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    rd_kafka_conf_set(settings, name, value, error, sizeof error);
    rd_kafka_conf_set(settings, "linger.ms", "0", error, sizeof error);
    rd_kafka_conf_set_opaque(settings, opaque);
    if (delivered != NULL) rd_kafka_conf_set_dr_msg_cb(settings, delivered);
    return rd_kafka_new(RD_KAFKA_PRODUCER, settings, error, sizeof error);
}

/* Starts the cluster; returns where it is. */
const char *rdkafka_start(void) {
    owner = client("test.mock.num.brokers", "1", NULL, NULL);
    cluster = owner ? rd_kafka_handle_mock_cluster(owner) : NULL;
    if (cluster == NULL || rd_kafka_mock_topic_create(cluster, "topic", 1, 1)) return NULL;
    return rd_kafka_mock_cluster_bootstraps(cluster);
}

void rdkafka_stop(void) { rd_kafka_destroy(owner); }

static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque) {
    (void)producer;
    if (!message->err) ++*(int *)opaque;
}

static int deliver(rd_kafka_t *producer) {
    rd_kafka_resp_err_t error =
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("topic"), RD_KAFKA_V_VALUE("message", 7), RD_KAFKA_V_END);
    return error ? error : rd_kafka_flush(producer, 60000);
}

/* Returns 0 for an answer. */
int rdkafka_call(const struct call *call) {
    int messages = 0;
    rd_kafka_t *producer = client("bootstrap.servers", call->server, &messages, delivered);
    if (producer == NULL) return 1;
    int error = deliver(producer);
    call->ready(call->context);
    rd_kafka_mock_broker_push_request_error_rtts(cluster, 1, 0 /* Produce */, 1, RD_KAFKA_RESP_ERR_NO_ERROR,
                                                 (int)(call->seconds * 1000));
    call->begin(call->context);
    if (!error) error = deliver(producer);
    call->end(call->context);
    rd_kafka_destroy(producer);
    snprintf(call->text, call->text_bytes, "%s, %d messages", rd_kafka_err2name(error), messages);
    return error != 0;
}
