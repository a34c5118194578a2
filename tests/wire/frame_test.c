/* SPDX-License-Identifier: Apache-2.0 */
/* Legal frames: wire/frame.h. Each is parsed whole, cut at every position, octet by octet, and in streams cut in every
 * way. What is not legal: frame_bad_test.c. */
#include "wire/frame.h"

#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define V(text)                                   \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

typedef struct row {
    const char *name;
    nbj_bytes in;
    nbj__frame want;
} row;

static const row rows[] = {
    { "MSG",
      V("MSG a.b 7 5\r\nhello\r\n"),
      { .op = NBJ__OP_MSG, .sid = 7, .subject = V("a.b"), .payload = V("hello") } },
    { "MSG with reply",
      V("MSG a 1 _INBOX.x.y 2\r\nhi\r\n"),
      { .op = NBJ__OP_MSG, .sid = 1, .subject = V("a"), .reply = V("_INBOX.x.y"), .payload = V("hi") } },
    { "MSG without payload", V("MSG s 1 0\r\n\r\n"), { .op = NBJ__OP_MSG, .sid = 1, .subject = V("s") } },
    { "MSG with reply, without payload",
      V("MSG s 1 r 0\r\n\r\n"),
      { .op = NBJ__OP_MSG, .sid = 1, .subject = V("s"), .reply = V("r") } },
    { "MSG with the largest sid",
      V("MSG s 18446744073709551615 1\r\nx\r\n"),
      { .op = NBJ__OP_MSG, .sid = UINT64_MAX, .subject = V("s"), .payload = V("x") } },
    { "MSG with tabs, runs of blanks and blanks at the end",
      V("MSG\ta \t 7  inbox.x\t 1 \t\r\nx\r\n"),
      { .op = NBJ__OP_MSG, .sid = 7, .subject = V("a"), .reply = V("inbox.x"), .payload = V("x") } },
    { "MSG in lower case",
      V("msg a 1 1\r\nx\r\n"),
      { .op = NBJ__OP_MSG, .sid = 1, .subject = V("a"), .payload = V("x") } },
    { "MSG line ended by LF alone",
      V("MSG a 1 1\nx\r\n"),
      { .op = NBJ__OP_MSG, .sid = 1, .subject = V("a"), .payload = V("x") } },
    { "MSG whose payload looks like the end and another frame",
      V("MSG a 1 13\r\n\r\nMSG a 1 0\r\n\r\n"),
      { .op = NBJ__OP_MSG, .sid = 1, .subject = V("a"), .payload = V("\r\nMSG a 1 0\r\n") } },
    { "MSG with any octets in the payload",
      V("MSG a 1 6\r\n\0\xff\n\r\x80\x1b\r\n"),
      { .op = NBJ__OP_MSG, .sid = 1, .subject = V("a"), .payload = V("\0\xff\n\r\x80\x1b") } },
    { "MSG with leading zeros in its numbers",
      V("MSG a 0007 0000000000000000000000002\r\nhi\r\n"),
      { .op = NBJ__OP_MSG, .sid = 7, .subject = V("a"), .payload = V("hi") } },
    { "MSG with a reply that looks like a number",
      V("MSG 1 2 3 4\r\nfour\r\n"),
      { .op = NBJ__OP_MSG, .sid = 2, .subject = V("1"), .reply = V("3"), .payload = V("four") } },
    { "MSG with NUL and broken UTF-8 in the subject, which servers let through",
      V("MSG a\0\xff\x80z 1 0\r\n\r\n"),
      { .op = NBJ__OP_MSG, .sid = 1, .subject = V("a\0\xff\x80z") } },
    { "HMSG",
      V("HMSG a 3 22 27\r\nNATS/1.0\r\nKey: val\r\n\r\nhello\r\n"),
      { .op = NBJ__OP_HMSG,
        .sid = 3,
        .subject = V("a"),
        .headers = V("NATS/1.0\r\nKey: val\r\n\r\n"),
        .payload = V("hello") } },
    { "HMSG with reply",
      V("HMSG a 3 r.x 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"),
      { .op = NBJ__OP_HMSG,
        .sid = 3,
        .subject = V("a"),
        .reply = V("r.x"),
        .headers = V("NATS/1.0\r\n\r\n"),
        .payload = V("hi") } },
    { "MSG with two blanks where no reply stands, as JetStream sends it",
      V("MSG in.2 1  23\r\n{\"stream\":\"S\", \"seq\":1}\r\n"),
      { .op = NBJ__OP_MSG, .sid = 1, .subject = V("in.2"), .payload = V("{\"stream\":\"S\", \"seq\":1}") } },
    { "HMSG: no responders",
      V("HMSG _INBOX.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"),
      { .op = NBJ__OP_HMSG, .sid = 1, .subject = V("_INBOX.1"), .headers = V("NATS/1.0 503\r\n\r\n") } },
    { "HMSG without header octets",
      V("HMSG a 1 0 5\r\nhello\r\n"),
      { .op = NBJ__OP_HMSG, .sid = 1, .subject = V("a"), .payload = V("hello") } },
    { "HMSG in mixed case, with odd blanks",
      V("hMsG  a\t1   0 0 \r\n\r\n"),
      { .op = NBJ__OP_HMSG, .sid = 1, .subject = V("a") } },
    { "PING", V("PING\r\n"), { .op = NBJ__OP_PING } },
    { "PING in lower case, with blanks", V("ping \t\r\n"), { .op = NBJ__OP_PING } },
    { "PING ended by LF alone", V("PING\n"), { .op = NBJ__OP_PING } },
    { "PONG", V("PONG\r\n"), { .op = NBJ__OP_PONG } },
    { "+OK", V("+OK\r\n"), { .op = NBJ__OP_OK } },
    { "+ok", V("+ok\n"), { .op = NBJ__OP_OK } },
    { "-ERR", V("-ERR 'Stale Connection'\r\n"), { .op = NBJ__OP_ERR, .text = V("Stale Connection") } },
    { "-ERR without quotes", V("-ERR Stale Connection\r\n"), { .op = NBJ__OP_ERR, .text = V("Stale Connection") } },
    { "-ERR with one quote", V("-err 'Stale\r\n"), { .op = NBJ__OP_ERR, .text = V("Stale") } },
    { "-ERR with blanks around",
      V("-ERR  \t' Stale Connection ' \r\n"),
      { .op = NBJ__OP_ERR, .text = V("Stale Connection") } },
    { "-ERR with quotes inside", V("-ERR 'it''s \"x\"'\n"), { .op = NBJ__OP_ERR, .text = V("it''s \"x\"") } },
    { "-ERR without text", V("-ERR\r\n"), { .op = NBJ__OP_ERR } },
    { "-ERR with empty quotes", V("-ERR ''\r\n"), { .op = NBJ__OP_ERR } },
    { "-ERR with a lone quote", V("-ERR '\r\n"), { .op = NBJ__OP_ERR } },
    { "-ERR with a terminal escape", V("-ERR '\x1b[2J%n'\r\n"), { .op = NBJ__OP_ERR, .text = V("\x1b[2J%n") } },
    { "INFO", V("INFO {\"a\":1}\r\n"), { .op = NBJ__OP_INFO, .text = V("{\"a\":1}") } },
    { "INFO as servers send it", V("INFO {\"a\":1} \r\n"), { .op = NBJ__OP_INFO, .text = V("{\"a\":1}") } },
    { "INFO in lower case, ended by LF alone", V("info\t{}\n"), { .op = NBJ__OP_INFO, .text = V("{}") } },
    { "INFO whose text is not judged here", V("INFO x\r\n"), { .op = NBJ__OP_INFO, .text = V("x") } },
};

