/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a stream keeps. Any octets are read as both kinds of answer, or refused; octets in base64 are those
 * that a slow, obvious encoder made; a message with any headers gets them back when a server has added its own; and
 * whatever answers a read of many, messages are handed out in order and it comes to an end. */
#include "base/base64.h"
#include "js/stored_op.h"
#include "support/fuzz.h"

#define TIME "2025-11-20T15:04:05.123456789Z"

/* --- any octets --- */

static void look_at(const nbj_stored_msg *m)
{
    size_t cursor = 0;
    nbj_header h;
    nbj_bytes value;
    nbj_status st;

    MUST(nbj_stored_msg_sequence(m) > 0 && nbj_stored_msg_subject(m).len > 0);
    while ((st = nbj_stored_msg_header_next(m, &cursor, &h)) == NBJ_OK)
        MUST(h.name.len > 0 && cursor <= m->headers.len);
    MUST(st == NBJ_MORE || st == NBJ_E_BAD_HEADER);
    (void)!nbj_stored_msg_header(m, "Nats-Subject", &value);
    nbj_stored_msg *copy = nbj_stored_msg_retain(m);
    MUST(copy != NULL && nbj_bytes_equal(copy->headers, m->headers) && nbj_bytes_equal(copy->data, m->data));
    nbj_stored_msg_release(copy);
}

static void read_any(nbj_bytes octets)
{
    nbj_msg answer = { .headers = octets, .payload = nbj_str("x") };
    nbj__direct d;
    nbj__json *reply = NULL;
    nbj_stored_msg *m = NULL;

    if (nbj__stored_from_direct(&nbj__malloc_allocator, &answer, &d)) {
        MUST(fuzz_is_within(d.msg.headers, octets.ptr, octets.len));
        MUST(d.msg.stream.len > 0);
        look_at(&d.msg);
    }
    if (nbj__json_parse(octets, &reply) != NBJ_OK)
        return;
    nbj_status st = nbj__stored_from_json(&nbj__malloc_allocator, reply, nbj_str("S"), &m);
    MUST(st == NBJ_OK || st == NBJ_E_BAD_REPLY);
    MUST((st == NBJ_OK) == (m != NULL));
    if (m != NULL)
        look_at(m);
    nbj_stored_msg_release(m);
    nbj__json_free(reply);
}

/* --- written and read --- */

static size_t encode(nbj_bytes octets, char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;

    for (size_t bit = 0; bit < octets.len * 8; bit += 6) {
        unsigned value = 0;
        for (size_t i = bit; i < bit + 6; i++)
            value = value << 1 | (i < octets.len * 8 ? octets.ptr[i / 8] >> (7 - i % 8) & 1u : 0u);
        out[n++] = alphabet[value];
    }
    while (n % 4 != 0)
        out[n++] = '=';
    out[n] = '\0';
    return n;
}

static void write_and_read_json(nbj_bytes octets)
{
    char text[600], base64[400];
    nbj__json *reply = NULL;
    nbj_stored_msg *m = NULL;

    if (octets.len > 255)
        octets.len = 255;
    size_t n = encode(octets, base64);
    uint8_t *room = fuzz_alloc(nbj__base64_room(n));
    size_t len = 0;
    MUST(nbj__base64_decode(nbj_view(base64, n), room, &len) && nbj_bytes_equal(nbj_view(room, len), octets));
    free(room);
    snprintf(text, sizeof text, "{\"message\":{\"subject\":\"a\",\"seq\":7,\"data\":\"%s\",\"time\":\"" TIME "\"}}",
             base64);
    MUST(nbj__json_parse(nbj_str(text), &reply) == NBJ_OK);
    MUST(nbj__stored_from_json(&nbj__malloc_allocator, reply, nbj_str("S"), &m) == NBJ_OK);
    MUST(nbj_bytes_equal(nbj_stored_msg_data(m), octets) && m->headers.len == 0);
    nbj_stored_msg_release(m);
    nbj__json_free(reply);
}

