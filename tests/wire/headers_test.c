/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks: wire/headers.h. */
#include "wire/headers.h"

#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define V(text)                                   \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define HEADERS_MAX 6
#define NONE             \
    {                    \
        {                \
            { NULL, 0 }, \
            {            \
                NULL, 0  \
            }            \
        }                \
    }

static const struct {
    const char *name;
    nbj_bytes block;
    uint16_t status;
    nbj_bytes description;
    nbj_header want[HEADERS_MAX]; /* up to the first without a name */
} good[] = {
    { "one", V("NATS/1.0\r\nKey: value\r\n\r\n"), 0, V(""), { { V("Key"), V("value") } } },
    { "none", V("NATS/1.0\r\n\r\n"), 0, V(""), NONE },
    { "the same name again, in order, and other cases of it",
      V("NATS/1.0\r\nA: 1\r\na: 2\r\nA: 3\r\nA: 1\r\n\r\n"),
      0,
      V(""),
      { { V("A"), V("1") }, { V("a"), V("2") }, { V("A"), V("3") }, { V("A"), V("1") } } },
    { "blanks around values are lost, inside they stay",
      V("NATS/1.0\r\nA:1\r\nB:  \t x  y \t \r\nC:\r\nD: \t\r\n\r\n"),
      0,
      V(""),
      { { V("A"), V("1") }, { V("B"), V("x  y") }, { V("C"), V("") }, { V("D"), V("") } } },
    { "names are not touched",
      V("NATS/1.0\r\nnats-MSG-id: 1\r\n odd name \t: 2\r\n\r\n"),
      0,
      V(""),
      { { V("nats-MSG-id"), V("1") }, { V(" odd name \t"), V("2") } } },
    { "the first colon counts",
      V("NATS/1.0\r\nUrl: http://x:80/\r\nB::\r\n\r\n"),
      0,
      V(""),
      { { V("Url"), V("http://x:80/") }, { V("B"), V(":") } } },
    { "empty names are skipped", V("NATS/1.0\r\n: x\r\nA: 1\r\n:\r\n\r\n"), 0, V(""), { { V("A"), V("1") } } },
    { "lines ended by LF alone", V("NATS/1.0\nA: 1\n\n"), 0, V(""), { { V("A"), V("1") } } },
    { "a CR inside a value stays", V("NATS/1.0\r\nA: 1\r2\r\r\n\r\n"), 0, V(""), { { V("A"), V("1\r2") } } },
    { "NUL, controls and octets above ASCII",
      V("NATS/1.0\r\nA\0: b\0c\x1b\xff\r\n\r\n"),
      0,
      V(""),
      { { V("A\0"), V("b\0c\x1b\xff") } } },
    { "what stands behind the blank line is not looked at",
      V("NATS/1.0\r\nA: 1\r\n\r\nB: 2\r\n"),
      0,
      V(""),
      { { V("A"), V("1") } } },
    { "status", V("NATS/1.0 503\r\n\r\n"), 503, V(""), NONE },
    { "status with description", V("NATS/1.0 404 No Messages\r\n\r\n"), 404, V("No Messages"), NONE },
    { "status with description and headers",
      V("NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\nNats-Last-Stream: 9\r\n\r\n"),
      100,
      V("Idle Heartbeat"),
      { { V("Nats-Last-Consumer"), V("7") }, { V("Nats-Last-Stream"), V("9") } } },
    { "status among many blanks", V("NATS/1.0 \t 409   Leadership  Change \t\r\n\r\n"), 409, V("Leadership  Change"),
      NONE },
    { "largest status", V("NATS/1.0 999\r\n\r\n"), 999, V(""), NONE },
    { "blanks instead of a status", V("NATS/1.0  \t\r\n\r\n"), 0, V(""), NONE },
    { "status of two digits is none", V("NATS/1.0 50\r\n\r\n"), 0, V(""), NONE },
    { "status of four digits is none", V("NATS/1.0 5030\r\n\r\n"), 0, V(""), NONE },
    { "status below 100 is none", V("NATS/1.0 099\r\n\r\n"), 0, V(""), NONE },
    { "status with sign is none", V("NATS/1.0 -50\r\n\r\n"), 0, V(""), NONE },
    { "status of letters is none", V("NATS/1.0 abc\r\n\r\n"), 0, V(""), NONE },
    { "status glued to its description is none", V("NATS/1.0 503No\r\n\r\n"), 0, V(""), NONE },
};