static bool is_within(nbj_bytes view, nbj_bytes in)
{
    return view.len == 0 || (view.ptr >= in.ptr && view.ptr + view.len <= in.ptr + in.len);
}

/* The frame is what the row wants, and its views lie in |in|. */
static void check_frame(const row *r, const nbj__frame *got, nbj_bytes in)
{
    const nbj__frame *want = &r->want;
    const nbj_bytes have[] = { got->subject, got->reply, got->headers, got->payload, got->text };
    const nbj_bytes wanted[] = { want->subject, want->reply, want->headers, want->payload, want->text };

    CHECK(r->name, got->op == want->op);
    CHECK(r->name, got->sid == want->sid);
    for (size_t i = 0; i < COUNT(have); i++) {
        CHECK(r->name, nbj_bytes_equal(have[i], wanted[i]));
        CHECK(r->name, is_within(have[i], in));
    }
}

/* Parses an exact copy of the first |len| octets of the row's frame. */
static nbj_status parse_part(nbj__parser *p, const row *r, size_t len)
{
    nbj__frame f = { .op = NBJ__OP_PING };
    size_t used = 0;
    nbj_bytes part = exact_bytes(r->in.ptr, len);
    nbj_status st = nbj__frame_parse(p, part, &f, &used);

    if (st == NBJ_OK) {
        CHECK(r->name, used == r->in.len);
        CHECK(r->name, nbj__frame_need(p) == 1); /* ready for the next one */
        check_frame(r, &f, part);
    } else if (st == NBJ_MORE) {
        CHECK(r->name, nbj__frame_need(p) > len);
        CHECK(r->name, nbj__frame_need(p) <= r->in.len);
    }
    exact_free(part);
    return st;
}

