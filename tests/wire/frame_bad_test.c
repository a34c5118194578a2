/* SPDX-License-Identifier: Apache-2.0 */
/* Octets that no server may send, by class: foreign protocols, broken lines, numbers that would wrap, lengths that lie.
 * Each ends in NBJ_E_PROTO, whole or octet by octet, and none becomes a message first. */
#include "wire/frame.h"

#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define B(text) text, sizeof(text) - 1 /* with the NULs in it */

typedef struct row {
    const char *name, *in;
    size_t len;
} row;

static const row foreign[] = {
    { "HTTP", B("HTTP/1.1 400 Bad Request\r\n\r\n") },
    { "HTTP request", B("GET / HTTP/1.1\r\n") },
    { "TLS handshake record", B("\x16\x03\x01\x02\x00\x01") },
    { "TLS alert", B("\x15\x03\x03\x00\x02\x02\x28") },
    { "SSH", B("SSH-2.0-OpenSSH_9.2\r\n") },
    { "SMTP", B("220 mail.example ESMTP\r\n") },
    { "Redis error", B("-ERROR unknown command\r\n") },
    { "Redis reply", B("+PONG\r\n") },
    { "NUL", B("\0") },
    { "NULs", B("\0\0\0\0\0\0\0\0") },
    { "byte order mark", B("\xef\xbb\xbfINFO {}\r\n") },
    { "random", B("\x9c\x11\xf3\x02") },
    { "blank before the verb", B(" PING\r\n") },
    { "empty line", B("\r\nPING\r\n") },
    { "LF alone", B("\n") },
    { "verbs of clients: PUB", B("PUB a 0\r\n\r\n") },
    { "verbs of clients: SUB", B("SUB a 1\r\n") },
    { "verbs of clients: CONNECT", B("CONNECT {}\r\n") },
    { "verbs of routes", B("RMSG a b 0\r\n\r\n") },
    { "verbs of leaf nodes", B("LMSG a 0\r\n\r\n") },
    { "verb that goes on", B("PINGS\r\n") },
    { "verb that goes on behind +OK", B("+OKAY\r\n") },
    { "verb cut by the line's end", B("PIN\r\n") },
    { "verb with NUL", B("MSG\0a 1 0\r\n\r\n") },
    { "verb cut by CR", B("MSG\ra 1 0\r\n\r\n") },
    { "INFO cut by CR", B("INFO\r{}\r\n") },
    { "PING cut by CR", B("PING\rPONG\r\n") },
    { "-ERR cut by CR", B("-ERR\r'x'\r\n") },
    { "JSON without its verb", B("{\"server_id\":\"x\"}\r\n") },
};

static const row lines[] = {
    { "PING with an argument", B("PING 1\r\n") },
    { "PONG with an argument", B("PONG x\r\n") },
    { "+OK with an argument", B("+OK 'fine'\r\n") },
    { "PING with two CRs", B("PING\r\r\n") },
    { "PING with a CR behind a blank", B("PING \r\r\n") },
    { "INFO without text", B("INFO\r\n") },
    { "INFO of blanks", B("INFO  \t \r\n") },
    { "MSG without arguments", B("MSG\r\n") },
    { "MSG of blanks", B("MSG   \r\n") },
    { "MSG with a subject alone", B("MSG a\r\n") },
    { "MSG without size", B("MSG a 1\r\n") },
    { "MSG with a fifth word", B("MSG a 1 r 0 x\r\n\r\n") },
    { "MSG with many words", B("MSG a 1 r 0 0 0 0 0 0\r\n\r\n") },
    { "MSG without sid", B("MSG a r 0\r\n\r\n") },
    { "MSG line with two CRs", B("MSG a 1 0\r\r\n\r\n") },
    { "HMSG without arguments", B("HMSG\r\n") },
    { "HMSG with a MSG's arguments", B("HMSG a 1 0\r\n\r\n") },
    { "HMSG with a sixth word", B("HMSG a 1 r 0 0 x\r\n\r\n") },
};