/* Reads the exact copy of a block to its end; returns what ended it. */
static nbj_status read_all(nbj_bytes block, size_t *count)
{
    nbj__header_reader r;
    nbj_header h;
    nbj_status st = nbj__headers_open(&r, block);

    *count = 0;
    while (st == NBJ_OK) {
        st = nbj__headers_next(&r, &h);
        *count += st == NBJ_OK;
    }
    return st;
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        nbj__header_reader r;
        nbj_header h;
        nbj_bytes block = exact_bytes(good[i].block.ptr, good[i].block.len);
        CHECK(good[i].name, nbj__headers_open(&r, block) == NBJ_OK);
        CHECK(good[i].name, r.status == good[i].status);
        CHECK(good[i].name, nbj_bytes_equal(r.description, good[i].description));
        for (const nbj_header *want = good[i].want; want->name.len > 0; want++) {
            CHECK(good[i].name, nbj__headers_next(&r, &h) == NBJ_OK);
            CHECK(good[i].name, nbj_bytes_equal(h.name, want->name));
            CHECK(good[i].name, nbj_bytes_equal(h.value, want->value));
        }
        CHECK(good[i].name, nbj__headers_next(&r, &h) == NBJ_MORE);
        exact_free(block);
    }
}

static const struct {
    const char *name;
    nbj_bytes block;
    size_t count; /* headers before the fault */
} bad[] = {
    { "empty", V(""), 0 },
    { "line without end", V("NATS/1.0"), 0 },
    { "line ended by CR alone", V("NATS/1.0\r"), 0 },
    { "another protocol", V("HTTP/1.1 200 OK\r\n\r\n"), 0 },
    { "another version", V("NATS/2.0\r\n\r\n"), 0 },
    { "a version that goes on", V("NATS/1.01\r\n\r\n"), 0 },
    { "a version glued to the status", V("NATS/1.0503\r\n\r\n"), 0 },
    { "version in lower case", V("nats/1.0\r\n\r\n"), 0 },
    { "version cut", V("NATS/1\r\n\r\n"), 0 },
    { "blank before the version", V(" NATS/1.0\r\n\r\n"), 0 },
    { "empty line before the version", V("\r\nNATS/1.0\r\n\r\n"), 0 },
    { "NUL behind the version", V("NATS/1.0\0\r\n\r\n"), 0 },
    { "no version", V("A: 1\r\n\r\n"), 0 },
    { "no blank line", V("NATS/1.0\r\n"), 0 },
    { "no blank line behind headers", V("NATS/1.0\r\nA: 1\r\n"), 1 },
    { "last line without end", V("NATS/1.0\r\nA: 1\r\nB: 2"), 1 },
    { "blank line without LF", V("NATS/1.0\r\nA: 1\r\n\r"), 1 },
    { "line without colon", V("NATS/1.0\r\nA: 1\r\nno colon\r\nB: 2\r\n\r\n"), 1 },
    { "folded line", V("NATS/1.0\r\nA: 1\r\n 2\r\n\r\n"), 1 },
    { "blank line of blanks", V("NATS/1.0\r\nA: 1\r\n \r\n\r\n"), 1 },
    { "NULs", V("NATS/1.0\r\n\0\0\0\0\r\n\r\n"), 0 },
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t count = 0;
        nbj_bytes block = exact_bytes(bad[i].block.ptr, bad[i].block.len);
        CHECK(bad[i].name, read_all(block, &count) == NBJ_E_PROTO);
        CHECK(bad[i].name, count == bad[i].count);
        exact_free(block);
    }
}