static void test_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nbj__parser p = { 0 };
        CHECK(rows[i].name, parse_part(&p, &rows[i], rows[i].in.len) == NBJ_OK);
    }
}

static void test_cut_at_every_position(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t cut = 0; cut < rows[i].in.len; cut++) {
            nbj__parser p = { 0 };
            CHECK(rows[i].name, parse_part(&p, &rows[i], cut) == NBJ_MORE);
            CHECK(rows[i].name, parse_part(&p, &rows[i], cut) == NBJ_MORE); /* asked again without more */
            CHECK(rows[i].name, parse_part(&p, &rows[i], rows[i].in.len) == NBJ_OK);
        }
    }
}

static void test_cut_at_every_two_positions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t a = 0; a < rows[i].in.len; a++) {
            for (size_t b = a; b < rows[i].in.len; b++) {
                nbj__parser p = { 0 };
                CHECK(rows[i].name, parse_part(&p, &rows[i], a) == NBJ_MORE);
                CHECK(rows[i].name, parse_part(&p, &rows[i], b) == NBJ_MORE);
                CHECK(rows[i].name, parse_part(&p, &rows[i], rows[i].in.len) == NBJ_OK);
            }
        }
    }
}

static void test_octet_by_octet(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nbj__parser p = { 0 };
        for (size_t len = 0; len < rows[i].in.len; len++)
            CHECK(rows[i].name, parse_part(&p, &rows[i], len) == NBJ_MORE);
        CHECK(rows[i].name, parse_part(&p, &rows[i], rows[i].in.len) == NBJ_OK);
    }
}

/* All rows in a row, |repeat| times. */
static nbj_bytes make_stream(size_t repeat)
{
    size_t len = 0;

    for (size_t i = 0; i < COUNT(rows); i++)
        len += rows[i].in.len;
    uint8_t *stream = malloc(len * repeat);
    assert_non_null(stream);
    uint8_t *at = stream;
    for (size_t i = 0; i < COUNT(rows) * repeat; i++) {
        memcpy(at, rows[i % COUNT(rows)].in.ptr, rows[i % COUNT(rows)].in.len);
        at += rows[i % COUNT(rows)].in.len;
    }
    return nbj_view(stream, len * repeat);
}

