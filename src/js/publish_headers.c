/* SPDX-License-Identifier: Apache-2.0 */
#include "js/publish_headers.h"

#include "base/rfc3339.h"
#include "base/text.h"
#include "wire/subject.h"

#include <assert.h>

#define SECOND NBJ_SECONDS(1)

typedef struct maker {
    nbj__publish_lines *lines;
    const nbj_publish_options *o;
    const nbj__js_where *where;
    nbj_error *error;
    nbj_status status; /* the first refusal; then nothing is added any more */
} maker;

static void refuse(maker *m, nbj_status status, const char *option, const char *why)
{
    if (m->status == NBJ_OK)
        m->status = nbj__error_set(m->error, status, "publish option ", option, ": ", why, (char *)NULL);
}

/* Adds a header, unless the caller's own has the name: which of the two would hold? */
static void add(maker *m, const char *name, nbj_bytes value)
{
    nbj__publish_lines *l = m->lines;

    for (size_t i = 0; i < m->o->header_count && m->status == NBJ_OK; i++) {
        if (nbj_bytes_equal(m->o->headers[i].name, nbj_str(name)))
            m->status = nbj__error_set(m->error, NBJ_E_INVALID, "the header ", name,
                                       " is given twice: by an option, and among the headers", (char *)NULL);
    }
    if (m->status != NBJ_OK)
        return;
    assert(l->count < NBJ__PUBLISH_LINES_MAX);
    l->items[l->count++] = (nbj_header){ nbj_str(name), value };
}

/* An empty one would be ignored by the server. */
static void add_text(maker *m, const char *name, const char *value)
{
    if (value != NULL && value[0] == '\0' && m->status == NBJ_OK)
        m->status = nbj__error_set(m->error, NBJ_E_INVALID, "the publish option for ", name, " is empty", (char *)NULL);
    if (value != NULL)
        add(m, name, nbj_str(value));
}

/* What the server must be, to not ignore it. */
static void need(maker *m, nbj__feature feature)
{
    nbj_status st = m->status == NBJ_OK ? nbj__gate_check(m->where, feature, m->error) : NBJ_OK;

    if (st != NBJ_OK)
        m->status = st;
    if (nbj__gate_level(feature) > nbj__gate_level(m->lines->feature))
        m->lines->feature = feature;
}

/* Room for a value that is written; |end| takes what was. */
static nbj__text begin(const maker *m)
{
    return nbj__text_into(m->lines->digits + m->lines->used, sizeof m->lines->digits - m->lines->used);
}

static nbj_bytes end(maker *m, const nbj__text *t)
{
    assert(!t->cut);
    m->lines->used += t->len + 1;
    return nbj__text_view(t);
}

/* --- numbers and times --- */

static void add_sequence(maker *m, const char *name, uint64_t sequence)
{
    if (sequence == 0)
        return;
    nbj__text t = begin(m);
    nbj__text_add_u64(&t, sequence == NBJ_EXPECT_NONE_YET ? 0 : sequence);
    add(m, name, end(m, &t));
}

/* As Go's time.ParseDuration reads it. */
static void add_duration(nbj__text *t, uint64_t ns)
{
    bool is_whole = ns % SECOND == 0;

    nbj__text_add_u64(t, is_whole ? ns / SECOND : ns);
    nbj__text_add(t, is_whole ? "s" : "ns");
}

static void add_ttl(maker *m, const char *name, const char *option, uint64_t ns)
{
    if (ns == 0)
        return;
    if (ns != NBJ_TTL_NEVER && (ns < SECOND || ns > INT64_MAX)) {
        refuse(m, NBJ_E_INVALID, option, "a time to live is at least 1 s, and at most 292 years or NBJ_TTL_NEVER");
        return;
    }
    need(m, NBJ__FEATURE_MSG_TTL);
    nbj__text t = begin(m);
    if (ns == NBJ_TTL_NEVER)
        nbj__text_add(&t, "never");
    else
        add_duration(&t, ns);
    add(m, name, end(m, &t));
}

/* Times behind the year 2262 are the last moment of what can be written. */
static void add_time(nbj__text *t, uint64_t unix_ns)
{
    char text[NBJ__RFC3339_SIZE];

    nbj__text_add_bytes(t, nbj__rfc3339_format(text, unix_ns < INT64_MAX ? (int64_t)unix_ns : INT64_MAX));
}

/* --- options --- */

static void add_expectations(maker *m)
{
    const nbj_publish_options *o = m->o;

    add_text(m, "Nats-Expected-Stream", o->expect_stream);
    add_sequence(m, "Nats-Expected-Last-Sequence", o->expect_last_sequence);
    add_text(m, "Nats-Expected-Last-Msg-Id", o->expect_last_msg_id);
    add_sequence(m, "Nats-Expected-Last-Subject-Sequence", o->expect_subject_sequence);
    if (o->expect_subject == NULL)
        return;
    if (o->expect_subject_sequence == 0)
        refuse(m, NBJ_E_INVALID, "expect_subject", "it says whose expect_subject_sequence is meant, which is not set");
    else if (!nbj__subject_is_filter(nbj_str(o->expect_subject)))
        refuse(m, NBJ_E_BAD_SUBJECT, "expect_subject", "not a legal subject");
    need(m, NBJ__FEATURE_EXPECT_OTHER_SUBJECT);
    add_text(m, "Nats-Expected-Last-Subject-Sequence-Subject", o->expect_subject);
}