/* No proper part of a block is taken for a whole one: its end is the blank line. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    static const char block[] = "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\nEmpty:\r\n\r\n";
    for (size_t len = 0; len < sizeof block - 1; len++) {
        size_t count = 0;
        nbj_bytes part = exact_bytes(block, len);
        assert_int_equal(read_all(part, &count), NBJ_E_PROTO);
        exact_free(part);
    }
}

static void test_find(void **state)
{
    (void)state;
    static const char block[] = "NATS/1.0\r\nA: 1\r\nb: 2\r\nA: 3\r\nEmpty:\r\nno colon\r\nC: 4\r\n\r\n";
    static const struct {
        const char *name, *value;
        nbj_status want;
    } cases[] = {
        { "A", "1", NBJ_OK },     { "b", "2", NBJ_OK },      { "Empty", "", NBJ_OK },
        { "a", "", NBJ_E_PROTO }, { "B", "", NBJ_E_PROTO }, /* names are compared exactly, up to the fault */
        { "C", "", NBJ_E_PROTO }, { "AA", "", NBJ_E_PROTO }, { "", "", NBJ_E_PROTO },
    };
    nbj_bytes copy = exact_copy(block);
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_bytes value = nbj_str("old");
        CHECK(cases[i].name, nbj__headers_find(copy, nbj_str(cases[i].name), &value) == cases[i].want);
        CHECK(cases[i].name, nbj_bytes_equal(value, nbj_str(cases[i].value)));
    }
    exact_free(copy);
    nbj_bytes value = nbj_str("old");
    assert_int_equal(nbj__headers_find(nbj_str("NATS/1.0\r\nA: 1\r\n\r\n"), nbj_str("B"), &value), NBJ_E_NOT_FOUND);
    assert_int_equal(value.len, 0);
    assert_int_equal(nbj__headers_find(nbj_view(NULL, 0), nbj_str("B"), &value), NBJ_E_NOT_FOUND);
    assert_int_equal(nbj__headers_find(nbj_str("HTTP/1.1\r\n\r\n"), nbj_str("B"), &value), NBJ_E_PROTO);
}

/* Blocks made to cost much: each is read in one pass. With a cost per header that grew with the block this would take
 * minutes. */
typedef struct bomb {
    const char *name, *line;
    size_t count;
    bool ends;
} bomb;

static nbj_bytes make_bomb(const bomb *b)
{
    static const char version[] = "NATS/1.0\r\n";
    size_t line_len = strlen(b->line);
    size_t len = sizeof version - 1 + b->count * line_len + (b->ends ? 2 : 0);
    char *block = malloc(len);

    assert_non_null(block);
    memcpy(block, version, sizeof version - 1);
    for (size_t i = 0; i < b->count; i++)
        memcpy(block + sizeof version - 1 + i * line_len, b->line, line_len);
    if (b->ends)
        memcpy(block + len - 2, "\r\n", 2);
    return nbj_view(block, len);
}

static void test_bombs(void **state)
{
    (void)state;
    static const bomb bombs[] = {
        { "60,000 headers", "K: v\r\n", 60000, true },
        { "100,000 equal ones without value", "Same:\r\n", 100000, true },
        { "a million of three octets", "a:\n", 1000000, true },
        { "a million without name", ":\n", 1000000, true },
        { "a million colons in one line", ":", 1000000, false },
        { "no end", "K: v\r\n", 60000, false },
        { "a line of a million octets without colon", "x", 1000000, false },
    };
    for (size_t i = 0; i < COUNT(bombs); i++) {
        size_t count = 0;
        nbj_bytes value;
        nbj_bytes block = make_bomb(&bombs[i]);
        bool named = bombs[i].line[0] != ':' && bombs[i].line[0] != 'x';
        CHECK(bombs[i].name, read_all(block, &count) == (bombs[i].ends ? NBJ_MORE : NBJ_E_PROTO));
        CHECK(bombs[i].name, count == (named ? bombs[i].count : 0));
        CHECK(bombs[i].name,
              nbj__headers_find(block, nbj_str("absent"), &value) == (bombs[i].ends ? NBJ_E_NOT_FOUND : NBJ_E_PROTO));
        exact_free(block);
    }
}