/* |lines| as the headers of a message that is got directly: whatever they are, they come back as they were. */
static void add_and_read(nbj_bytes lines)
{
    static const char head[] = "NATS/1.0\r\n";
    static const char tail[] = "Nats-Stream: S\r\nNats-Subject: a.b\r\nNats-Sequence: 7\r\nNats-Time-Stamp: " TIME
                               "\r\nNats-Num-Pending: 3\r\nNats-Last-Sequence: 2\r\n\r\n";
    size_t size = sizeof head - 1 + lines.len + sizeof tail - 1;
    uint8_t *block = fuzz_alloc(size);
    nbj_msg answer = { .headers = nbj_view(block, size) };
    nbj__direct d;

    if (lines.len > 0 && lines.ptr[lines.len - 1] != '\n') /* servers write behind a line's end */
        lines.len = 0;
    answer.headers.len = sizeof head - 1 + lines.len + sizeof tail - 1;
    memcpy(block, head, sizeof head - 1);
    if (lines.len > 0)
        memcpy(block + sizeof head - 1, lines.ptr, lines.len);
    memcpy(block + sizeof head - 1 + lines.len, tail, sizeof tail - 1);
    MUST(nbj__stored_from_direct(&nbj__malloc_allocator, &answer, &d));
    MUST(d.is_of_batch && d.pending == 3 && d.previous == 2 && d.msg.sequence == 7);
    MUST(nbj_bytes_equal(d.msg.subject, nbj_str("a.b")) && nbj_bytes_equal(d.msg.stream, nbj_str("S")));
    /* a line that is skipped since it has no name may count to either side */
    MUST(d.msg.headers.len <= lines.len && memcmp(block + sizeof head - 1, d.msg.headers.ptr, d.msg.headers.len) == 0);
    free(block);
}

/* --- a read of many --- */

typedef struct reading {
    uint64_t last;
    size_t count;
} reading;

static bool on_msg(void *whom, const nbj_stored_msg *m)
{
    reading *r = whom;

    MUST(nbj_stored_msg_sequence(m) > r->last);
    r->last = nbj_stored_msg_sequence(m);
    return ++r->count < 50;
}

static nbj_status hear(nbj__op *op, uint8_t what, uint8_t how, nbj_bytes octets, nbj_error *error)
{
    char headers[300];
    const nbj_read_result *r = nbj__stored_read_result(op);
    unsigned long long behind = (unsigned long long)r->last_sequence;

    switch (what % 5) {
    case 0: /* the next message, or another */
    case 1:
        snprintf(headers, sizeof headers,
                 "NATS/1.0\r\nNats-Stream: S\r\nNats-Subject: a\r\nNats-Sequence: %llu\r\nNats-Time-Stamp: " TIME
                 "\r\nNats-Num-Pending: %u\r\nNats-Last-Sequence: %llu\r\n\r\n",
                 behind + how % 3, how / 8u, how & 4 ? behind : 0);
        break;
    case 2:
        snprintf(headers, sizeof headers,
                 "NATS/1.0 204 EOB\r\nNats-Num-Pending: %u\r\nNats-Last-Sequence: 1\r\nNats-UpTo-Sequence: 9\r\n\r\n",
                 how % 3u);
        break;
    case 3:
        snprintf(headers, sizeof headers, "NATS/1.0 4%02u No\r\n\r\n", how % 30u);
        break;
    default:
        return op->step(op, how % 4 == 0 ? NBJ_E_TIMEOUT : how % 8 == 1 ? NBJ_E_NO_RESPONDERS : NBJ_OK, NULL, error);
    }
    nbj_msg m = { .headers = how == 255 ? octets : nbj_str(headers), .payload = octets };
    return op->step(op, NBJ_OK, &m, error);
}

static void read_many(nbj_bytes octets)
{
    nbj_error error = { 0 };
    reading r = { 0 };
    nbj_read_options o = { .batch = 4, .max_messages = octets.len % 40 };
    nbj_list filters = NBJ_LIST("a", "b.>");

    if (octets.len % 2 == 0)
        o.last_of = filters;
    nbj__op *op = nbj__stored_read_new(&nbj__malloc_allocator, "S", &o, on_msg, &r);
    MUST(op != NULL && nbj__js_where_set(&op->where, NULL, NULL) == NBJ_OK);
    nbj_status st = op->step(op, NBJ_OK, NULL, &error);
    MUST(st == NBJ_MORE);
    for (size_t i = 0; i + 1 < octets.len && st == NBJ_MORE; i += 2) {
        st = hear(op, octets.ptr[i], octets.ptr[i + 1], octets, &error);
        MUST(nbj__buf_len(&op->body) > 0 || strstr(op->subject, "INFO") != NULL);
    }
    const nbj_read_result *result = nbj__stored_read_result(op);
    MUST(result->messages == r.count && result->last_sequence == r.last);
    MUST(o.max_messages == 0 || r.count <= o.max_messages);
    MUST(st == NBJ_MORE || st == NBJ_OK || (error.status == st && error.text[0] != '\0'));
    nbj__op_free(op);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_alloc(size); /* so that one octet too far is seen */

    if (size > 0)
        memcpy(exact, data, size);
    read_any(nbj_view(exact, size));
    write_and_read_json(nbj_view(exact, size));
    add_and_read(nbj_view(exact, size));
    read_many(nbj_view(exact, size));
    free(exact);
    return 0;
}