static const char *rollup_name(nbj_rollup r)
{
    switch (r) {
    case NBJ_ROLLUP_SUBJECT:
        return "sub";
    case NBJ_ROLLUP_ALL:
        return "all";
    case NBJ_ROLLUP_NONE:
        break;
    }
    return NULL;
}

static void add_rollup(maker *m)
{
    if (m->o->rollup != NBJ_ROLLUP_NONE && rollup_name(m->o->rollup) == NULL)
        refuse(m, NBJ_E_INVALID, "rollup", "there is no such one");
    add_text(m, "Nats-Rollup", rollup_name(m->o->rollup));
}

static bool is_signed_number(nbj_bytes s)
{
    size_t i = s.len > 0 && (s.ptr[0] == '+' || s.ptr[0] == '-') ? 1 : 0;
    size_t digits = s.len - i;

    while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
        i++;
    return digits > 0 && i == s.len;
}

static void add_increment(maker *m)
{
    const nbj_publish_options *o = m->o;

    if (o->increment == 0 && o->increment_text == NULL)
        return;
    if (o->increment != 0 && o->increment_text != NULL)
        refuse(m, NBJ_E_INVALID, "increment", "increment_text is set, too");
    if (o->increment_text != NULL && !is_signed_number(nbj_str(o->increment_text)))
        refuse(m, NBJ_E_INVALID, "increment_text", "not a whole number");
    need(m, NBJ__FEATURE_COUNTERS);
    nbj__text t = begin(m);
    if (o->increment > 0)
        nbj__text_add(&t, "+");
    nbj__text_add_i64(&t, o->increment);
    add(m, "Nats-Incr", o->increment_text != NULL ? nbj_str(o->increment_text) : end(m, &t));
}

/* --- schedules --- */

static void add_schedule_rule(maker *m, const nbj_schedule *s)
{
    nbj__text t = begin(m);

    if ((s->at_unix_ns > 0) + (s->every_ns > 0) + (s->cron != NULL) != 1)
        refuse(m, NBJ_E_INVALID, "schedule", "one of at_unix_ns, every_ns and cron is needed");
    if (s->every_ns > 0 && (s->every_ns < SECOND || s->every_ns > INT64_MAX))
        refuse(m, NBJ_E_INVALID, "schedule", "every_ns is at least 1 s");
    if (s->at_unix_ns > 0) {
        nbj__text_add(&t, "@at ");
        add_time(&t, s->at_unix_ns);
    } else if (s->every_ns > 0) {
        nbj__text_add(&t, "@every ");
        add_duration(&t, s->every_ns);
    }
    add(m, "Nats-Schedule", s->cron != NULL ? nbj_str(s->cron) : end(m, &t));
}

static void add_schedule(maker *m)
{
    const nbj_schedule *s = m->o->schedule;

    if (s == NULL)
        return;
    bool is_new = s->every_ns > 0 || s->cron != NULL || s->time_zone != NULL || s->source != NULL || s->rollup != 0;
    need(m, is_new ? NBJ__FEATURE_SCHEDULE_REPEAT : NBJ__FEATURE_SCHEDULES);
    add_schedule_rule(m, s);
    if (s->target == NULL)
        refuse(m, NBJ_E_INVALID, "schedule", "target is needed");
    else if (!nbj__subject_is_literal(nbj_str(s->target)))
        refuse(m, NBJ_E_BAD_SUBJECT, "schedule", "target is not a legal subject to publish to");
    if (s->source != NULL && !nbj__subject_is_literal(nbj_str(s->source)))
        refuse(m, NBJ_E_BAD_SUBJECT, "schedule", "source is not a legal subject without wildcards");
    if (s->time_zone != NULL && s->cron == NULL)
        refuse(m, NBJ_E_INVALID, "schedule", "time_zone goes with cron only");
    if (s->rollup != NBJ_ROLLUP_NONE && s->rollup != NBJ_ROLLUP_SUBJECT)
        refuse(m, NBJ_E_INVALID, "schedule", "rollup is none or that of the subject");
    add_text(m, "Nats-Schedule-Target", s->target);
    add_text(m, "Nats-Schedule-Time-Zone", s->time_zone);
    add_text(m, "Nats-Schedule-Source", s->source);
    add_ttl(m, "Nats-Schedule-TTL", "schedule", s->ttl_ns);
    add_text(m, "Nats-Schedule-Rollup", rollup_name(s->rollup));
}

nbj_status nbj__publish_lines_make(nbj__publish_lines *lines, const nbj_publish_options *o, const nbj__js_where *where,
                                   nbj_error *error)
{
    maker m = { lines, o, where, error, NBJ_OK };

    lines->count = lines->used = 0;
    lines->feature = NBJ__FEATURE_NONE;
    add_expectations(&m);
    add_rollup(&m);
    add_ttl(&m, "Nats-TTL", "ttl_ns", o->ttl_ns);
    add_increment(&m);
    add_schedule(&m);
    return m.status;
}
