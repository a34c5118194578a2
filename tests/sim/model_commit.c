/* SPDX-License-Identifier: Apache-2.0 */
/* What replicas add to a stream of the server model: between a message's checks and its sequence lies time, in which
 * its id is in process and a change of the leader may lose it, or store it without a word. And answers of streams that
 * come late, in another order, or twice. */
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

/* --- proposals -------------------------------------------------------------------------------------------- */

static str copy(str s)
{
    return (str){ s.ptr != NULL ? str_dup(s) : NULL, s.len };
}

static void free_text(str s)
{
    free((void *)(uintptr_t)s.ptr);
}

static void free_routed(const routed *r)
{
    free_text(r->subject);
    free_text(r->reply);
    free_text(r->header);
    free_text(r->data);
}

static routed copy_routed(const routed *r)
{
    return (routed){ .subject = copy(r->subject),
                     .reply = copy(r->reply),
                     .header = copy(r->header),
                     .data = copy(r->data),
                     .from_stream = r->from_stream };
}

void stream_propose(model_stream *s, const routed *msg)
{
    model *m = s->m;
    uint64_t due = m->now + rng_below(&m->random, m->opt.commit_max_ns);
    if (s->nproposals > 0 && due < s->proposals[s->nproposals - 1].due)
        due = s->proposals[s->nproposals - 1].due; /* one log, one order */
    s->proposals = sim_grow(s->proposals, s->nproposals, &s->proposals_cap, sizeof *s->proposals);
    s->proposals[s->nproposals++] = (proposal){ copy_routed(msg), due };
}

bool stream_has_proposed(const model_stream *s, const char *key, str value)
{
    for (size_t i = 0; i < s->nproposals; i++) {
        const routed *r = &s->proposals[i].msg;
        if (str_eq(value, key != NULL ? model_header(r->header, key) : r->subject))
            return true;
    }
    return false;
}

static void drop_first(model_stream *s)
{
    free_routed(&s->proposals[0].msg);
    s->nproposals--;
    memmove(s->proposals, s->proposals + 1, s->nproposals * sizeof *s->proposals);
}

void stream_commit(model_stream *s)
{
    while (s->nproposals > 0 && s->proposals[0].due <= s->m->now) {
        stream_store(s, &s->proposals[0].msg);
        drop_first(s);
    }
}

void stream_forget_proposals(model_stream *s)
{
    while (s->nproposals > 0)
        drop_first(s);
}

/* What the next leader has of what the last one proposed is some beginning of it; nobody is told. */
void model_step_down(model *m, uint64_t now)
{
    m->now = now > m->now ? now : m->now;
    for (size_t i = 0; i < m->nstreams; i++) {
        model_stream *s = m->streams[i];
        size_t kept = (size_t)rng_below(&m->random, s->nproposals + 1);
        for (size_t k = 0; k < kept; k++) {
            s->proposals[0].msg.reply.len = 0;
            stream_store(s, &s->proposals[0].msg);
            drop_first(s);
        }
        stream_forget_proposals(s);
    }
}

/* --- answers ---------------------------------------------------------------------------------------------- */

static void keep_answer(model *m, const routed *out)
{
    m->late = sim_grow(m->late, m->nlate, &m->late_cap, sizeof *m->late);
    m->late[m->nlate++] = (proposal){ copy_routed(out), m->now + rng_below(&m->random, m->opt.late_max_ns) };
}

/* |for_now|: it refuses one transmission, and who got it twice would take it for that of two. */
void stream_answer(model *m, str reply, str header, str body, bool for_now)
{
    routed out = { .subject = reply, .reply = { "", 0 }, .header = header, .data = body, .from_stream = true };
    if (m->trouble != MODEL_JS_LATE || m->opt.late_max_ns == 0 || reply.len == 0) {
        js_answer(m, reply, header, body, true);
        return;
    }
    keep_answer(m, &out);
    if (!for_now && rng_below(&m->random, 8) == 0)
        keep_answer(m, &out);
}

void answers_tick(model *m)
{
    for (size_t i = 0; i < m->nlate;) {
        proposal due = m->late[i];
        if (due.due > m->now) {
            i++;
            continue;
        }
        m->late[i] = m->late[--m->nlate];
        js_answer(m, due.msg.subject, due.msg.header, due.msg.data, true);
        free_routed(&due.msg);
    }
}

uint64_t answers_deadline(const model *m)
{
    uint64_t due = SIM_NEVER;
    for (size_t i = 0; i < m->nlate; i++)
        due = m->late[i].due < due ? m->late[i].due : due;
    return due;
}

void answers_free(model *m)
{
    while (m->nlate > 0)
        free_routed(&m->late[--m->nlate].msg);
    free(m->late);
}
