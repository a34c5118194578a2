/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of servers: wire/info.h. */
#include "wire/info.h"

#include "support/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t major, minor, patch;
    } cases[] = {
        { "2.10.27", 2, 10, 27 },
        { "2.15.0-dev", 2, 15, 0 },
        { "2.9.10-RC.3", 2, 9, 10 },
        { "2.12.0+build.7", 2, 12, 0 },
        { "2.12", 2, 12, 0 },
        { "2", 2, 0, 0 },
        { "2.12.", 2, 12, 0 },
        { "2.12.3.4", 2, 12, 3 },
        { "0.0.0", 0, 0, 0 },
        { "02.009.1", 2, 9, 1 },
        { "", 0, 0, 0 },
        { "v2.12.3", 0, 0, 0 },
        { "beta", 0, 0, 0 },
        { " 2.12.3", 0, 0, 0 },
        { "-1.2.3", 0, 0, 0 },
        { "2.x.3", 2, 0, 0 },
        { "...", 0, 0, 0 },
        { ".2.3", 0, 2, 3 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj__server_version v = nbj__version_parse(cases[i].text);
        CHECK(cases[i].text, v.major == cases[i].major && v.minor == cases[i].minor && v.patch == cases[i].patch);
    }
    assert_int_equal(nbj__version_parse(NULL).major, 0);
}

/* A number that does not fit is large, never small. */
static void test_parse_does_not_wrap(void **state)
{
    (void)state;
    static const char *const texts[] = { "4294967298.4294967296.4294967297", "18446744073709551618.100000.999999",
                                         "99999999999999999999999999999999.123456789.123456789" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        nbj__server_version v = nbj__version_parse(texts[i]);
        CHECK(texts[i], v.major >= 100000 && v.minor >= 100000 && v.patch >= 100000);
        CHECK(texts[i], nbj__version_is_at_least(v, 2, 14, 0));
    }
}

static void test_is_at_least(void **state)
{
    (void)state;
    static const nbj__server_version versions[] = { { 0, 0, 0 },   { 1, 99, 99 }, { 2, 2, 0 },
                                                    { 2, 9, 0 },   { 2, 9, 10 },  { 2, 10, 4 },
                                                    { 2, 10, 27 }, { 2, 15, 1 },  { 3, 0, 0 } }; /* in order */
    for (size_t i = 0; i < COUNT(versions); i++) {
        for (size_t j = 0; j < COUNT(versions); j++) {
            const nbj__server_version *w = &versions[j];
            assert_int_equal(nbj__version_is_at_least(versions[i], w->major, w->minor, w->patch), i >= j);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_does_not_wrap),
        cmocka_unit_test(test_is_at_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
