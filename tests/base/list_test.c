/* SPDX-License-Identifier: Apache-2.0 */
/* The intrusive list: base/list.h. */
#include "base/list.h"

#include "support/check.h"

#include <stdint.h>

typedef struct item {
    char name;
    nbj__node node;
    nbj__node other; /* items may be in two lists */
} item;

/* The names in the list's order, by way of |next|; checks that |prev| tells the same. */
static const char *names(const nbj__list *l)
{
    static char text[16];
    size_t n = 0;

    for (nbj__node *at = nbj__list_first(l); at != NULL; at = nbj__list_after(l, at)) {
        text[n++] = NBJ__ITEM(at, item, node)->name;
        assert_ptr_equal(at->next->prev, at);
        assert_ptr_equal(at->prev->next, at);
        assert_true(n < sizeof text);
    }
    text[n] = '\0';
    return text;
}

static void test_order(void **state)
{
    (void)state;
    nbj__list l;
    item a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' }, d = { .name = 'd' };
    nbj__list_init(&l);
    assert_true(nbj__list_is_empty(&l));
    assert_null(nbj__list_first(&l));
    nbj__list_push(&l, &b.node);
    nbj__list_push(&l, &d.node);
    nbj__list_insert_before(&d.node, &c.node);
    nbj__list_insert_before(&b.node, &a.node);
    assert_string_equal(names(&l), "abcd");
    assert_false(nbj__list_is_empty(&l));
    nbj__list_remove(&c.node);
    assert_string_equal(names(&l), "abd");
    nbj__list_remove(&a.node);
    assert_string_equal(names(&l), "bd");
    nbj__list_remove(&d.node);
    assert_string_equal(names(&l), "b");
    nbj__list_push(&l, &a.node); /* once out it can go in again */
    assert_string_equal(names(&l), "ba");
}

static void test_linked_or_not(void **state)
{
    (void)state;
    nbj__list l;
    item a = { .name = 'a' };
    nbj__list_init(&l);
    assert_false(nbj__node_is_linked(&a.node));
    nbj__list_remove(&a.node); /* nothing happens */
    nbj__list_push(&l, &a.node);
    assert_true(nbj__node_is_linked(&a.node));
    nbj__list_remove(&a.node);
    assert_false(nbj__node_is_linked(&a.node));
    nbj__list_remove(&a.node);
    assert_true(nbj__list_is_empty(&l));
}

static void test_pop_empties_in_order(void **state)
{
    (void)state;
    nbj__list l;
    item items[5] = { { .name = '0' }, { .name = '1' }, { .name = '2' }, { .name = '3' }, { .name = '4' } };
    nbj__list_init(&l);
    for (size_t i = 0; i < 5; i++)
        nbj__list_push(&l, &items[i].node);
    for (size_t i = 0; i < 5; i++) {
        nbj__node *n = nbj__list_pop(&l);
        assert_ptr_equal(NBJ__ITEM(n, item, node), &items[i]);
        assert_false(nbj__node_is_linked(n));
    }
    assert_null(nbj__list_pop(&l));
    assert_true(nbj__list_is_empty(&l));
}

static void test_two_lists_at_once(void **state)
{
    (void)state;
    nbj__list l, m;
    item a = { .name = 'a' }, b = { .name = 'b' };
    nbj__list_init(&l);
    nbj__list_init(&m);
    nbj__list_push(&l, &a.node);
    nbj__list_push(&l, &b.node);
    nbj__list_push(&m, &b.other);
    nbj__list_push(&m, &a.other);
    nbj__list_remove(&a.node);
    assert_string_equal(names(&l), "b");
    assert_ptr_equal(NBJ__ITEM(nbj__list_pop(&m), item, other), &b);
    assert_ptr_equal(NBJ__ITEM(nbj__list_pop(&m), item, other), &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_linked_or_not),
        cmocka_unit_test(test_pop_empties_in_order),
        cmocka_unit_test(test_two_lists_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
