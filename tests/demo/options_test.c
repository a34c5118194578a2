/* SPDX-License-Identifier: Apache-2.0 */
/* The command line (options.h). */
#define _GNU_SOURCE
#include "options.h"

#include "support/check.h"

#include <string.h>

enum { WORDS_MAX = 12 };

static bool read_words(const char *words, options *out, problem *why)
{
    static char text[512]; /* the options point into it */
    char *arguments[WORDS_MAX] = { (char *)(uintptr_t) "nbj-ride-demo" }, *rest = NULL;
    int count = 1;

    strcpy(text, words);
    for (char *word = strtok_r(text, " ", &rest); word != NULL && count < WORDS_MAX; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = word;
    return options_read(out, count, arguments, why);
}

static void test_defaults(void **state)
{
    options got;
    problem why;

    (void)state;
    assert_true(read_words("", &got, &why));
    assert_true(got.role == ROLE_DEMO && !got.help && !got.sabotage && !got.keep && got.source.path == NULL);
    assert_true(got.source.count == 5000 && got.source.seed == 1 && got.window == 256 && got.patience_s == 60);
}

static void test_all(void **state)
{
    options got;
    problem why;

    (void)state;
    assert_true(read_words("--trips a.csv --count=7 --seed 18446744073709551615 --window 1 --patience 5 --sabotage "
                           "--keep",
                           &got, &why));
    assert_string_equal(got.source.path, "a.csv");
    assert_true(got.source.count == 7 && got.source.seed == UINT64_MAX && got.window == 1 && got.patience_s == 5);
    assert_true(got.sabotage && got.keep);
    assert_true(read_words("--trips a.csv", &got, &why));
    assert_int_equal(got.source.count, 0); /* all of the file */
    assert_true(read_words("check --run r1 --directory /d --port 4222", &got, &why));
    assert_true(got.role == ROLE_CHECK && got.port == 4222);
}

static const struct {
    const char *words, *error;
} refused[] = {
    { "--cuont 5", "unknown option \"--cuont\"; --help lists them" },
    { "5", "unknown option \"5\"; --help lists them" },
    { "--count", "--count needs a value" },
    { "--count 0", "--count needs a whole number from 1 to 100000, not \"0\"" },
    { "--count 5x", "--count needs a whole number from 1 to 100000, not \"5x\"" },
    { "--count -5", "--count needs a whole number from 1 to 100000, not \"-5\"" },
    { "--count=", "--count needs a whole number from 1 to 100000, not \"\"" },
    { "--seed 18446744073709551616",
      "--seed needs a whole number from 0 to 18446744073709551615, not \"18446744073709551616\"" },
    { "--window 4097", "--window needs a whole number from 1 to 4096, not \"4097\"" },
    { "--sabotage=1", "--sabotage takes no value" },
    { "--trips=", "--trips needs a value that is not empty" },
    { "--port 5", "unknown option \"--port\"; --help lists them" },
    { "publish", "\"publish\" is for the demo itself; start it without" },
    { "check --run r --directory d --port 65536", "--port needs a whole number from 1 to 65535, not \"65536\"" },
    { "check --run aaaaaaaaaaaaaaaaaaaaaaaaa --directory d --port 5", "--run is longer than 24 octets" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        options got;
        problem why = { "" };
        CHECK(refused[i].words, !read_words(refused[i].words, &got, &why));
        CHECK(why.text, strcmp(why.text, refused[i].error) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
