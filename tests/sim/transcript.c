/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts and comparable transcripts: see transcript.h. */
#include "transcript.h"

#include <stdlib.h>
#include <string.h>

#include "jv.h"

/* --- steps ------------------------------------------------------------------------------------------------ */

static void put_publish(buf *out, str subject, str reply, str data)
{
    bool replies = !str_is(reply, "-");
    buf_printf(out, "PUB %.*s %.*s%s%zu\r\n", (int)subject.len, subject.ptr, replies ? (int)reply.len : 0, reply.ptr,
               replies ? " " : "", data.len);
    buf_str(out, data);
    buf_text(out, "\r\n");
}

static void put_with_headers(buf *out, str subject, str reply, str pairs, str data)
{
    buf header = { 0 };
    bool replies = !str_is(reply, "-");
    buf_text(&header, "NATS/1.0\r\n");
    while (pairs.len > 0) {
        str value = str_cut(&pairs, ';'), key = str_cut(&value, '=');
        buf_printf(&header, "%.*s: %.*s\r\n", (int)key.len, key.ptr, (int)value.len, value.ptr);
    }
    buf_text(&header, "\r\n");
    buf_printf(out, "HPUB %.*s %.*s%s%zu %zu\r\n", (int)subject.len, subject.ptr, replies ? (int)reply.len : 0,
               reply.ptr, replies ? " " : "", buf_len(&header), buf_len(&header) + data.len);
    buf_str(out, buf_view(&header));
    buf_str(out, data);
    buf_text(out, "\r\n");
    buf_free(&header);
}

static void put_escaped(buf *out, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool escape = text.ptr[i] == '\\' && i + 1 < text.len;
        char c = escape ? text.ptr[++i] : text.ptr[i];
        buf_put(out, !escape ? &c : c == 'r' ? "\r" : "\n", 1);
    }
}

static void put_long_sub(buf *out, str count)
{
    uint64_t octets = 0;
    str_u64(count, 1u << 16, &octets);
    buf_text(out, "SUB ");
    for (uint64_t i = 0; i < octets; i++)
        buf_text(out, "a");
    buf_text(out, " 1\r\n");
}

static void put_fill(buf *out, str subject, str count)
{
    uint64_t octets = 0;
    str_u64(count, 1u << 24, &octets);
    char *data = sim_alloc((size_t)octets);
    memset(data, 'x', (size_t)octets);
    put_publish(out, subject, str_of("-"), (str){ data, (size_t)octets });
    free(data);
}

transcript_step transcript_read_step(str line, str ack)
{
    transcript_step s = { .kind = STEP_SEND };
    str rest = line, first = str_cut(&rest, ' '), all = rest, verb = str_cut(&rest, ' ');
    if (str_is(first, "wait")) {
        s.kind = STEP_WAIT;
        str_u64(verb, 60000, &s.ms);
    } else if (first.len > 1) {
        s.kind = str_is(first, "kill") ? STEP_KILL : str_is(first, "restart") ? STEP_RESTART : STEP_LAME;
    } else {
        s.conn = (unsigned)(first.ptr[0] - 'A');
        str subject = rest;
        if (str_is(verb, "P") || str_is(verb, "H") || str_is(verb, "fill"))
            subject = str_cut(&rest, ' ');
        str reply = str_is(verb, "P") || str_is(verb, "H") || str_is(verb, "ack") ? str_cut(&rest, ' ') : rest;
        if (str_is(verb, "P")) {
            put_publish(&s.octets, subject, reply, rest);
        } else if (str_is(verb, "H")) {
            str pairs = str_cut(&rest, ' ');
            put_with_headers(&s.octets, subject, reply, pairs, rest);
        } else if (str_is(verb, "ack")) {
            put_publish(&s.octets, ack, reply, rest);
        } else if (str_is(verb, "fill")) {
            put_fill(&s.octets, subject, rest);
        } else if (str_is(verb, "long")) {
            put_long_sub(&s.octets, rest);
        } else if (str_is(verb, "raw")) {
            put_escaped(&s.octets, rest);
        } else {
            buf_str(&s.octets, all);
            buf_text(&s.octets, "\r\n");
        }
    }
    return s;
}

/* --- frames ----------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const jv *x = *(const jv *const *)a, *y = *(const jv *const *)b;
    size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = memcmp(x->key.ptr, y->key.ptr, n);
    return order != 0 ? order : x->key.len < y->key.len ? -1 : 1;
}

static bool differs_by_nature(str key)
{
    static const char *const keys[] = {
        "created", "ts", "first_ts", "last_ts", "time", "last_active", "leader", "xkey"
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (str_is(key, keys[i]))
            return true;
    return false;
}

static void put_json(buf *out, const jv *v);

static void put_members(buf *out, const jv *object)
{
    const jv *sorted[64];
    size_t n = 0;
    for (const jv *m = object->child; m != NULL && n < 64; m = m->next)
        if (!str_is(m->key, "api")) /* counters of everything that ever asked */
            sorted[n++] = m;
    qsort(sorted, n, sizeof sorted[0], by_key);
    buf_text(out, "{");
    for (size_t i = 0; i < n; i++) {
        /* "never" is worth comparing, but versions differ in what the first of no messages is */
        bool never = str_starts(sorted[i]->text, "0001-") && !str_is(sorted[i]->key, "first_ts");
        bool hide = differs_by_nature(sorted[i]->key) && !never;
        buf_printf(out, "%s%.*s:", i > 0 ? "," : "", (int)sorted[i]->key.len, sorted[i]->key.ptr);
        if (hide)
            buf_text(out, "~");
        else
            put_json(out, sorted[i]);
    }
    buf_text(out, "}");
}

