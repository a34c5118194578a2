/* SPDX-License-Identifier: Apache-2.0 */
/* Interest of all connections and the routing of one message: plain subscriptions each, one member of each queue
 * group, maxima, echo, denied subjects, no responders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

/* Whether one of the blank-separated |patterns| covers |subject|. */
bool denied(const char *patterns, str subject)
{
    str rest = str_of(patterns);
    while (rest.len > 0) {
        str pattern = str_cut(&rest, ' ');
        if (model_subject_matches(pattern, subject))
            return true;
    }
    return false;
}

static model_sub *find(const model_conn *c, uint64_t sid)
{
    for (size_t i = 0; i < c->m->nsubs; i++)
        if (c->m->subs[i].conn == c && c->m->subs[i].sid == sid)
            return &c->m->subs[i];
    return NULL;
}

static void kill_sub(model_sub *s)
{
    s->conn->subs--;
    s->conn = NULL;
}

void sub_sweep(model *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->nsubs; i++) {
        model_sub *s = &m->subs[i];
        if (s->conn != NULL) {
            m->subs[kept++] = *s;
            continue;
        }
        free(s->subject);
        free(s->queue);
    }
    m->nsubs = kept;
}

void sub_add(model_conn *c, const client_op *op)
{
    model *m = c->m;
    char using_queue[160] = "";
    if (op->queue.len > 0)
        snprintf(using_queue, sizeof using_queue, " using queue \"%.*s\"", (int)op->queue.len, op->queue.ptr);
    if (check_subject(op->subject, true) != NULL) {
        model_blame(m, "SUB: %s: %.*s", check_subject(op->subject, true), (int)op->subject.len, op->subject.ptr);
        conn_error(c, "Invalid Subject");
        return;
    }
    if (!c->trusted && denied(m->opt.deny_subscribe, op->subject)) {
        conn_error(c, "Permissions Violation for Subscription to \"%.*s\"%s", (int)op->subject.len, op->subject.ptr,
                   using_queue);
        return;
    }
    if (m->opt.max_subs > 0 && c->subs >= m->opt.max_subs) {
        conn_error(c, "maximum subscriptions exceeded");
        return;
    }
    if (find(c, op->sid) != NULL) {
        model_blame(m, "SUB with the live sid %llu", (unsigned long long)op->sid);
    } else {
        m->subs = sim_grow(m->subs, m->nsubs, &m->subs_cap, sizeof *m->subs);
        m->subs[m->nsubs++] = (model_sub){ .conn = c,
                                           .subject = str_dup(op->subject),
                                           .queue = op->queue.len > 0 ? str_dup(op->queue) : NULL,
                                           .sid = op->sid };
        c->subs++;
    }
    if (c->verbose)
        buf_text(&c->out, "+OK\r\n");
}

void sub_remove(model_conn *c, uint64_t sid, uint64_t max)
{
    model_sub *s = find(c, sid);
    if (s != NULL && max > s->count)
        s->max = max;
    else if (s != NULL)
        kill_sub(s);
    if (c->verbose)
        buf_text(&c->out, "+OK\r\n");
}

void sub_remove_all(model_conn *c)
{
    for (size_t i = 0; i < c->m->nsubs; i++)
        if (c->m->subs[i].conn == c)
            kill_sub(&c->m->subs[i]);
}

/* Servers before 2.10 write two blanks before the sizes of what a stream sends without a reply. */
static const char *size_gap(const model *m, const routed *msg)
{
    return m->opt.minor < 10 && msg->from_stream && msg->reply.len == 0 ? " " : "";
}

static void write_frame(model_conn *c, uint64_t sid, const routed *msg)
{
    bool with_header = c->headers && msg->header.len > 0;
    size_t header = with_header ? msg->header.len : 0;
    buf_printf(&c->out, "%s %.*s %llu%s%.*s %s", with_header ? "HMSG" : "MSG", (int)msg->subject.len, msg->subject.ptr,
               (unsigned long long)sid, msg->reply.len > 0 ? " " : "", (int)msg->reply.len, msg->reply.ptr,
               size_gap(c->m, msg));
    if (with_header)
        buf_printf(&c->out, "%zu ", header);
    buf_printf(&c->out, "%zu\r\n", header + msg->data.len);
    buf_put(&c->out, msg->header.ptr, header);
    buf_str(&c->out, msg->data);
    buf_text(&c->out, "\r\n");
    if (c->m->watcher.delivered != NULL)
        c->m->watcher.delivered(c->m->watcher.user, c, sid);
}

