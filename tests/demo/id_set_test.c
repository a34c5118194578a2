/* SPDX-License-Identifier: Apache-2.0 */
/* The set of ids that were seen (id_set.h). */
#include "id_set.h"

#include "support/check.h"

#include <stdio.h>

enum { IDS = 20000 };

static void test_known_stay_known(void **state)
{
    id_set *set = id_set_new();
    char id[EVENT_ID_SIZE];

    (void)state;
    assert_non_null(set);
    for (int i = 0; i < IDS; i++) {
        snprintf(id, sizeof id, "run-%d-1", i);
        assert_false(id_set_has(set, id));
        assert_int_equal(id_set_add(set, id), ID_SET_NEW);
        assert_true(id_set_has(set, id));
    }
    for (int i = 0; i < IDS; i++) { /* the table has grown several times since */
        snprintf(id, sizeof id, "run-%d-1", i);
        assert_int_equal(id_set_add(set, id), ID_SET_KNOWN);
    }
    assert_false(id_set_has(set, "run-1-2"));
    id_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_stay_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
