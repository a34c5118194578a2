/* SPDX-License-Identifier: Apache-2.0 */
/* NKeys: driver/nkey.h. The pair DOCS_* is the one of NATS' documentation, the others are RFC 8032's test vectors in NATS'
 * text form, written by another program. */
#define _GNU_SOURCE
#include "driver/nkey.h"

#include "support/check.h"
#include "support/malloc_fail.h"

#include <openssl/err.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define DOCS_SEED "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
#define DOCS_PUBLIC "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"

#define USER_SEED "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALCA"
#define USER_PUBLIC "UDLVVGABQKYQVN6VJP7NHSLEA45A5YLS6PNKMIZFV4BBU2HXA5IRUVAL"
#define ACCOUNT_SEED "SAAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YHY3Q"

static nbj__nkey key_of(const char *seed)
{
    nbj__nkey key = { 0 };
    const char *why = "";

    CHECK(seed, nbj__nkey_from_seed(nbj_str(seed), &key, &why) == NBJ_OK && why == NULL);
    return key;
}

static const struct {
    nbj__nkey_kind kind;
    const char *seed, *public_key;
} pairs[] = {
    { NBJ__NKEY_USER, DOCS_SEED, DOCS_PUBLIC },
    { NBJ__NKEY_USER, USER_SEED, USER_PUBLIC },
    { NBJ__NKEY_OPERATOR, "SOAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YFUVY",
      "ODLVVGABQKYQVN6VJP7NHSLEA45A5YLS6PNKMIZFV4BBU2HXA5IRVH7S" },
    { NBJ__NKEY_ACCOUNT, ACCOUNT_SEED, "ADLVVGABQKYQVN6VJP7NHSLEA45A5YLS6PNKMIZFV4BBU2HXA5IRVRTU" },
    { NBJ__NKEY_SERVER, "SNAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YFXBM",
      "NDLVVGABQKYQVN6VJP7NHSLEA45A5YLS6PNKMIZFV4BBU2HXA5IRUM4A" },
    { NBJ__NKEY_CLUSTER, "SCAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YH2DI",
      "CDLVVGABQKYQVN6VJP7NHSLEA45A5YLS6PNKMIZFV4BBU2HXA5IRUDRI" },
};

static void test_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        nbj__nkey key = key_of(pairs[i].seed);
        char seed[NBJ__NKEY_SEED_LEN + 1], public_key[NBJ__NKEY_PUBLIC_LEN + 1];
        assert_int_equal(key.kind, pairs[i].kind);
        nbj__nkey_seed(&key, seed);
        assert_string_equal(seed, pairs[i].seed);
        assert_int_equal(nbj__nkey_public(&key, public_key), NBJ_OK);
        assert_string_equal(public_key, pairs[i].public_key);
    }
}

static const struct {
    const char *name, *text, *why;
} bad[] = {
    { "nothing", "", "no seed" },
    { "a public key", USER_PUBLIC, "public key" },
    { "an account's public key", "ADLVVGABQKYQVN6VJP7NHSLEA45A5YLS6PNKMIZFV4BBU2HXA5IRVRTU", "public key" },
    { "a private key",
      "PCOWDMM5576VUYF2QRFPJEXMFTCEISOFNF5TE2IZOA52YAY4VZ7WBV22TAAYFMIKW7KUX7WTZFSAOOQO4FZPHWVGEMS26AQ2ND3QOUI2TPMQ",
      "private key" },
    { "of a seed's length", "TUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YFHWE", "begins with S" },
    { "a word", "hidden", "begins with S" },
    { "one character", "S", "too short" },
    { "the last character is missing", "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALC", "too short" },
    { "one too many", USER_SEED "A", "too long" },
    { "a line end", USER_SEED "\n", "too long" },
    { "small letters", "Suaj2ynrtxx72wtaxkcev5es5qwmircjyvuxwmtjdfydxladdsxh6yalca", "character" },
    { "0 is not of base32", "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6Y0LCA", "character" },
    { "8 is not of base32", "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6Y8LCA", "character" },
    { "padding", "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALC=", "character" },
    { "bits left over", "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALCB", "character" },
    { "mistyped", "SUAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH7YALCA", "checksum" },
    { "two exchanged", "SUAJ2YNRTXX27WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YALCA", "checksum" },
    { "unknown kind", "SFAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YG4EM", "unknown kind" },
    { "bits in the prefix", "SUAZ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YGXTU", "unknown kind" },
};

/* Whether |text| has four characters in a row of |secret|. */
static bool quotes(const char *text, const char *secret)
{
    size_t len = strlen(secret);

    for (size_t i = 0; i + 4 <= len; i++) {
        if (memmem(text, strlen(text), secret + i, 4) != NULL)
            return true;
    }
    return false;
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj__nkey key;
        const char *why = NULL;
        nbj_bytes text = exact_copy(bad[i].text);
        CHECK(bad[i].name, nbj__nkey_from_seed(text, &key, &why) == NBJ_E_CREDENTIALS);
        CHECK(bad[i].name, why != NULL && strstr(why, bad[i].why) != NULL);
        CHECK(bad[i].name, !quotes(why, bad[i].text));
        exact_free(text);
    }
}