/* Feeds the stream in pieces of |piece| octets and takes out every frame as soon as it is there. */
static void run_stream(nbj_bytes stream, size_t piece, size_t frames)
{
    nbj__parser p = { 0 };
    size_t head = 0;
    size_t n = 0;

    for (size_t tail = 0; tail < stream.len;) {
        tail = tail + piece < stream.len ? tail + piece : stream.len;
        nbj_status st = NBJ_OK;
        while (st == NBJ_OK) {
            nbj__frame f;
            size_t used = 0;
            nbj_bytes in = exact_bytes(stream.ptr + head, tail - head);
            st = nbj__frame_parse(&p, in, &f, &used);
            if (st == NBJ_OK) {
                check_frame(&rows[n % COUNT(rows)], &f, in);
                assert_int_equal(used, rows[n % COUNT(rows)].in.len);
                head += used;
                n++;
            }
            exact_free(in);
        }
        assert_int_equal(st, NBJ_MORE);
    }
    assert_int_equal(head, stream.len);
    assert_int_equal(n, frames);
}

static void test_stream_in_pieces_of_every_size(void **state)
{
    (void)state;
    nbj_bytes stream = make_stream(2);
    for (size_t piece = 1; piece <= 80; piece++)
        run_stream(stream, piece, 2 * COUNT(rows));
    run_stream(stream, stream.len, 2 * COUNT(rows));
    exact_free(stream);
}

static void test_nothing_is_nothing_yet(void **state)
{
    (void)state;
    nbj__parser p = { 0 };
    nbj__frame f;
    size_t used = 7;
    assert_int_equal(nbj__frame_parse(&p, nbj_view(NULL, 0), &f, &used), NBJ_MORE);
    assert_int_equal(nbj__frame_need(&p), 1);
    assert_int_equal(used, 7);
}

/* "MSG a 1 <octets>" is enough to know the frame's length; it is named and nothing waits for more than that. */
static void test_length_is_known_from_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        size_t need;
    } cases[] = {
        { "MSG a 1 0\r\n", 11 + 0 + 2 },
        { "MSG a 1 1048576\r\n", 17 + 1048576 + 2 },
        { "MSG a 1 67174400\r\n", 18 + (size_t)NBJ__PAYLOAD_MAX + 2 }, /* the largest that is believed */
        { "HMSG a 1 67174400 67174400\r\n", 28 + (size_t)NBJ__PAYLOAD_MAX + 2 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__parser p = { 0 };
        nbj__frame f;
        size_t used = 0;
        nbj_bytes line = exact_copy(cases[i].line);
        CHECK(cases[i].line, nbj__frame_parse(&p, line, &f, &used) == NBJ_MORE);
        CHECK(cases[i].line, nbj__frame_need(&p) == cases[i].need);
        exact_free(line);
    }
}

/* |prefix|, then |fill| up to |len| octets in all, then |suffix|. */
static nbj_bytes long_line(const char *prefix, char fill, size_t len, const char *suffix)
{
    size_t before = strlen(prefix);
    size_t behind = strlen(suffix);
    char *line = malloc(len);

    assert_non_null(line);
    memcpy(line, prefix, before);
    memset(line + before, fill, len - before - behind);
    memcpy(line + len - behind, suffix, behind);
    return nbj_view(line, len);
}

/* The longest lines that are taken; one octet more is in frame_bad_test.c. */
static void test_longest_lines(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *suffix;
        char fill;
        size_t line, rest;
    } cases[] = {
        { "MSG ", " 1 0\r\n\r\n", 'a', NBJ__LINE_MAX, 2 }, { "HMSG ", " 1 0 0\r\n\r\n", 'a', NBJ__LINE_MAX, 2 },
        { "-ERR '", "'\r\n", 'x', NBJ__LINE_MAX, 0 },      { "INFO {", "}\r\n", ' ', NBJ__INFO_MAX, 0 },
        { "PING", "\r\n", ' ', NBJ__SHORT_LINE_MAX, 0 },   { "+OK", "\n", '\t', NBJ__SHORT_LINE_MAX, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_bytes in = long_line(cases[i].prefix, cases[i].fill, cases[i].line + cases[i].rest, cases[i].suffix);
        nbj__parser p = { 0 };
        nbj__frame f;
        size_t used = 0;
        CHECK(cases[i].prefix, nbj__frame_parse(&p, in, &f, &used) == NBJ_OK);
        CHECK(cases[i].prefix, used == in.len);
        p = (nbj__parser){ 0 };
        CHECK(cases[i].prefix, nbj__frame_parse(&p, nbj_view(in.ptr, cases[i].line - 1), &f, &used) == NBJ_MORE);
        CHECK(cases[i].prefix, nbj__frame_parse(&p, in, &f, &used) == NBJ_OK);
        exact_free(in);
    }
}

