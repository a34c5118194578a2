/* SPDX-License-Identifier: Apache-2.0 */
/* Option structs of other versions, and what a client says about bad options: base/options.h, nbj/options.h. */
#include "base/options.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <assert.h>
#include <nbj/nbj.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct known { /* what this version of a library knows */
    size_t struct_size;
    uint64_t first, second;
    const char *third;
} known;

/* A struct of |size| octets on the heap, exactly, filled like |known|; what lies beyond is |beyond|. */
static void *of_size(size_t size, uint8_t beyond)
{
    known whole = { size, 1, 2, "three" };
    uint8_t *p = malloc(size);

    assert_non_null(p);
    memset(p, beyond, size);
    memcpy(p, &whole, size < sizeof whole ? size : sizeof whole);
    return p;
}

static void test_every_size(void **state)
{
    (void)state;
    for (size_t size = sizeof(size_t); size <= 2 * sizeof(known); size++) {
        known out = { 9, 9, 9, "nine" };
        void *in = of_size(size, 0);
        assert_int_equal(nbj__options_read(&out, sizeof out, in), NBJ_OK);
        known want = { size, 0, 0, NULL };
        known whole = { size, 1, 2, "three" };
        memcpy(&want, &whole, size < sizeof want ? size : sizeof want);
        assert_memory_equal(&out, &want, sizeof out); /* what a caller of before does not know is zero */
        free(in);
    }
}

static void test_unknown_tail(void **state)
{
    (void)state;
    for (size_t size = sizeof(known) + 1; size <= sizeof(known) + 40; size++) {
        known out;
        uint8_t *in = of_size(size, 0);
        assert_int_equal(nbj__options_read(&out, sizeof out, in), NBJ_OK);
        in[size - 1] = 1; /* a field of tomorrow that says something */
        assert_int_equal(nbj__options_read(&out, sizeof out, in), NBJ_E_INVALID);
        in[size - 1] = 0;
        in[sizeof(known)] = 1;
        assert_int_equal(nbj__options_read(&out, sizeof out, in), NBJ_E_INVALID);
        free(in);
    }
}

static void test_no_size(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 7, 65537, SIZE_MAX };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        known in = { sizes[i], 1, 2, "three" };
        known out;
        assert_int_equal(nbj__options_read(&out, sizeof out, &in), NBJ_E_INVALID);
    }
    known out = { 9, 9, 9, "nine" };
    known zero = { 0, 0, 0, NULL };
    assert_int_equal(nbj__options_read(&out, sizeof out, NULL), NBJ_OK);
    assert_memory_equal(&out, &zero, sizeof out);
}

static void test_macros_set_the_size(void **state)
{
    (void)state;
    assert_int_equal(NBJ_CLIENT_OPTIONS(.url = "x")->struct_size, sizeof(nbj_client_options));
    assert_int_equal(NBJ_SEND(.reply = "x")->struct_size, sizeof(nbj_send_options));
    assert_int_equal(NBJ_SUB(.max_messages = 1)->struct_size, sizeof(nbj_sub_options));
    assert_int_equal(NBJ_REQUEST(.sentinel = true)->struct_size, sizeof(nbj_request_options));
    assert_int_equal(NBJ_PUBLISH(.no_msg_id = true)->struct_size, sizeof(nbj_publish_options));
    assert_int_equal(NBJ_STREAM_CONFIG(.name = "x")->struct_size, sizeof(nbj_stream_config));
    assert_int_equal(NBJ_CONSUMER_CONFIG(.stream = "x")->struct_size, sizeof(nbj_consumer_config));
}

/* --- a client's --- */

static void test_client_of_another_version(void **state)
{
    (void)state;
    struct {
        nbj_client_options now;
        uint64_t tomorrow;
    } larger = { { .struct_size = sizeof larger, .url = "nats://127.0.0.1:1" }, 0 };
    nbj_client_options smaller = { .struct_size = offsetof(nbj_client_options, name), .url = "nats://127.0.0.1:1" };
    nbj_client *c = NULL;
    nbj_error error = { 0 };

    assert_int_equal(nbj_loop_open(&c, &larger.now, &error), NBJ_OK);
    nbj_client_release(c);
    larger.tomorrow = 1;
    assert_int_equal(nbj_loop_open(&c, &larger.now, &error), NBJ_E_INVALID);
    assert_null(c);
    assert_int_equal(error.status, NBJ_E_INVALID);
    smaller.name = (const char *)1; /* lies beyond what the caller says it set */
    smaller.max_pings_out = 77;
    assert_int_equal(nbj_loop_open(&c, &smaller, &error), NBJ_OK);
    nbj_client_release(c);
    assert_int_equal(nbj_loop_open(&c, NULL, NULL), NBJ_OK);
    nbj_client_release(c);
    nbj_client_release(NULL);
}

/* What a program has that was compiled before clients had threads, credentials in files and TLS: its struct ended so. */
typedef struct former_client_options {
    size_t struct_size;
    const char *url, *name, *user, *password, *token, *inbox_prefix;
    nbj_event_fn *on_event;
    void *user_data;
    const nbj_allocator *alloc;
    uint64_t connect_timeout_ns, ping_interval_ns, write_timeout_ns, reconnect_first_ns, reconnect_max_ns;
    uint64_t max_outgoing_bytes;
    uint32_t max_pings_out, max_reconnects, publish_max_messages, reserved;
    uint64_t publish_max_bytes;
    bool no_randomize, no_reconnect, retry_first_connect, ignore_discovered, auth_errors_are_fatal;
    bool fail_requests_on_loss, wait_when_full, no_echo, verbose, pedantic;
    char reserved_bools[6];
} former_client_options;

static_assert(sizeof(former_client_options) == offsetof(nbj_client_options, cluster_id),
              "fields are added at the end, or in place of reserved ones that were 0");
