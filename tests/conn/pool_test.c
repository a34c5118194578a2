/* SPDX-License-Identifier: Apache-2.0 */
/* Which server is next, and when: conn/pool.h. */
#include "conn/pool.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW NBJ_SECONDS(50)

typedef struct setup {
    ts_alloc mem;
    nbj__random random;
    nbj__pool pool;
    nbj_error error;
} setup;

static nbj_status try_begin(setup *s, const char *urls, uint64_t seed, const nbj__pool_config *wanted)
{
    nbj__pool_config cfg = wanted != NULL ? *wanted : (nbj__pool_config){ .no_randomize = true };

    memset(s, 0, sizeof *s);
    ts_alloc_init(&s->mem, TS_NEVER_FAIL, false);
    s->random.state = seed;
    cfg.alloc = &s->mem.allocator;
    cfg.random = &s->random;
    cfg.first_wait_ns = cfg.first_wait_ns > 0 ? cfg.first_wait_ns : NBJ_MILLIS(100);
    cfg.max_wait_ns = cfg.max_wait_ns > 0 ? cfg.max_wait_ns : NBJ_SECONDS(8);
    return nbj__pool_init(&s->pool, &cfg, nbj_str(urls), &s->error);
}

static void begin(setup *s, const char *urls)
{
    assert_int_equal(try_begin(s, urls, 1, NULL), NBJ_OK);
}

static void end(setup *s)
{
    nbj__pool_free(&s->pool);
    ts_alloc_done(&s->mem);
}

/* The hosts in the order in which they are, "a,b*": an asterisk marks implicit ones. */
static const char *order(const setup *s)
{
    static char text[4096];
    size_t n = 0;

    text[0] = '\0';
    for (nbj__node *at = nbj__list_first(&s->pool.servers); at != NULL; at = nbj__list_after(&s->pool.servers, at)) {
        const nbj__server *v = NBJ__ITEM(at, nbj__server, node);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s", n > 0 ? "," : "", v->host, v->implicit ? "*" : "");
    }
    return text;
}

static nbj__server *next(setup *s, nbj_time now, nbj_time *when)
{
    nbj__server *v = nbj__pool_next(&s->pool, now, when);

    assert_non_null(v);
    return v;
}

/* --- what a list of URLs gives --- */