/* Octets that were searched for the line's end are not searched again: an LF that appears among them goes unnoticed.
 * With that, a line that arrives octet by octet costs linear time. */
static void test_does_not_look_twice(void **state)
{
    (void)state;
    nbj_bytes in = long_line("INFO ", 'x', 1000, "\r\n");
    uint8_t *octets = (uint8_t *)(uintptr_t)in.ptr;
    nbj__parser p = { 0 };
    nbj__frame f;
    size_t used = 0;
    assert_int_equal(nbj__frame_parse(&p, nbj_view(octets, 600), &f, &used), NBJ_MORE);
    octets[500] = '\n';
    assert_int_equal(nbj__frame_parse(&p, nbj_view(octets, 999), &f, &used), NBJ_MORE);
    assert_int_equal(nbj__frame_parse(&p, in, &f, &used), NBJ_OK);
    assert_int_equal(used, 1000);
    exact_free(in);
}

/* While a payload arrives, the octets that have come are not looked at at all. */
static void test_waits_for_the_payload_without_looking(void **state)
{
    (void)state;
    static const char frame[] = "MSG a 1 5\r\nhello\r\n";
    nbj__parser p = { 0 };
    nbj__frame f;
    size_t used = 0;
    nbj_bytes none = nbj_view("garbage that is no frame!", sizeof frame - 2);
    assert_int_equal(nbj__frame_parse(&p, nbj_view(frame, 11), &f, &used), NBJ_MORE);
    assert_int_equal(nbj__frame_parse(&p, none, &f, &used), NBJ_MORE);
    assert_int_equal(nbj__frame_parse(&p, nbj_view(frame, sizeof frame - 1), &f, &used), NBJ_OK);
    assert_true(nbj_bytes_equal(f.payload, nbj_str("hello")));
}

/* A MiB of INFO and a MiB of payload, each octet its own read: would take minutes if each read cost all before it. */
static void test_octet_by_octet_is_linear(void **state)
{
    (void)state;
    nbj_bytes frames[] = { long_line("INFO ", 'x', NBJ__INFO_MAX, "\r\n"),
                           long_line("MSG a 1 1048576\r\n", 'x', 17 + 1048576 + 2, "\r\n") };
    for (size_t i = 0; i < COUNT(frames); i++) {
        nbj__parser p = { 0 };
        nbj__frame f;
        size_t used = 0;
        for (size_t len = 1; len < frames[i].len; len++)
            assert_int_equal(nbj__frame_parse(&p, nbj_view(frames[i].ptr, len), &f, &used), NBJ_MORE);
        assert_int_equal(nbj__frame_parse(&p, frames[i], &f, &used), NBJ_OK);
        exact_free(frames[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_cut_at_every_position),
        cmocka_unit_test(test_cut_at_every_two_positions),
        cmocka_unit_test(test_octet_by_octet),
        cmocka_unit_test(test_stream_in_pieces_of_every_size),
        cmocka_unit_test(test_nothing_is_nothing_yet),
        cmocka_unit_test(test_length_is_known_from_the_line),
        cmocka_unit_test(test_longest_lines),
        cmocka_unit_test(test_does_not_look_twice),
        cmocka_unit_test(test_waits_for_the_payload_without_looking),
        cmocka_unit_test(test_octet_by_octet_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