static const row numbers[] = {
    { "size negative", B("MSG a 1 -1\r\n\r\n") },
    { "size -0", B("MSG a 1 -0\r\n\r\n") },
    { "size with plus", B("MSG a 1 +1\r\nx\r\n") },
    { "size hexadecimal", B("MSG a 1 0x1\r\nx\r\n") },
    { "size with fraction", B("MSG a 1 1.0\r\nx\r\n") },
    { "size with exponent", B("MSG a 1 1e0\r\nx\r\n") },
    { "size a word", B("MSG a 1 one\r\nx\r\n") },
    { "size with NUL", B("MSG a 1 1\0\r\nx\r\n") },
    { "size one above the largest", B("MSG a 1 67174401\r\n") },
    { "size 2^31 - 1", B("MSG foo 1 2147483647\r\n") },
    { "size 2^31", B("MSG a 1 2147483648\r\n") },
    { "size 2^32", B("MSG a 1 4294967296\r\n\r\n") },
    { "size 2^32 + 2 is not 2", B("MSG a 1 4294967298\r\nhi\r\n") },
    { "size 2^63", B("MSG a 1 9223372036854775808\r\n") },
    { "size 2^64 - 1", B("MSG a 1 18446744073709551615\r\n") },
    { "size 2^64 is not 0", B("MSG a 1 18446744073709551616\r\n\r\n") },
    { "size 2^64 + 2 is not 2", B("MSG a 1 18446744073709551618\r\nhi\r\n") },
    { "size 2^65 + 2 is not 2", B("MSG a 1 36893488147419103234\r\nhi\r\n") },
    { "size of 60 digits", B("MSG a 1 999999999999999999999999999999999999999999999999999999999999\r\n") },
    { "sid negative", B("MSG a -1 0\r\n\r\n") },
    { "sid a word", B("MSG a x 0\r\n\r\n") },
    { "sid hexadecimal", B("MSG a 0xff 0\r\n\r\n") },
    { "sid 2^64 is not 0", B("MSG a 18446744073709551616 0\r\n\r\n") },
    { "sid 2^64 + 1 is not 1", B("MSG a 18446744073709551617 0\r\n\r\n") },
    { "header size negative", B("HMSG a 1 -12 2\r\n") },
    { "header size 2^64 + 12 is not 12", B("HMSG a 1 18446744073709551628 12\r\nNATS/1.0\r\n\r\n\r\n") },
    { "header size a word", B("HMSG a 1 twelve 12\r\nNATS/1.0\r\n\r\n\r\n") },
    { "header size above the total", B("HMSG a 1 13 12\r\nNATS/1.0\r\n\r\n\r\n") },
    { "header size above a total of one digit", B("HMSG a 1 7 5\r\nhello\r\n") },
    { "header size above a total of none", B("HMSG a 1 1 0\r\n\r\n") },
    { "header size above the total, with reply", B("HMSG a 1 r 10 9\r\n123456789\r\n") },
    { "total above the largest", B("HMSG a 1 12 67174401\r\n") },
    { "total 2^64 + 12 is not 12", B("HMSG a 1 12 18446744073709551628\r\nNATS/1.0\r\n\r\n\r\n") },
};

static const row lengths[] = {
    { "payload longer than said", B("MSG a 1 4\r\nhello\r\n") },
    { "payload shorter than said", B("MSG a 1 6\r\nhello\r\nPING\r\n") },
    { "payload of one where none was said", B("MSG a 1 0\r\nx\r\n") },
    { "payload not ended", B("MSG a 1 5\r\nhelloPING\r\n") },
    { "payload ended by LF alone", B("MSG a 1 5\r\nhello\nP") },
    { "payload ended by CR alone", B("MSG a 1 5\r\nhello\rP") },
    { "payload ended by LF CR", B("MSG a 1 5\r\nhello\n\r") },
    { "payload ended by blanks", B("MSG a 1 5\r\nhello  ") },
    { "payload ended by a blank and LF", B("MSG a 1 5\r\nhello \n") },
    { "payload ended by CR and a blank", B("MSG a 1 5\r\nhello\r ") },
    { "payload ended by NULs", B("MSG a 1 5\r\nhello\0\0") },
    { "headers and payload longer than said", B("HMSG a 1 12 13\r\nNATS/1.0\r\n\r\nhello\r\n") },
    { "headers shorter than said", B("HMSG a 1 12 12\r\nNATS/1.0\r\nPING\r\n") },
};

static const struct {
    const char *name;
    const row *rows;
    size_t count;
} classes[] = {
    { "foreign", foreign, COUNT(foreign) },
    { "lines", lines, COUNT(lines) },
    { "numbers", numbers, COUNT(numbers) },
    { "lengths", lengths, COUNT(lengths) },
};