static_assert(offsetof(former_client_options, publish_max_bytes) == offsetof(nbj_client_options, publish_max_bytes) &&
                  offsetof(former_client_options, pedantic) == offsetof(nbj_client_options, pedantic),
              "no field has moved");

static void test_a_program_compiled_before(void **state)
{
    (void)state;
    former_client_options *o = malloc(sizeof *o); /* exactly, so that a sanitizer sees one octet too far */
    nbj_client *c = NULL;
    nbj_error error = { 0 };
    nbj_client_options read;

    assert_non_null(o);
    *o = (former_client_options){ .struct_size = sizeof *o,
                                  .url = "nats://127.0.0.1:1",
                                  .name = "former",
                                  .retry_first_connect = true,
                                  .pedantic = true };
    assert_int_equal(nbj__options_read(&read, sizeof read, o), NBJ_OK);
    assert_string_equal(read.name, "former");
    assert_true(read.pedantic && read.retry_first_connect);
    assert_false(read.tls || read.tls_first || read.tls_insecure_skip_verify);
    assert_null(read.cluster_id);
    assert_null(read.credentials_file);
    assert_null(read.tls_server_name);
    assert_true(read.on_credentials == NULL);
    assert_int_equal(read.open_timeout_ns, 0);
    assert_int_equal(nbj_loop_open(&c, (const nbj_client_options *)(const void *)o, &error), NBJ_OK);
    nbj_client_release(c);
    assert_int_equal(nbj_client_open(&c, (const nbj_client_options *)(const void *)o, &error), NBJ_OK);
    assert_int_equal(nbj_client_state_of(c), NBJ_CLIENT_CONNECTING);
    nbj_client_release(c);
    o->retry_first_connect = false;
    assert_int_equal(nbj_client_open(&c, (const nbj_client_options *)(const void *)o, &error), NBJ_E_REFUSED);
    assert_null(c);
    free(o);
}

/* Fields of today, seen through the size of each field's end. */
static void test_client_options_of_every_size(void **state)
{
    (void)state;
    static const size_t ends[] = {
        offsetof(nbj_client_options, credentials_file), offsetof(nbj_client_options, nkey_seed_file),
        offsetof(nbj_client_options, on_credentials),   offsetof(nbj_client_options, tls_ca_file),
        offsetof(nbj_client_options, tls_server_name),  offsetof(nbj_client_options, dns_timeout_ns),
        offsetof(nbj_client_options, open_timeout_ns),  sizeof(nbj_client_options),
    };
    nbj_client_options whole = { .url = "nats://127.0.0.1:1", .cluster_id = "c", .open_timeout_ns = NBJ_SECONDS(1) };

    for (size_t i = 0; i < COUNT(ends); i++) {
        void *o = malloc(ends[i]);
        nbj_client *c = NULL;
        assert_non_null(o);
        whole.struct_size = ends[i];
        memcpy(o, &whole, ends[i]);
        assert_int_equal(nbj_client_open(&c, o, NULL), NBJ_E_REFUSED);
        assert_null(c);
        free(o);
    }
}

static void test_bad_client_options(void **state)
{
    (void)state;
    static const struct {
        nbj_client_options o;
        nbj_status want;
        const char *text;
    } cases[] = {
        { { .url = "http://a" }, NBJ_E_BAD_URL, "the scheme must be" },
        { { .url = "" }, NBJ_OK, NULL }, /* the default */
        { { .url = "bob:hunter2@a:b" }, NBJ_E_BAD_URL, "\"a:b\"" },
        { { .url = "nats://hunter2@:4222" }, NBJ_E_BAD_URL, "the host is missing" },
        { { .inbox_prefix = "a b" }, NBJ_E_INVALID, "inbox prefix" },
        { { .max_outgoing_bytes = UINT64_MAX }, NBJ_E_INVALID, "max_outgoing_bytes" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_client_options o = cases[i].o;
        nbj_client *c = NULL;
        nbj_error error = { 0 };
        o.struct_size = sizeof o;
        assert_int_equal(nbj_loop_open(&c, &o, &error), cases[i].want);
        assert_int_equal(c != NULL, cases[i].want == NBJ_OK);
        nbj_client_release(c);
        if (cases[i].want == NBJ_OK)
            continue;
        assert_int_equal(error.status, cases[i].want);
        CHECK(error.text, strstr(error.text, cases[i].text) != NULL);
        CHECK(error.text, strstr(error.text, "hunter2") == NULL);
        assert_int_equal(nbj_loop_open(&c, &o, NULL), cases[i].want); /* nobody has to want the text */
    }
}

static nbj_status open_client(const nbj_allocator *alloc, void *ctx)
{
    nbj_client *c = ctx; /* not NULL, to see it become so */
    nbj_error error = { 0 };
    nbj_status st =
        nbj_loop_open(&c,
                      NBJ_CLIENT_OPTIONS(.url = "u:p@127.0.0.1:1,tok@127.0.0.1:2", .name = "n", .user = "u",
                                         .password = "p", .token = "t", .inbox_prefix = "in", .alloc = alloc),
                      &error);

    assert_int_equal(st == NBJ_OK, c != NULL);
    assert_true(st == NBJ_OK || (error.status == st && error.text[0] != '\0'));
    nbj_client_release(c);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    int anything = 0;
    assert_true(alloc_sweep(open_client, &anything) > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_unknown_tail),
        cmocka_unit_test(test_no_size),
        cmocka_unit_test(test_macros_set_the_size),
        cmocka_unit_test(test_client_of_another_version),
        cmocka_unit_test(test_a_program_compiled_before),
        cmocka_unit_test(test_client_options_of_every_size),
        cmocka_unit_test(test_bad_client_options),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
