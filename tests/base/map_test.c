/* SPDX-License-Identifier: Apache-2.0 */
/* The hash table: base/map.h. */
#include "base/map.h"

#include "base/random.h"
#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdlib.h>

#define KEYS 300u

/* The obvious version: for each key that occurs its value. */
typedef struct model {
    uint64_t key[KEYS];
    void *value[KEYS];
    size_t used;
} model;

static uint64_t dense(size_t i)
{
    return i + 1;
}

static uint64_t high_bits(size_t i)
{
    return (uint64_t)i << 44;
}

static uint64_t scattered(size_t i)
{
    nbj__random r = { i };

    return nbj__random_next(&r);
}

static uint64_t from_the_end(size_t i)
{
    return UINT64_MAX - i;
}

static const struct {
    const char *name;
    uint64_t (*key)(size_t i);
} kinds[] = {
    { "dense", dense },
    { "differing in high bits only", high_bits },
    { "scattered", scattered },
    { "from the end", from_the_end },
};

static void check_same(const char *name, const nbj__map *map, const model *m)
{
    CHECK(name, map->used == m->used);
    for (size_t i = 0; i < KEYS; i++)
        CHECK(name, nbj__map_get(map, m->key[i]) == m->value[i]);
}

static void random_step(const char *name, nbj__map *map, model *m, nbj__random *r, uint64_t set_percent)
{
    static char values[KEYS];
    size_t i = (size_t)nbj__random_below(r, KEYS);

    if (nbj__random_below(r, 100) < set_percent) {
        m->used += m->value[i] == NULL;
        m->value[i] = &values[nbj__random_below(r, KEYS)];
        CHECK(name, nbj__map_set(map, m->key[i], m->value[i]) == NBJ_OK);
    } else {
        m->used -= m->value[i] != NULL;
        CHECK(name, nbj__map_take(map, m->key[i]) == m->value[i]);
        m->value[i] = NULL;
    }
}

static void test_against_a_model(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        ts_alloc a;
        nbj__map map;
        model m = { .used = 0 };
        nbj__random r = { k };
        for (size_t i = 0; i < KEYS; i++)
            m.key[i] = kinds[k].key(i);
        ts_alloc_init(&a, TS_NEVER_FAIL, false);
        nbj__map_init(&map, &a.allocator);
        for (int step = 0; step < 6000; step++) {
            uint64_t set_percent = step / 1000 % 2 == 0 ? 80 : 20; /* it grows and shrinks in turn */
            random_step(kinds[k].name, &map, &m, &r, set_percent);
            check_same(kinds[k].name, &map, &m);
        }
        nbj__map_free(&map);
        ts_alloc_done(&a);
    }
}

static void test_empty(void **state)
{
    (void)state;
    nbj__map map;
    int value = 0;
    nbj__map_init(&map, &nbj__malloc_allocator);
    assert_null(nbj__map_get(&map, 0));
    assert_null(nbj__map_take(&map, 0));
    assert_int_equal(nbj__map_set(&map, 0, &value), NBJ_OK); /* 0 is a key like others */
    assert_ptr_equal(nbj__map_get(&map, 0), &value);
    assert_null(nbj__map_get(&map, 1));
    assert_ptr_equal(nbj__map_take(&map, 0), &value);
    assert_null(nbj__map_get(&map, 0));
    nbj__map_free(&map);
    nbj__map_free(&map);
}

/* Setting and taking for ever needs no more room than what is in it at once. */
static void test_no_growth_by_churn(void **state)
{
    (void)state;
    nbj__map map;
    int value = 0;
    nbj__map_init(&map, &nbj__malloc_allocator);
    for (uint64_t key = 0; key < 100000; key++) {
        assert_int_equal(nbj__map_set(&map, key, &value), NBJ_OK);
        if (key >= 8)
            assert_ptr_equal(nbj__map_take(&map, key - 8), &value);
    }
    assert_int_equal(map.used, 8);
    assert_true(map.cap <= 32);
    nbj__map_free(&map);
}

static nbj_status fill(const nbj_allocator *alloc, void *ctx)
{
    nbj__map map;
    nbj_status st = NBJ_OK;
    uint64_t key = 0;

    nbj__map_init(&map, alloc);
    while (key < 200 && (st = nbj__map_set(&map, key, ctx)) == NBJ_OK)
        key++;
    assert_int_equal(map.used, key); /* a failed set leaves what was there */
    for (uint64_t i = 0; i < 200; i++)
        assert_ptr_equal(nbj__map_get(&map, i), i < key ? ctx : NULL);
    nbj__map_free(&map);
    return st;
}

static void test_allocation_failures(void **state)
{
    (void)state;
    int value = 0;
    assert_int_equal(alloc_sweep(fill, &value), 6); /* 16, 32 … 512 slots */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_no_growth_by_churn),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
