/* SPDX-License-Identifier: Apache-2.0 */
/* A chunk's references from several threads: the last one frees it, once, whoever that is. */
#include "base/chunk.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 300, REFERENCES = 50, OCTETS = 64 };

/* Takes and drops references, reads what the maker wrote, then gives up the one it was given. Returns the chunk when it
 * read the right octets. */
static void *use(void *arg)
{
    nbj__chunk *c = arg;
    unsigned sum = 0;

    for (int i = 0; i < REFERENCES; i++)
        (void)nbj__chunk_retain(c);
    for (size_t i = 0; i < OCTETS; i++)
        sum += c->data[i];
    for (int i = 0; i < REFERENCES + 1; i++)
        nbj__chunk_release(c);
    return sum == OCTETS * 'x' ? arg : NULL;
}

static void share_among_threads(const nbj_allocator *alloc)
{
    pthread_t thread[THREADS];
    nbj__chunk *c = nbj__chunk_new(alloc, OCTETS);

    assert_non_null(c);
    memset(c->data, 'x', OCTETS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use, nbj__chunk_retain(c)), 0);
    nbj__chunk_release(c);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(thread[i], &result), 0);
        assert_non_null(result);
    }
}

static void test_the_last_one_frees(void **state)
{
    (void)state;
    ts_alloc a;
    ts_alloc_init(&a, TS_NEVER_FAIL, false);
    for (int round = 0; round < ROUNDS; round++) {
        share_among_threads(&a.allocator);
        assert_int_equal(a.live_blocks, 0);
    }
    ts_alloc_done(&a);
}

/* Who finds itself alone may write: what others did before is over. */
static void *release_after_reading(void *arg)
{
    nbj__chunk *c = arg;
    void *right = c->data[0] == 'x' ? arg : NULL;

    nbj__chunk_release(c);
    return right;
}

static void test_alone_means_may_be_written(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        void *result = NULL;
        nbj__chunk *c = nbj__chunk_new(&nbj__malloc_allocator, OCTETS);
        assert_non_null(c);
        c->data[0] = 'x';
        assert_int_equal(pthread_create(&thread, NULL, release_after_reading, nbj__chunk_retain(c)), 0);
        WAIT_UNTIL(nbj__chunk_is_ours(c), 10000);
        c->data[0] = 'y';
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_non_null(result);
        nbj__chunk_release(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_one_frees),
        cmocka_unit_test(test_alone_means_may_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