static nbj_status parse(nbj__parser *p, const char *in, size_t len)
{
    nbj__frame f;
    size_t used = 0;
    nbj_bytes copy = exact_bytes(in, len);
    nbj_status st = nbj__frame_parse(p, copy, &f, &used);

    exact_free(copy);
    return st;
}

static void test_whole(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(classes); c++) {
        for (size_t i = 0; i < classes[c].count; i++) {
            const row *r = &classes[c].rows[i];
            nbj__parser p = { 0 };
            CHECK(r->name, parse(&p, r->in, r->len) == NBJ_E_PROTO);
        }
    }
}

static void test_octet_by_octet(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(classes); c++) {
        for (size_t i = 0; i < classes[c].count; i++) {
            const row *r = &classes[c].rows[i];
            nbj__parser p = { 0 };
            nbj_status st = NBJ_MORE;
            for (size_t len = 0; len <= r->len && st == NBJ_MORE; len++)
                st = parse(&p, r->in, len);
            CHECK(r->name, st == NBJ_E_PROTO);
        }
    }
}

static void test_cut_at_every_position(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(classes); c++) {
        for (size_t i = 0; i < classes[c].count; i++) {
            const row *r = &classes[c].rows[i];
            for (size_t cut = 0; cut < r->len; cut++) {
                nbj__parser p = { 0 };
                nbj_status st = parse(&p, r->in, cut);
                if (st == NBJ_MORE)
                    st = parse(&p, r->in, r->len);
                CHECK(r->name, st == NBJ_E_PROTO);
            }
        }
    }
}

/* What cannot be a verb is refused with its first wrong octet, not when a line has come together. */
static void test_foreign_octets_are_refused_at_once(void **state)
{
    (void)state;
    static const char verbs[] = "MHPI+-mhpi"; /* what verbs begin with, in either case */
    for (int c = 0; c < 256; c++) {
        char octet = (char)c;
        nbj__parser p = { 0 };
        bool begins = c != 0 && strchr(verbs, c) != NULL;
        assert_int_equal(parse(&p, &octet, 1), begins ? NBJ_MORE : NBJ_E_PROTO);
    }
}

/* A line that does not end is given up at its limit, however it arrives; not an octet later. */
static void test_lines_without_end(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        size_t max;
        char fill;
    } cases[] = {
        { "MSG ", NBJ__LINE_MAX, 'a' },        { "HMSG ", NBJ__LINE_MAX, ' ' },
        { "-ERR '", NBJ__LINE_MAX, 'x' },      { "INFO {", NBJ__INFO_MAX, ' ' },
        { "PING ", NBJ__SHORT_LINE_MAX, ' ' }, { "PONG ", NBJ__SHORT_LINE_MAX, '\t' },
        { "+OK ", NBJ__SHORT_LINE_MAX, ' ' },  { "MSG ", NBJ__LINE_MAX, '\r' },
        { "MSG ", NBJ__LINE_MAX, '\0' },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__parser whole = { 0 };
        nbj__parser cut = { 0 };
        nbj__parser behind = { 0 };
        char *line = malloc(cases[i].max + 1);
        assert_non_null(line);
        memset(line, cases[i].fill, cases[i].max);
        memcpy(line, cases[i].prefix, strlen(cases[i].prefix));
        line[cases[i].max] = '\n'; /* one octet too late */
        CHECK(cases[i].prefix, parse(&whole, line, cases[i].max) == NBJ_E_PROTO);
        CHECK(cases[i].prefix, parse(&cut, line, cases[i].max - 1) == NBJ_MORE);
        CHECK(cases[i].prefix, parse(&cut, line, cases[i].max) == NBJ_E_PROTO);
        CHECK(cases[i].prefix, parse(&behind, line, cases[i].max + 1) == NBJ_E_PROTO);
        free(line);
    }
}

/* No announced size makes the parser ask for more than it could legally be. */
static void test_need_is_bounded(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(classes); c++) {
        for (size_t i = 0; i < classes[c].count; i++) {
            const row *r = &classes[c].rows[i];
            nbj__parser p = { 0 };
            for (size_t len = 0; len <= r->len && parse(&p, r->in, len) == NBJ_MORE; len++)
                CHECK(r->name, nbj__frame_need(&p) <= (size_t)NBJ__LINE_MAX + NBJ__PAYLOAD_MAX + 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_octet_by_octet),
        cmocka_unit_test(test_cut_at_every_position),
        cmocka_unit_test(test_foreign_octets_are_refused_at_once),
        cmocka_unit_test(test_lines_without_end),
        cmocka_unit_test(test_need_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
