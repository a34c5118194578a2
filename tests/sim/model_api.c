/* SPDX-License-Identifier: Apache-2.0 */
/* JetStream's API calls on streams and consumers, and their answers. */
#include "model_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_PREFIX "io.nats.jetstream.api.v1."

/* One API call: tokens of the subject after its name, request body, answer under construction. */
typedef struct call {
    model *m;
    str stream, consumer, body;
    const char *type;
    jv_doc doc;
    buf out;
} call;

static void open_answer(call *c)
{
    buf_printf(&c->out, "{\"type\":\"" TYPE_PREFIX "%s_response\"", c->type);
}

static void error(call *c, unsigned code, unsigned err, const char *description)
{
    buf_clear(&c->out);
    open_answer(c);
    buf_printf(&c->out, ",\"error\":{\"code\":%u,\"err_code\":%u,\"description\":", code, err);
    jv_write_text(&c->out, str_of(description));
    buf_text(&c->out, "}");
}

static model_stream *want_stream(call *c)
{
    model_stream *s = stream_find(c->m, c->stream);
    if (s == NULL)
        error(c, 404, 10059, "stream not found");
    return s;
}

static bool want_json(call *c)
{
    if (c->doc.error == NULL && c->doc.root->kind == JV_OBJECT)
        return true;
    model_blame(c->m, "API request: %s: %.*s", c->doc.error != NULL ? c->doc.error : "not an object",
                (int)(c->body.len > 60 ? 60 : c->body.len), c->body.ptr);
    error(c, 400, 10025, "invalid JSON");
    return false;
}

static bool want_known_fields(call *c, str wrong)
{
    char text[160];
    if (wrong.ptr == NULL)
        return true;
    snprintf(text, sizeof text, "invalid JSON: json: unknown field \"%.*s\"", (int)wrong.len, wrong.ptr);
    error(c, 400, 10025, text);
    return false;
}

/* --- streams ---------------------------------------------------------------------------------------------- */

static void write_state(const model_stream *s, buf *out)
{
    uint64_t first = s->nmsgs > 0 ? MODEL_EPOCH_NS + s->msgs[0].time : 0;
    uint64_t last = s->last_seq > 0 ? MODEL_EPOCH_NS + s->last_time : 0;
    uint64_t deleted = s->nmsgs > 0 ? s->last_seq + 1 - s->first_seq - s->nmsgs : 0;
    size_t subjects = 0;
    for (size_t i = 0; i < s->nmsgs; i++) {
        size_t k = 0;
        while (k < i && strcmp(s->msgs[i].subject, s->msgs[k].subject) != 0)
            k++;
        subjects += k == i;
    }
    buf_printf(out, "{\"messages\":%zu,\"bytes\":%llu,\"first_seq\":%llu,\"first_ts\":", s->nmsgs,
               (unsigned long long)s->octets, (unsigned long long)s->first_seq);
    jv_write_time(out, first);
    buf_printf(out, ",\"last_seq\":%llu,\"last_ts\":", (unsigned long long)s->last_seq);
    jv_write_time(out, last);
    if (subjects > 0)
        buf_printf(out, ",\"num_subjects\":%zu", subjects);
    if (deleted > 0)
        buf_printf(out, ",\"num_deleted\":%llu", (unsigned long long)deleted);
    buf_printf(out, ",\"consumer_count\":%zu}", s->nconsumers);
}

static void write_stream_info(call *c, const model_stream *s, bool leader)
{
    buf_text(&c->out, ",\"config\":");
    config_write(c->m, &s->cfg, &c->out, true);
    buf_text(&c->out, ",\"created\":");
    jv_write_time(&c->out, s->created);
    buf_text(&c->out, ",\"state\":");
    write_state(s, &c->out);
    if (leader && c->m->opt.minor >= 10)
        buf_text(&c->out, ",\"cluster\":{\"leader\":\"sim0\"}");
    if (c->m->opt.minor >= 10) {
        buf_text(&c->out, ",\"ts\":");
        jv_write_time(&c->out, model_wall(c->m));
    }
}

/* Reads and completes the configuration in the body; on failure the error is written and |cfg| is freed. */
static bool read_stream_config(call *c, config *cfg)
{
    if (!want_json(c))
        return false;
    if (!want_known_fields(c, config_read(c->m, stream_fields, c->doc.root, cfg))) {
        config_free(cfg);
        return false;
    }
    cfg_value *v = cfg->v;
    if (!str_eq(str_of(v[S_NAME].text), c->stream)) {
        error(c, 400, 10056, "stream name in subject does not match request");
        config_free(cfg);
        return false;
    }
    if (v[S_SUBJECTS].count == 0) {
        v[S_SUBJECTS].texts = sim_alloc(sizeof(char *));
        v[S_SUBJECTS].texts[0] = str_dup(c->stream);
        v[S_SUBJECTS].count = 1;
    }
    if (v[S_MAX_AGE].num > 0 && v[S_DUPLICATES].num > v[S_MAX_AGE].num)
        v[S_DUPLICATES].num = v[S_MAX_AGE].num;
    return true;
}