static void put_json(buf *out, const jv *v)
{
    switch (v->kind) {
    case JV_NULL:
        buf_text(out, "null");
        break;
    case JV_BOOL:
        buf_text(out, v->num != 0 ? "true" : "false");
        break;
    case JV_INT:
    case JV_REAL:
        buf_str(out, v->text);
        break;
    case JV_TEXT:
        jv_write_text(out, v->text);
        break;
    case JV_LIST:
        buf_text(out, "[");
        for (const jv *e = v->child; e != NULL; e = e->next) {
            put_json(out, e);
            buf_text(out, e->next != NULL ? "," : "");
        }
        buf_text(out, "]");
        break;
    case JV_OBJECT:
        put_members(out, v);
        break;
    }
}

/* The answer of an API call as sorted JSON; everything else, PubAcks among it, octet for octet. */
static void put_payload(buf *out, str data)
{
    jv_doc doc = { 0 };
    if (str_starts(data, "{\"type\":"))
        doc = jv_parse(data);
    if (doc.root != NULL && doc.error == NULL)
        put_json(out, doc.root);
    else
        jv_write_text(out, data);
    jv_free(&doc);
}

static void put_info(buf *out, str json)
{
    static const char *const keys[] = { "headers", "max_payload",  "auth_required",  "jetstream",
                                        "ldm",     "connect_info", "remote_account", "proto" };
    jv_doc doc = jv_parse(json);
    buf_text(out, "INFO");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const jv *v = jv_get(doc.root, keys[i]);
        if (v == NULL)
            continue;
        buf_printf(out, " %s=", keys[i]);
        put_json(out, v);
    }
    buf_text(out, doc.error != NULL ? " (bad JSON)\n" : "\n");
    jv_free(&doc);
}

/* An ack subject without its time, and without the number of messages behind it, which a server counts later than it
 * delivers. */
static void put_ack(buf *out, str reply)
{
    size_t dots = 0;
    for (size_t i = reply.len; i-- > 0 && dots < 2;)
        if (reply.ptr[i] == '.' && ++dots == 2)
            buf_put(out, reply.ptr, i);
    buf_text(out, ".~.~");
}

/* A control line of MSG or HMSG: as it is, blanks counted, but for sizes and the time in an ack subject. */
static void put_control(buf *out, str line, buf *ack)
{
    size_t sizes = line.ptr[0] == 'H' ? 2 : 1, end = line.len;
    for (size_t i = 0; i < sizes; i++) {
        while (end > 0 && line.ptr[end - 1] != ' ')
            end--;
        end -= i + 1 < sizes ? 1 : 0;
    }
    str words = { line.ptr, end };
    for (const char *gap = ""; words.len > 0; gap = " ") {
        str word = str_cut(&words, ' ');
        buf_text(out, gap);
        if (str_starts(word, "$JS.ACK.")) {
            put_ack(out, word);
            buf_clear(ack);
            buf_str(ack, word);
        } else {
            buf_str(out, word);
        }
    }
    buf_text(out, "# ");
}

static size_t last_number(str line)
{
    uint64_t n = 0;
    size_t at = line.len;
    while (at > 0 && line.ptr[at - 1] != ' ')
        at--;
    str_u64(str_skip(line, at), 1u << 30, &n);
    return (size_t)n;
}

/* Length of a complete message frame at the start of |in|, 0 where it is not complete. */
static size_t message_frame(str in, str line, buf *out, buf *ack)
{
    size_t total = last_number(line), header = 0, start = line.len + 2;
    if (in.len < start + total + 2)
        return 0;
    put_control(out, line, ack);
    str data = { in.ptr + start, total };
    if (line.ptr[0] == 'H') {
        str before = { line.ptr, line.len };
        while (before.ptr[before.len - 1] != ' ')
            before.len--;
        before.len--;
        header = last_number(before);
        jv_write_text(out, (str){ data.ptr, header });
        buf_text(out, " ");
    }
    put_payload(out, header < data.len ? str_skip(data, header) : (str){ "", 0 });
    buf_text(out, "\n");
    return start + total + 2;
}

void transcript_read_frames(buf *in, buf *out, buf *ack)
{
    for (;;) {
        str all = buf_view(in);
        const char *end = all.len > 0 ? memchr(all.ptr, '\n', all.len) : NULL;
        if (end == NULL || end == all.ptr)
            return;
        str line = { all.ptr, (size_t)(end - all.ptr) - 1 };
        size_t used = line.len + 2;
        if (str_starts(line, "MSG ") || str_starts(line, "HMSG ")) {
            used = message_frame(all, line, out, ack);
        } else if (str_starts(line, "INFO ")) {
            put_info(out, str_skip(line, 5));
        } else if (!str_is(line, "PING")) {
            buf_str(out, line);
            buf_text(out, "\n");
        }
        if (used == 0)
            return;
        buf_drop(in, used);
    }
}