/* Whether the subscription would get |msg| at all. */
static bool eligible(const model *m, const model_sub *s, const routed *msg)
{
    return s->conn != NULL && (s->conn != msg->from || s->conn->echo) && !(s->max > 0 && s->count >= s->max) &&
           model_subject_matches(str_of(s->subject), msg->to) &&
           (s->conn->trusted || !denied(m->opt.deny_subscribe, msg->to));
}

static void deliver(model_sub *s, const routed *msg)
{
    write_frame(s->conn, s->sid, msg);
    s->count++;
    if (s->max > 0 && s->count >= s->max)
        kill_sub(s);
}

static bool same_group(const model_sub *a, const model_sub *b)
{
    return a->queue != NULL && b->queue != NULL && strcmp(a->queue, b->queue) == 0 &&
           strcmp(a->subject, b->subject) == 0;
}

/* Gives |msg| to one eligible member of the group of subs[first], its first member in the table. */
static size_t deliver_to_group(model *m, size_t first, const routed *msg)
{
    size_t members = 0;
    for (size_t i = first; i < m->nsubs; i++)
        members += same_group(&m->subs[first], &m->subs[i]) && eligible(m, &m->subs[i], msg);
    if (members == 0)
        return 0;
    size_t chosen = (size_t)rng_below(&m->random, members);
    for (size_t i = first; i < m->nsubs; i++) {
        if (!same_group(&m->subs[first], &m->subs[i]) || !eligible(m, &m->subs[i], msg))
            continue;
        if (chosen-- == 0) {
            deliver(&m->subs[i], msg);
            break;
        }
    }
    return 1;
}

static bool starts_group(const model *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (m->subs[k].conn != NULL && same_group(&m->subs[k], &m->subs[i]))
            return false;
    return true;
}

size_t route(model *m, const routed *msg)
{
    size_t delivered = 0, n = m->nsubs;
    for (size_t i = 0; i < n; i++) {
        model_sub *s = &m->subs[i];
        if (s->conn == NULL || !model_subject_matches(str_of(s->subject), msg->to))
            continue;
        if (s->queue != NULL) {
            delivered += starts_group(m, i) ? deliver_to_group(m, i, msg) : 0;
        } else if (eligible(m, s, msg)) {
            deliver(s, msg);
            delivered++;
        }
    }
    return delivered;
}

bool has_interest(const model *m, str subject)
{
    for (size_t i = 0; i < m->nsubs; i++)
        if (m->subs[i].conn != NULL && model_subject_matches(str_of(m->subs[i].subject), subject))
            return true;
    return false;
}

/* 503 goes to a plain subscription of the same connection that covers the reply, and counts on no maximum. */
static void no_responders(model_conn *c, const client_op *op)
{
    buf header = { 0 };
    buf_text(&header, "NATS/1.0 503\r\n");
    if (c->m->opt.minor >= 12)
        buf_printf(&header, "Nats-Subject: %.*s\r\n", (int)op->subject.len, op->subject.ptr);
    buf_text(&header, "\r\n");
    routed msg = { .from = c, .subject = op->reply, .header = buf_view(&header) };
    for (size_t i = 0; i < c->m->nsubs; i++) {
        const model_sub *s = &c->m->subs[i];
        if (s->conn == c && s->queue == NULL && model_subject_matches(str_of(s->subject), op->reply)) {
            write_frame(c, s->sid, &msg);
            break;
        }
    }
    buf_free(&header);
}

void route_publish(model_conn *c, const client_op *op, str header, str data)
{
    model *m = c->m;
    routed msg = {
        .from = c, .to = op->subject, .subject = op->subject, .reply = op->reply, .header = header, .data = data
    };
    if (!c->trusted && denied(m->opt.deny_publish, op->subject)) {
        conn_error(c, "Permissions Violation for Publish to \"%.*s\"", (int)op->subject.len, op->subject.ptr);
        return;
    }
    const char *wrong = check_subject(op->subject, false);
    if (wrong == NULL && op->reply.len > 0)
        wrong = check_subject(op->reply, false);
    if (wrong != NULL)
        model_blame(m, "publish: %s: %.*s", wrong, (int)op->subject.len, op->subject.ptr);
    if (wrong != NULL && c->pedantic)
        conn_error(c, "Invalid Publish Subject");
    if (c->verbose)
        buf_text(&c->out, "+OK\r\n");
    if (m->watcher.published != NULL)
        m->watcher.published(m->watcher.user, c, op->subject, op->reply, header, data);
    size_t delivered = route(m, &msg);
    bool taken = js_take(m, &msg);
    if (delivered == 0 && !taken && c->no_responders && op->reply.len > 0)
        no_responders(c, op);
}