static void stream_create(call *c)
{
    config cfg;
    if (!read_stream_config(c, &cfg))
        return;
    model_stream *s = stream_find(c->m, c->stream);
    if (s != NULL && !config_equal(c->m, &s->cfg, &cfg)) {
        error(c, 400, 10058, "stream name already in use with a different configuration");
    } else if (s == NULL && cfg.v[S_REPLICAS].num > 1) {
        error(c, 500, 10074, "replicas > 1 not supported in non-clustered mode");
    } else if (s == NULL && stream_overlaps(c->m, &cfg, NULL)) {
        error(c, 400, 10065, "subjects overlap with an existing stream");
    } else {
        if (s == NULL)
            s = stream_new(c->m, &cfg);
        open_answer(c);
        write_stream_info(c, s, false);
        buf_text(&c->out, ",\"did_create\":true");
    }
    config_free(&cfg);
}

static void stream_update(call *c)
{
    config cfg;
    if (!read_stream_config(c, &cfg))
        return;
    model_stream *s = want_stream(c);
    if (s != NULL && cfg.v[S_STORAGE].num != s->cfg.v[S_STORAGE].num) {
        error(c, 500, 10052, "stream configuration update can not change storage type");
    } else if (s != NULL && stream_overlaps(c->m, &cfg, s)) {
        error(c, 400, 10065, "subjects overlap with an existing stream");
    } else if (s != NULL) {
        config_free(&s->cfg);
        s->cfg = cfg;
        cfg = (config){ 0 };
        stream_trim(s);
        open_answer(c);
        write_stream_info(c, s, false);
    }
    config_free(&cfg);
}

static void stream_info(call *c)
{
    const model_stream *s = want_stream(c);
    static const char page[] = ",\"total\":0,\"offset\":0,\"limit\":0";
    if (s == NULL) {
        buf_text(&c->out, page);
        return;
    }
    open_answer(c);
    buf_text(&c->out, page);
    write_stream_info(c, s, true);
}

static void stream_names(call *c)
{
    str filter = c->body.len > 0 && want_json(c) ? jv_str(c->doc.root, "subject") : (str){ "", 0 };
    const char *comma = "[";
    size_t n = 0;
    buf names = { 0 };
    for (size_t i = 0; i < c->m->nstreams; i++) {
        const cfg_value *v = c->m->streams[i]->cfg.v;
        bool covers = filter.len == 0;
        for (size_t k = 0; k < v[S_SUBJECTS].count && !covers; k++)
            covers = model_subject_matches(str_of(v[S_SUBJECTS].texts[k]), filter);
        if (!covers)
            continue;
        buf_printf(&names, "%s\"%s\"", comma, v[S_NAME].text);
        comma = ",";
        n++;
    }
    open_answer(c);
    buf_printf(&c->out, ",\"total\":%zu,\"offset\":0,\"limit\":1024,\"streams\":", n);
    buf_str(&c->out, buf_view(&names));
    buf_text(&c->out, n > 0 ? "]" : "null");
    buf_free(&names);
}

static void stream_delete(call *c)
{
    model_stream *s = want_stream(c);
    if (s == NULL)
        return;
    stream_drop(s);
    open_answer(c);
    buf_text(&c->out, ",\"success\":true");
}

static void stream_purge_call(call *c)
{
    model_stream *s = want_stream(c);
    if (s == NULL)
        return;
    if (c->body.len > 0)
        model_blame(c->m, "STREAM.PURGE with a body is unknown to the model");
    open_answer(c);
    buf_printf(&c->out, ",\"success\":true,\"purged\":%llu", (unsigned long long)stream_purge(s));
}

static const stored_msg *wanted_msg(const model_stream *s, const jv *request)
{
    str subject = jv_str(request, "last_by_subj");
    if (subject.len == 0)
        return stream_msg(s, (uint64_t)jv_int(request, "seq", 0));
    for (size_t i = s->nmsgs; i-- > 0;)
        if (model_subject_matches(subject, str_of(s->msgs[i].subject)))
            return &s->msgs[i];
    return NULL;
}

