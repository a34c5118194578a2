/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses, their texts and the version: <nbj/status.h>, <nbj/version.h>, <nbj/bytes.h>. */
#include <nbj/status.h>
#include <nbj/version.h>

#include "support/check.h"

#include <stdio.h>
#include <string.h>

static const struct {
    nbj_status status;
    const char *name, *text;
} all[] = {
#define NBJ_X(name, value, text) { name, #name, text },
    NBJ_STATUS_MAP(NBJ_X)
#undef NBJ_X
};

#define COUNT (sizeof all / sizeof all[0])

static void test_every_status_has_its_own_number_and_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(all[i].name, strcmp(nbj_strerror(all[i].status), all[i].text) == 0);
        for (size_t j = 0; j < i; j++) {
            CHECK(all[i].name, all[i].status != all[j].status);
            CHECK(all[i].name, strcmp(all[i].text, all[j].text) != 0);
        }
    }
}

/* "Negative: failed" is what callers test. */
static void test_errors_are_negative(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        CHECK(all[i].name, (all[i].status < 0) == (strncmp(all[i].name, "NBJ_E_", 6) == 0));
    assert_int_equal(NBJ_OK, 0);
}

static void test_unknown_number(void **state)
{
    (void)state;
    assert_string_equal(nbj_strerror((nbj_status)-9999), "unknown status");
    assert_string_equal(nbj_strerror((nbj_status)2), "unknown status");
}

static void test_error_text(void **state)
{
    (void)state;
    nbj_error e = { .status = NBJ_E_DNS };
    assert_string_equal(nbj_error_text(&e), nbj_strerror(NBJ_E_DNS));
    strcpy(e.text, "no such host: example.invalid");
    assert_ptr_equal(nbj_error_text(&e), e.text);
    assert_string_equal(nbj_error_text(NULL), "");
}

static void test_version(void **state)
{
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", NBJ_VERSION_MAJOR, NBJ_VERSION_MINOR, NBJ_VERSION_PATCH);
    assert_string_equal(NBJ_VERSION, text);
    assert_string_equal(nbj_version(), NBJ_VERSION);
}

static void test_bytes(void **state)
{
    (void)state;
    assert_int_equal(nbj_str(NULL).len, 0);
    assert_int_equal(nbj_str("abc").len, 3);
    assert_true(nbj_bytes_equal(nbj_str("abc"), nbj_view("abcd", 3)));
    assert_false(nbj_bytes_equal(nbj_str("abc"), nbj_str("abd")));
    assert_false(nbj_bytes_equal(nbj_str("abc"), nbj_str("abcd")));
    assert_true(nbj_bytes_equal(nbj_view(NULL, 0), nbj_str("")));
    assert_true(nbj_bytes_equal(nbj_view("a\0b", 3), nbj_view("a\0b", 3)));
    char text[16];
    snprintf(text, sizeof text, "%.*s|%.*s", NBJ_FMT(nbj_view("abcd", 2)), NBJ_FMT(nbj_view(NULL, 0)));
    assert_string_equal(text, "ab|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_its_own_number_and_text),
        cmocka_unit_test(test_errors_are_negative),
        cmocka_unit_test(test_unknown_number),
        cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