static void test_urls(void **state)
{
    (void)state;
    setup s;
    begin(&s, "nats://a, tls://b:5 ,[::1]:6,,nats://u:p@c,tok%40en@d,a:4222");
    assert_string_equal(order(&s), "a,b,::1,c,d"); /* the second a is the first one */
    assert_int_equal(s.pool.count, 5);
    nbj_time when = 0;
    const nbj__server *a = next(&s, NOW, &when);
    assert_int_equal(a->port, 4222);
    assert_false(a->tls || a->implicit || a->tried);
    const nbj__server *b = next(&s, NOW, &when);
    assert_int_equal(b->port, 5);
    assert_true(b->tls);
    assert_string_equal(next(&s, NOW, &when)->host, "::1");
    const nbj__server *c = next(&s, NOW, &when);
    assert_string_equal(c->user, "u");
    assert_string_equal(c->password, "p");
    assert_null(c->token);
    const nbj__server *d = next(&s, NOW, &when);
    assert_string_equal(d->token, "tok@en");
    assert_null(d->user);
    assert_null(d->password);
    assert_int_equal(when, NOW);
    end(&s);
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const struct {
        const char *urls;
        const char *text; /* a part of what is said */
    } cases[] = {
        { "", "no server URL was given" },
        { " , ", "no server URL was given" },
        { "http://a", "the scheme must be" },
        { "ws://a", "WebSocket" },
        { "nats://a:99999", "port" },
        { "nats://bob:hunter2@a:x", "\"a:x\"" },
        { "nats://bob:hunter2@", "the host is missing" },
        { "nats://bob:hunter,2@a", "***" }, /* a comma ends a URL: this is two, and the password is in both */
        { "nats://hunter2@a b", "character" },
        { "good,nats://bob:hunt%00er2@bad", "NUL" },
        { "nats://b%00b:hunter2@bad", "NUL" },
        { "nats://hunter2%00@bad", "NUL" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        setup s;
        CHECK(cases[i].urls, try_begin(&s, cases[i].urls, 1, NULL) == NBJ_E_BAD_URL);
        CHECK(cases[i].urls, s.error.status == NBJ_E_BAD_URL);
        CHECK(s.error.text, strstr(s.error.text, cases[i].text) != NULL);
        CHECK(s.error.text, strstr(s.error.text, "hunter") == NULL && strstr(s.error.text, "bob") == NULL);
        CHECK(cases[i].urls, s.mem.live_blocks == 0); /* it is empty */
        nbj__pool_free(&s.pool);
        end(&s);
    }
}

static void test_limit(void **state)
{
    (void)state;
    char urls[8 * (NBJ__POOL_MAX + 1) + 1];
    size_t n = 0;
    setup s;
    for (unsigned i = 0; i <= NBJ__POOL_MAX; i++)
        n += (size_t)snprintf(urls + n, sizeof urls - n, "h%u,", i);
    assert_int_equal(try_begin(&s, urls, 1, NULL), NBJ_E_FULL);
    assert_int_equal(s.error.status, NBJ_E_FULL);
    end(&s);
    *strrchr(urls, 'h') = '\0';
    begin(&s, urls);
    assert_int_equal(s.pool.count, NBJ__POOL_MAX);
    end(&s);
}

/* --- order --- */

static void test_given_order_goes_round(void **state)
{
    (void)state;
    static const char *const want = "abcabc";
    setup s;
    nbj_time when = 0;
    begin(&s, "a,b,c");
    for (size_t i = 0; want[i] != '\0'; i++)
        assert_int_equal(next(&s, NOW, &when)->host[0], want[i]);
    end(&s);
}

static void test_random_order_is_a_fair_permutation(void **state)
{
    (void)state;
    static const nbj__pool_config cfg = { .no_randomize = false };
    unsigned at[3][3] = { { 0 } };
    for (uint64_t seed = 0; seed < 3000; seed++) {
        setup s;
        assert_int_equal(try_begin(&s, "a,b,c", seed, &cfg), NBJ_OK);
        const char *text = order(&s);
        assert_int_equal(strlen(text), 5);
        for (size_t i = 0; i < 3; i++) {
            const char *place = strchr(text, "abc"[i]);
            assert_non_null(place);
            at[i][(place - text) / 2]++;
        }
        end(&s);
    }
    for (size_t i = 0; i < 9; i++) /* 1,000 each; 6 standard deviations are 155 */
        assert_true(at[i / 3][i % 3] > 845 && at[i / 3][i % 3] < 1155);
}

static void test_those_that_may_come_first(void **state)
{
    (void)state;
    setup s;
    nbj_time when = 0;
    begin(&s, "a,b,c");
    nbj__server *a = next(&s, NOW, &when);
    nbj__server *b = next(&s, NOW, &when);
    nbj__server *c = next(&s, NOW, &when); /* a, b, c again */
    a->not_before = NOW + 30;
    b->not_before = NOW;
    c->not_before = 0;
    assert_ptr_equal(next(&s, NOW, &when), b); /* in order, not by how long it could have been */
    assert_int_equal(when, NOW);
    b->not_before = NOW + 20;
    c->not_before = NOW + 40;
    assert_ptr_equal(next(&s, NOW, &when), b); /* none may: the soonest */
    assert_int_equal(when, NOW + 20);
    assert_true(nbj__pool_has_other(&s.pool, b, NOW + 30));
    assert_false(nbj__pool_has_other(&s.pool, b, NOW + 29));
    assert_true(nbj__pool_has_untried(&s.pool));
    a->tried = b->tried = c->tried = true;
    assert_false(nbj__pool_has_untried(&s.pool));
    end(&s);
}

/* --- back-off --- */

static void test_back_off_doubles_with_full_jitter(void **state)
{
    (void)state;
    static const uint64_t limit_ms[] = { 100, 200, 400, 800, 1600, 3200, 6400, 8000, 8000, 8000 };
    uint64_t most[COUNT(limit_ms)] = { 0 };
    uint64_t least[COUNT(limit_ms)];
    memset(least, 0xff, sizeof least);
    for (uint64_t seed = 0; seed < 500; seed++) {
        setup s;
        nbj_time when = 0;
        assert_int_equal(try_begin(&s, "a", seed, NULL), NBJ_OK);
        nbj__server *a = next(&s, NOW, &when);
        for (size_t i = 0; i < COUNT(limit_ms); i++) {
            assert_true(nbj__pool_failed(&s.pool, a, NOW));
            uint64_t wait = a->not_before - NOW;
            assert_true(wait <= NBJ_MILLIS(limit_ms[i]));
            most[i] = wait > most[i] ? wait : most[i];
            least[i] = wait < least[i] ? wait : least[i];
        }
        assert_int_equal(a->failures, COUNT(limit_ms));
        nbj__pool_was_healthy(a);
        assert_int_equal(a->not_before, 0);
        assert_true(nbj__pool_failed(&s.pool, a, NOW));
        assert_true(a->not_before <= NOW + NBJ_MILLIS(100)); /* from the beginning */
        end(&s);
    }
    for (size_t i = 0; i < COUNT(limit_ms); i++) {
        assert_true(most[i] > NBJ_MILLIS(limit_ms[i]) / 10 * 9); /* all of the range is used */
        assert_true(least[i] < NBJ_MILLIS(limit_ms[i]) / 10);
    }
}

static void test_back_off_cannot_wrap(void **state)
{
    (void)state;
    static const nbj__pool_config cfg = { .first_wait_ns = 3, .max_wait_ns = NBJ_TIME_NEVER };
    setup s;
    nbj_time when = 0;
    assert_int_equal(try_begin(&s, "a", 7, &cfg), NBJ_OK);
    nbj__server *a = next(&s, NOW, &when);
    for (int i = 0; i < 200; i++)
        assert_true(nbj__pool_failed(&s.pool, a, NOW));
    assert_true(a->not_before > NOW + NBJ_HOURS(1)); /* a doubling past 2^64 would be 0: no wait at all */
    end(&s);
}

static void test_longest_wait_is_kept_below_the_first(void **state)
{
    (void)state;
    static const nbj__pool_config cfg = { .first_wait_ns = NBJ_SECONDS(10), .max_wait_ns = 5 };
    setup s;
    nbj_time when = 0;
    assert_int_equal(try_begin(&s, "a", 7, &cfg), NBJ_OK);
    nbj__server *a = next(&s, NOW, &when);
    for (int i = 0; i < 20; i++) {
        assert_true(nbj__pool_failed(&s.pool, a, NOW));
        assert_true(a->not_before <= NOW + 5);
    }
    end(&s);
}

static void test_max_attempts(void **state)
{
    (void)state;
    static const nbj__pool_config cfg = { .no_randomize = true, .max_attempts = 3 };
    setup s;
    nbj_time when = 0;
    assert_int_equal(try_begin(&s, "a,b", 7, &cfg), NBJ_OK);
    nbj__server *a = next(&s, NOW, &when);
    assert_true(nbj__pool_failed(&s.pool, a, NOW));
    assert_true(nbj__pool_failed(&s.pool, a, NOW));
    nbj__pool_was_healthy(a); /* in a row */
    assert_true(nbj__pool_failed(&s.pool, a, NOW));
    assert_true(nbj__pool_failed(&s.pool, a, NOW));
    assert_false(nbj__pool_failed(&s.pool, a, NOW));
    assert_string_equal(order(&s), "b");
    nbj__server *b = next(&s, NOW, &when);
    for (int i = 0; i < 3; i++)
        (void)nbj__pool_failed(&s.pool, b, NOW);
    assert_null(nbj__pool_next(&s.pool, NOW, &when));
    end(&s);
}

/* --- discovery --- */

static void discover(setup *s, const char *const *urls, size_t n, const nbj__server *current, bool want_added)
{
    bool added = !want_added;
    nbj__info info = { .has_connect_urls = true, .connect_urls = (char **)(uintptr_t)urls, .connect_url_count = n };

    assert_int_equal(nbj__pool_discover(&s->pool, &info, current, &added), NBJ_OK);
    assert_int_equal(added, want_added);
}

static void test_discovery(void **state)
{
    (void)state;
    static const char *const first[] = { "a:4222", "x:4222", "y:4222", "y:4222", "not a host:1" };
    static const char *const second[] = { "y:4222", "z:4222" };
    setup s;
    nbj_time when = 0;
    begin(&s, "a,b");
    nbj__server *a = next(&s, NOW, &when);
    discover(&s, first, COUNT(first), a, true);
    assert_string_equal(order(&s), "b,a,x*,y*"); /* those known are not added again, explicit ones stay as they are */
    discover(&s, first, COUNT(first), a, false);
    discover(&s, second, COUNT(second), a, true);
    assert_string_equal(order(&s), "b,a,y*,z*"); /* x is gone; explicit ones never go */
    nbj__server *y = NULL;
    while (y == NULL || strcmp(y->host, "y") != 0)
        y = next(&s, NOW, &when);
    discover(&s, second + 1, 1, y, false);
    assert_int_equal(s.pool.count, 4); /* the current one is not dropped */
    discover(&s, second + 1, 1, a, false);
    assert_int_equal(s.pool.count, 3);
    end(&s);
}

static void test_absent_list_prunes_nothing(void **state)
{
    (void)state;
    static const char *const urls[] = { "x:1", "y:1" };
    setup s;
    nbj_time when = 0;
    bool added = true;
    begin(&s, "a");
    nbj__server *a = next(&s, NOW, &when);
    discover(&s, urls, 2, a, true);
    nbj__info absent = { 0 };
    assert_int_equal(nbj__pool_discover(&s.pool, &absent, a, &added), NBJ_OK);
    assert_false(added);
    discover(&s, urls, 0, a, false); /* present and empty: no server leaves it so */
    assert_int_equal(s.pool.count, 3);
    end(&s);
}

static void test_discovered_inherit(void **state)
{
    (void)state;
    static const char *const urls[] = { "x:1", "nats://evil:pw@y:1" };
    static const char *const from[] = { "tls://u:p@a", "t0ken@a" };
    for (size_t i = 0; i < COUNT(from); i++) {
        setup s;
        nbj_time when = 0;
        begin(&s, from[i]);
        nbj__server *a = next(&s, NOW, &when);
        discover(&s, urls, 2, a, true);
        for (int k = 0; k < 3; k++) {
            const nbj__server *v = next(&s, NOW, &when);
            assert_int_equal(v->tls, i == 0); /* never in clear where the first was not */
            assert_string_equal(i == 0 ? v->user : v->token, i == 0 ? "u" : "t0ken");
            if (i == 0)
                assert_string_equal(v->password, "p");
            assert_int_equal(v->implicit, v->host[0] != 'a');
        }
        end(&s);
    }
}

/* Certificates name hosts: an address that was discovered is verified under the name of the URL it came from. */
static void test_name_to_verify(void **state)
{
    (void)state;
    static const char *const urls[] = { "10.0.0.2:1", "[2001:db8::2]:1", "x.example:1", "10.0.0.2.example:1" };
    static const char *const more[] = { "10.0.0.2:1", "10.0.0.3:1" };
    static const struct {
        const char *from, *want[5];
    } cases[] = {
        { "a.example", { "a.example", "a.example", "a.example", "x.example", "10.0.0.2.example" } },
        { "10.0.0.1", { "10.0.0.1", "10.0.0.2", "2001:db8::2", "x.example", "10.0.0.2.example" } },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        setup s;
        nbj_time when = 0;
        begin(&s, cases[i].from);
        discover(&s, urls, COUNT(urls), next(&s, NOW, &when), true);
        nbj__server *v = NULL;
        for (size_t k = 0; k < COUNT(cases[i].want); k++) {
            v = next(&s, NOW, &when);
            bool is_first = !v->implicit;
            CHECK(cases[i].from, is_first == (strcmp(v->host, cases[i].from) == 0));
            size_t at = is_first ? 0 : 1;
            while (!is_first && strncmp(urls[at - 1] + (urls[at - 1][0] == '['), v->host, strlen(v->host)) != 0)
                at++;
            CHECK(v->host, strcmp(nbj__server_tls_name(v), cases[i].want[at]) == 0);
        }
        while (strcmp(v->host, "10.0.0.2") != 0)
            v = next(&s, NOW, &when);
        discover(&s, more, COUNT(more), v, true); /* from one that was itself discovered */
        while (strcmp(v->host, "10.0.0.3") != 0)
            v = next(&s, NOW, &when);
        assert_string_equal(nbj__server_tls_name(v), i == 0 ? "a.example" : "10.0.0.3");
        end(&s);
    }
}

static void test_discovered_from_one_that_requires_tls(void **state)
{
    (void)state;
    char *urls[] = { (char *)(uintptr_t) "x:1" };
    nbj__info info = { .has_connect_urls = true, .connect_urls = urls, .connect_url_count = 1, .tls_required = true };
    setup s;
    nbj_time when = 0;
    bool added = false;
    begin(&s, "nats://a");
    assert_int_equal(nbj__pool_discover(&s.pool, &info, next(&s, NOW, &when), &added), NBJ_OK);
    const nbj__server *v = next(&s, NOW, &when);
    while (!v->implicit)
        v = next(&s, NOW, &when);
    assert_true(v->tls); /* whoever answers there does not get credentials in clear */
    end(&s);
}

static void test_discovered_are_not_first(void **state)
{
    (void)state;
    static const nbj__pool_config cfg = { .no_randomize = false };
    static const char *const urls[] = { "x:1" };
    unsigned at[4] = { 0 };
    for (uint64_t seed = 0; seed < 400; seed++) {
        setup s;
        nbj_time when = 0;
        assert_int_equal(try_begin(&s, "a,b,c", seed, &cfg), NBJ_OK);
        discover(&s, urls, 1, next(&s, NOW, &when), true);
        at[(strchr(order(&s), 'x') - order(&s)) / 2]++;
        end(&s);
    }
    assert_int_equal(at[0], 0);
    for (size_t i = 1; i < 4; i++)
        assert_true(at[i] > 60); /* somewhere else, evenly */
}

static void test_discovery_is_bounded(void **state)
{
    (void)state;
    char *urls[NBJ__CONNECT_URLS_MAX];
    char text[NBJ__CONNECT_URLS_MAX][16];
    setup s;
    nbj_time when = 0;
    begin(&s, "a");
    nbj__server *a = next(&s, NOW, &when);
    for (unsigned round = 0; round < 5; round++) {
        bool added;
        nbj__info info = { .has_connect_urls = true, .connect_urls = urls, .connect_url_count = NBJ__CONNECT_URLS_MAX };
        for (unsigned i = 0; i < NBJ__CONNECT_URLS_MAX; i++) {
            snprintf(text[i], sizeof text[i], "h%u-%u:1", round, i);
            urls[i] = text[i];
        }
        assert_int_equal(nbj__pool_discover(&s.pool, &info, a, &added), NBJ_OK);
        assert_int_equal(s.pool.count, 1 + NBJ__CONNECT_URLS_MAX); /* each list replaces the one before */
    }
    end(&s);
}

/* --- memory --- */

static nbj_status use(const nbj_allocator *alloc, void *ctx)
{
    static char *urls[] = { (char *)(uintptr_t) "x:1", (char *)(uintptr_t) "10.0.0.1:1" };
    nbj__random random = { 1 };
    nbj__pool_config cfg = { .alloc = alloc, .random = &random, .first_wait_ns = 1, .max_wait_ns = 1 };
    nbj__info info = { .has_connect_urls = true, .connect_urls = urls, .connect_url_count = 2 };
    nbj__pool pool;
    nbj_error error;
    nbj_time when;
    bool added;

    (void)ctx;
    nbj_status st = nbj__pool_init(&pool, &cfg, nbj_str("nats://u%20:p%20@a,tok@b,c"), &error);
    if (st != NBJ_OK) {
        assert_int_equal(error.status, st);
        return st;
    }
    st = nbj__pool_discover(&pool, &info, nbj__pool_next(&pool, NOW, &when), &added);
    nbj__pool_free(&pool);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    assert_true(alloc_sweep(use, NULL) >= 15);
    nbj__pool zero = { 0 };
    nbj__pool_free(&zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_given_order_goes_round),
        cmocka_unit_test(test_random_order_is_a_fair_permutation),
        cmocka_unit_test(test_those_that_may_come_first),
        cmocka_unit_test(test_back_off_doubles_with_full_jitter),
        cmocka_unit_test(test_back_off_cannot_wrap),
        cmocka_unit_test(test_longest_wait_is_kept_below_the_first),
        cmocka_unit_test(test_max_attempts),
        cmocka_unit_test(test_discovery),
        cmocka_unit_test(test_absent_list_prunes_nothing),
        cmocka_unit_test(test_discovered_inherit),
        cmocka_unit_test(test_name_to_verify),
        cmocka_unit_test(test_discovered_from_one_that_requires_tls),
        cmocka_unit_test(test_discovered_are_not_first),
        cmocka_unit_test(test_discovery_is_bounded),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