static void test_a_value_of_900_kilobytes(void **state)
{
    (void)state;
    enum { LEN = 900000 };
    char *text = malloc(LEN);
    assert_non_null(text);
    memset(text, 'v', LEN);
    nbj_header h = { nbj_str("Big"), nbj_view(text, LEN) };
    uint8_t *block = malloc(nbj__headers_size(&h, 1));
    assert_non_null(block);
    uint8_t *end = nbj__headers_write(block, &h, 1);
    nbj_bytes value;
    assert_int_equal(nbj__headers_find(nbj_view(block, (size_t)(end - block)), nbj_str("Big"), &value), NBJ_OK);
    assert_true(nbj_bytes_equal(value, h.value));
    free(block);
    free(text);
}

static const struct {
    const char *name;
    nbj_header h;
    bool legal;
} legality[] = {
    { "plain", { V("Key"), V("value") }, true },
    { "empty value", { V("Key"), V("") }, true },
    { "all punctuation but the colon", { V("!\"#$%&'()*+,-./09;<=>?@AZ[\\]^_`az{|}~"), V("x") }, true },
    { "value of anything else", { V("K"), V("\t a:b \x01\x7f\xff ") }, true },
    { "empty name", { V(""), V("x") }, false },
    { "colon in the name", { V("a:b"), V("x") }, false },
    { "blank in the name", { V("a b"), V("x") }, false },
    { "blank at the name's end", { V("a "), V("x") }, false },
    { "tab in the name", { V("a\t"), V("x") }, false },
    { "CR in the name", { V("a\r"), V("x") }, false },
    { "LF in the name", { V("a\nb"), V("x") }, false },
    { "NUL in the name", { V("a\0"), V("x") }, false },
    { "DEL in the name", { V("a\x7f"), V("x") }, false },
    { "octet above ASCII in the name", { V("\xc3\xa9"), V("x") }, false },
    { "CR in the value", { V("a"), V("x\r") }, false },
    { "LF in the value", { V("a"), V("x\ny") }, false },
    { "header smuggled in the value", { V("a"), V("x\r\nNats-Rollup: all") }, false },
    { "NUL in the value", { V("a"), V("\0") }, false },
};

static void test_legality(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(legality); i++) {
        nbj_header h = { exact_bytes(legality[i].h.name.ptr, legality[i].h.name.len),
                         exact_bytes(legality[i].h.value.ptr, legality[i].h.value.len) };
        CHECK(legality[i].name, nbj__header_is_legal(&h) == legality[i].legal);
        exact_free(h.name);
        exact_free(h.value);
    }
}

static void test_write(void **state)
{
    (void)state;
    static const nbj_header h[] = { { V("A"), V("1") }, { V("a"), V("") }, { V("A"), V("x: y") } };
    static const char *const want[] = { "", "NATS/1.0\r\nA: 1\r\n\r\n", "NATS/1.0\r\nA: 1\r\na: \r\n\r\n",
                                        "NATS/1.0\r\nA: 1\r\na: \r\nA: x: y\r\n\r\n" };
    for (size_t n = 0; n <= COUNT(h); n++) {
        size_t size = nbj__headers_size(h, n);
        assert_int_equal(size, strlen(want[n]));
        uint8_t *block = malloc(size > 0 ? size : 1);
        assert_non_null(block);
        assert_ptr_equal(nbj__headers_write(block, h, n), block + size);
        assert_memory_equal(block, want[n], size);
        free(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_bad),   cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_find),     cmocka_unit_test(test_bombs), cmocka_unit_test(test_a_value_of_900_kilobytes),
        cmocka_unit_test(test_legality), cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