static void msg_get(call *c)
{
    const model_stream *s = want_stream(c);
    if (s == NULL || !want_json(c))
        return;
    const stored_msg *msg = wanted_msg(s, c->doc.root);
    if (msg == NULL) {
        error(c, 404, 10037, "no message found");
        return;
    }
    open_answer(c);
    buf_text(&c->out, ",\"message\":{\"subject\":");
    jv_write_text(&c->out, str_of(msg->subject));
    buf_printf(&c->out, ",\"seq\":%llu", (unsigned long long)msg->seq);
    if (msg->header.len > 0) {
        buf_text(&c->out, ",\"hdrs\":\"");
        jv_write_base64(&c->out, msg->header);
        buf_text(&c->out, "\"");
    }
    if (msg->data.len > 0) {
        buf_text(&c->out, ",\"data\":\"");
        jv_write_base64(&c->out, msg->data);
        buf_text(&c->out, "\"");
    }
    buf_text(&c->out, ",\"time\":");
    jv_write_time(&c->out, MODEL_EPOCH_NS + msg->time);
    buf_text(&c->out, "}");
}

/* --- consumers -------------------------------------------------------------------------------------------- */

static void answer_consumer(call *c, const consumer *k)
{
    open_answer(c);
    consumer_write_info(k, &c->out);
}

static bool read_consumer_config(call *c, config *cfg)
{
    if (!want_json(c))
        return false;
    for (const jv *e = c->doc.root->child; e != NULL; e = e->next)
        if (!str_is(e->key, "stream_name") && !str_is(e->key, "config") && !str_is(e->key, "action") &&
            !str_is(e->key, "pedantic"))
            model_blame(c->m, "consumer request: unknown field %.*s", (int)e->key.len, e->key.ptr);
    if (!str_eq(jv_str(c->doc.root, "stream_name"), c->stream)) {
        error(c, 400, 10056, "stream name in subject does not match request");
        return false;
    }
    if (!want_known_fields(c, config_read(c->m, consumer_fields, jv_get(c->doc.root, "config"), cfg)))
        return false;
    if (cfg->v[C_DURABLE].text == NULL || !str_is(c->consumer, cfg->v[C_DURABLE].text)) {
        model_blame(c->m, "consumer request: not durable, or another name than in the subject");
        error(c, 400, 10017, "consumer name in subject does not match durable name in request");
        return false;
    }
    return true;
}

/* Creates, updates, or refuses, as the action of the request wants (known from 2.10 on). */
static void upsert_consumer(call *c, model_stream *s, config *cfg)
{
    consumer *k = consumer_find(s, c->consumer);
    str action = c->m->opt.minor >= 10 ? jv_str(c->doc.root, "action") : (str){ "", 0 };
    bool equal = k != NULL && config_equal(c->m, &k->cfg, cfg);
    if (k != NULL && str_is(action, "create") && !equal) {
        error(c, 400, 10148, "consumer already exists");
    } else if (k == NULL && str_is(action, "update")) {
        error(c, 400, 10149, "consumer does not exist");
    } else if (k != NULL &&
               (cfg->v[C_ACK].num != k->cfg.v[C_ACK].num || cfg->v[C_DELIVER].num != k->cfg.v[C_DELIVER].num)) {
        error(c, 500, 10012,
              cfg->v[C_ACK].num != k->cfg.v[C_ACK].num ? "ack policy can not be updated"
                                                       : "deliver policy can not be updated");
    } else if (k == NULL && s->cfg.v[S_RETENTION].num == RETAIN_WORKQUEUE && cfg->v[C_ACK].num != ACK_EXPLICIT) {
        error(c, 400, 10084,
              c->m->opt.minor < 12 ? "consumer in pull mode requires ack policy"
                                   : "consumer in pull mode requires explicit ack policy on workqueue stream");
    } else {
        if (k == NULL) {
            k = consumer_new(s, cfg);
        } else if (!equal) {
            config_free(&k->cfg);
            k->cfg = *cfg;
            *cfg = (config){ 0 };
        }
        answer_consumer(c, k);
        consumer_deliver(k);
    }
}

static void consumer_create(call *c, bool by_name)
{
    config cfg = { 0 };
    model_stream *s;
    if (read_consumer_config(c, &cfg) && (s = want_stream(c)) != NULL) {
        if (cfg.v[C_NAME].text == NULL && (by_name || c->m->opt.minor >= 11))
            config_set_text(&cfg.v[C_NAME], c->consumer);
        if (cfg.v[C_BACKOFF].count > 0)
            cfg.v[C_ACK_WAIT].num = cfg.v[C_BACKOFF].ints[0];
        upsert_consumer(c, s, &cfg);
    }
    config_free(&cfg);
}

static void create_by_name(call *c)
{
    consumer_create(c, true);
}

static void create_durable(call *c)
{
    consumer_create(c, false);
}

static consumer *want_consumer(call *c)
{
    const model_stream *s = want_stream(c);
    consumer *k = s != NULL ? consumer_find(s, c->consumer) : NULL;
    if (s != NULL && k == NULL)
        error(c, 404, 10014, "consumer not found");
    return k;
}