/* Whichever octet of a seed is another one: it is found, or the same seed. */
static void test_each_character_counts(void **state)
{
    char text[] = USER_SEED;

    (void)state;
    for (size_t i = 0; i < NBJ__NKEY_SEED_LEN; i++) {
        for (int c = 0; c < 256; c++) {
            nbj__nkey key;
            const char *why = NULL;
            text[i] = (char)c;
            nbj_status st = nbj__nkey_from_seed(nbj_view(text, NBJ__NKEY_SEED_LEN), &key, &why);
            CHECK(&USER_SEED[i], (st == NBJ_OK) == (text[i] == USER_SEED[i]));
        }
        text[i] = USER_SEED[i];
    }
}

static void test_a_users_seed_is_asked_for(void **state)
{
    static const struct {
        const char *seed, *why;
    } others[] = {
        { ACCOUNT_SEED, "an account's" },
        { "SOAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YFUVY", "an operator's" },
        { "SNAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YFXBM", "a server's" },
        { "SCAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YH2DI", "a cluster's" },
        { "SXAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YAIWU", "for encryption" },
        { USER_PUBLIC, "public key" },
    };
    const nbj__nkey none = { 0 };
    nbj__nkey key;
    const char *why = NULL;

    (void)state;
    assert_int_equal(nbj__nkey_from_user_seed(nbj_str(USER_SEED), &key, &why), NBJ_OK);
    assert_int_equal(key.kind, NBJ__NKEY_USER);
    nbj__nkey_wipe(&key);
    assert_memory_equal(&key, &none, sizeof key);
    for (size_t i = 0; i < COUNT(others); i++) {
        CHECK(others[i].why, nbj__nkey_from_user_seed(nbj_str(others[i].seed), &key, &why) == NBJ_E_CREDENTIALS);
        CHECK(why, strstr(why, others[i].why) != NULL);
        assert_memory_equal(&key, &none, sizeof key);
    }
}

static void test_signatures(void **state)
{
    static const struct {
        const char *seed, *octets;
        const char *signature;
    } known[] = {
        { USER_SEED, "", "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc-bRr0lv18FlbviRlUUFDjnoQCw" },
        { "SUAMLKUN6Q7Z7A335W3UILZR3S33CZWTQU2QO3YJJOC44OROBNCFR54NIM", "\xaf\x82",
          "YpHWV97sJAJIJ-acOr4BowzlSKKEdDpEXjaA19taw6wY_5tTjRbykK5n92CYTcZZSnwV6XFu0o3AJ77O6h7ECg" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        nbj__nkey key = key_of(known[i].seed);
        char signature[NBJ__NKEY_SIGNATURE_LEN + 1];
        assert_int_equal(nbj__nkey_sign(&key, nbj_str(known[i].octets), signature), NBJ_OK);
        assert_string_equal(signature, known[i].signature);
    }
    nbj__nkey key = key_of(USER_SEED);
    char signature[NBJ__NKEY_SIGNATURE_LEN + 1];
    assert_int_equal(nbj__nkey_sign(&key, nbj_view(NULL, 0), signature), NBJ_OK);
    assert_string_equal(signature, known[0].signature);
}

static void test_a_key_for_encryption_does_not_sign(void **state)
{
    nbj__nkey key = key_of("SXAJ2YNRTXX72WTAXKCEV5ES5QWMIRCJYVUXWMTJDFYDXLADDSXH6YAIWU");
    char signature[NBJ__NKEY_SIGNATURE_LEN + 1];

    (void)state;
    assert_int_equal(key.kind, NBJ__NKEY_CURVE);
    assert_int_equal(nbj__nkey_sign(&key, nbj_str("nonce"), signature), NBJ_E_SIGN);
    assert_string_equal(signature, "");
}

/* OpenSSL's own allocations: a refused one is an error and nothing worse, and leaves the program's errors alone. */
static void test_openssl_without_memory(void **state)
{
    nbj__nkey key = key_of(USER_SEED);
    char text[NBJ__NKEY_PUBLIC_LEN + 1], signature[NBJ__NKEY_SIGNATURE_LEN + 1], want[NBJ__NKEY_SIGNATURE_LEN + 1];
    size_t refused = 0;

    (void)state;
    if (!ts_malloc_fail_works())
        return;
    assert_int_equal(nbj__nkey_public(&key, text), NBJ_OK);
    assert_int_equal(nbj__nkey_sign(&key, nbj_str("nonce"), want), NBJ_OK); /* what OpenSSL keeps is there now */
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 7);
    for (bool was_refused = true; was_refused; refused += was_refused) {
        ts_malloc_fail_arm(refused);
        nbj_status st = nbj__nkey_public(&key, text);
        nbj_status signed_st = nbj__nkey_sign(&key, nbj_str("nonce"), signature);
        was_refused = ts_malloc_fail_disarm();
        assert_true(st == NBJ_OK || (was_refused && st == NBJ_E_SIGN));
        assert_true(signed_st == NBJ_OK || (was_refused && signed_st == NBJ_E_SIGN));
        assert_string_equal(text, st == NBJ_OK ? USER_PUBLIC : "");
        assert_string_equal(signature, signed_st == NBJ_OK ? want : "");
    }
    assert_true(refused > 2);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), 7);
    ERR_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_each_character_counts),
        cmocka_unit_test(test_a_users_seed_is_asked_for),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_a_key_for_encryption_does_not_sign),
        cmocka_unit_test(test_openssl_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
