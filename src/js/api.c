/* SPDX-License-Identifier: Apache-2.0 */
#include "js/api.h"

#include "base/text.h"

nbj_bytes nbj__api_subject(char *out, const char *verb, nbj_bytes stream, nbj_bytes consumer)
{
    nbj__text t = nbj__text_into(out, NBJ__API_SUBJECT_MAX);

    nbj__text_add(&t, NBJ__API_PREFIX);
    nbj__text_add(&t, ".");
    nbj__text_add(&t, verb);
    if (stream.len > 0) {
        nbj__text_add(&t, ".");
        nbj__text_add_bytes(&t, stream);
    }
    if (consumer.len > 0) {
        nbj__text_add(&t, ".");
        nbj__text_add_bytes(&t, consumer);
    }
    return nbj__text_view(&t);
}

nbj_status nbj__api_consumer_create(nbj__buf *body, const nbj__consumer_config *c)
{
    nbj__json_writer w = nbj__json_begin(body);

    nbj__json_put_text(&w, "stream_name", c->stream);
    nbj__json_put_object(&w, "config");
    nbj__json_put_text(&w, "durable_name", c->durable);
    nbj__json_put_text(&w, "name", c->durable);
    nbj__json_put_text(&w, "deliver_policy", nbj_str("all"));
    nbj__json_put_text(&w, "ack_policy", nbj_str("explicit"));
    nbj__json_put_text(&w, "replay_policy", nbj_str("instant"));
    nbj__json_put_u64(&w, "ack_wait", c->ack_wait_ns > 0 ? c->ack_wait_ns : NBJ_SECONDS(30));
    nbj__json_put_i64(&w, "max_deliver", c->max_deliver > 0 ? c->max_deliver : -1);
    nbj__json_put_i64(&w, "max_ack_pending", c->max_ack_pending > 0 ? c->max_ack_pending : 1000);
    if (c->filter_subject.len > 0)
        nbj__json_put_text(&w, "filter_subject", c->filter_subject);
    nbj__json_close(&w, '}');
    nbj__json_put_text(&w, "action",
                       nbj_str("create")); /* before 2.10 without effect: another configuration is put in place */
    return nbj__json_end(&w);
}

nbj_status nbj__api_pull(nbj__buf *body, uint64_t batch, uint64_t expires_ns, uint64_t heartbeat_ns)
{
    nbj__json_writer w = nbj__json_begin(body);

    nbj__json_put_u64(&w, "batch", batch); /* absent means one message at most */
    nbj__json_put_u64(&w, "expires", expires_ns);
    nbj__json_put_u64(&w, "idle_heartbeat", heartbeat_ns);
    return nbj__json_end(&w);
}