static void consumer_info(call *c)
{
    const consumer *k = want_consumer(c);
    if (k != NULL)
        answer_consumer(c, k);
}

static void consumer_delete(call *c)
{
    consumer *k = want_consumer(c);
    if (k == NULL)
        return;
    consumer_drop(k);
    open_answer(c);
    buf_text(&c->out, ",\"success\":true");
}

static void account_info(call *c)
{
    uint64_t memory = 0, file = 0;
    size_t consumers = 0;
    for (size_t i = 0; i < c->m->nstreams; i++) {
        const model_stream *s = c->m->streams[i];
        *(s->cfg.v[S_STORAGE].num == STORE_MEMORY ? &memory : &file) += s->octets;
        consumers += s->nconsumers;
    }
    open_answer(c);
    buf_printf(&c->out, ",\"memory\":%llu,\"storage\":%llu", (unsigned long long)memory, (unsigned long long)file);
    if (c->m->opt.minor >= 10)
        buf_text(&c->out, ",\"reserved_memory\":0,\"reserved_storage\":0");
    buf_printf(&c->out, ",\"streams\":%zu,\"consumers\":%zu", c->m->nstreams, consumers);
    buf_text(&c->out, ",\"limits\":{\"max_memory\":-1,\"max_storage\":-1,\"max_streams\":-1,\"max_consumers\":-1,"
                      "\"max_ack_pending\":-1,\"memory_max_stream_bytes\":-1,\"storage_max_stream_bytes\":-1,"
                      "\"max_bytes_required\":false},\"api\":{");
    if (c->m->opt.minor >= 11)
        buf_text(&c->out, "\"level\":5,");
    buf_text(&c->out, "\"total\":0,\"errors\":0}");
}

/* --- dispatch --------------------------------------------------------------------------------------------- */

static const struct api_entry {
    const char *name; /* after $JS.API. */
    unsigned tokens;  /* of names that follow */
    bool empty_body;
    const char *type;
    void (*run)(call *c);
} api[] = {
    { "INFO", 0, false, "account_info", account_info },
    { "STREAM.CREATE", 1, false, "stream_create", stream_create },
    { "STREAM.UPDATE", 1, false, "stream_update", stream_update },
    { "STREAM.INFO", 1, false, "stream_info", stream_info },
    { "STREAM.NAMES", 0, false, "stream_names", stream_names },
    { "STREAM.DELETE", 1, true, "stream_delete", stream_delete },
    { "STREAM.PURGE", 1, false, "stream_purge", stream_purge_call },
    { "STREAM.MSG.GET", 1, false, "stream_msg_get", msg_get },
    { "CONSUMER.CREATE", 2, false, "consumer_create", create_by_name },
    { "CONSUMER.DURABLE.CREATE", 2, false, "consumer_create", create_durable },
    { "CONSUMER.INFO", 2, true, "consumer_info", consumer_info },
    { "CONSUMER.DELETE", 2, true, "consumer_delete", consumer_delete },
};

/* Whether |subject| (after the API prefix) is |e| with the right number of names; they go into |c|. */
static bool is_call(const struct api_entry *e, str subject, call *c)
{
    size_t n = strlen(e->name);
    if (!str_starts(subject, e->name) || (subject.len > n && subject.ptr[n] != '.'))
        return false;
    str rest = str_skip(subject, n + 1);
    unsigned tokens = 0;
    for (; rest.len > 0; tokens++)
        *(tokens == 0 ? &c->stream : &c->consumer) = str_cut(&rest, '.');
    /* CONSUMER.CREATE may name its one filter after the consumer */
    return tokens == e->tokens;
}

static void run_call(const struct api_entry *e, call *c, str reply)
{
    if (e->empty_body && c->body.len > 0)
        error(c, 400, 10038, "expected an empty request payload");
    else if (c->m->trouble == MODEL_JS_NO_QUORUM)
        error(c, 503, 10008, "JetStream system temporarily unavailable");
    else
        e->run(c);
    buf_text(&c->out, "}");
    js_answer(c->m, reply, (str){ 0 }, buf_view(&c->out), false);
}

/* |subject| without the API's prefix. False: no such call. */
bool api_call(model *m, str subject, str reply, str body)
{
    for (size_t i = 0; i < sizeof api / sizeof api[0]; i++) {
        call c = { .m = m, .body = body, .type = api[i].type };
        if (!is_call(&api[i], subject, &c))
            continue;
        c.doc = jv_parse(body.len > 0 ? body : str_of("{}"));
        run_call(&api[i], &c, reply);
        jv_free(&c.doc);
        buf_free(&c.out);
        return true;
    }
    return false;
}
