/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in PEM text: the forms that are decoded without OpenSSL's decoder give the same key as that does, and what is none
 * of them is left to it. */
#define _GNU_SOURCE
#include "driver/tls_key.h"

#include "support/check.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static EVP_PKEY *rsa, *ec, *ec521, *ed25519, *ed448, *bare;

static int make_keys(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    ec = EVP_EC_gen("P-256");
    ec521 = EVP_EC_gen("P-521");
    bare = EVP_EC_gen("P-256");
    ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    return rsa == NULL || ec == NULL || ec521 == NULL || ed25519 == NULL || ed448 == NULL || bare == NULL ||
           EVP_PKEY_set_int_param(bare, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0) != 1;
}

static int free_keys(void **state)
{
    EVP_PKEY *all[] = { rsa, ec, ec521, ed25519, ed448, bare };

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        EVP_PKEY_free(all[i]);
    return 0;
}

/* Freed by exact_free. */
static nbj_bytes pem_of(EVP_PKEY *key, bool old, const EVP_CIPHER *cipher)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *at = NULL;
    unsigned char *pw = (unsigned char *)(uintptr_t)(cipher != NULL ? "pw" : NULL);
    int len = cipher != NULL ? 2 : 0;

    assert_non_null(text);
    assert_int_equal(old ? PEM_write_bio_PrivateKey_traditional(text, key, cipher, pw, len, NULL, NULL)
                         : PEM_write_bio_PKCS8PrivateKey(text, key, cipher, (char *)pw, len, NULL, NULL),
                     1);
    long size = BIO_get_mem_data(text, &at);
    nbj_bytes copy = exact_bytes(at, (size_t)size);
    BIO_free(text);
    return copy;
}

static bool same_secret(const EVP_PKEY *a, const EVP_PKEY *b, const char *param)
{
    BIGNUM *x = NULL, *y = NULL;
    bool same =
        EVP_PKEY_get_bn_param(a, param, &x) == 1 && EVP_PKEY_get_bn_param(b, param, &y) == 1 && BN_cmp(x, y) == 0;

    BN_free(x);
    BN_free(y);
    return same;
}

static bool same_octets(const EVP_PKEY *a, const EVP_PKEY *b)
{
    uint8_t x[64], y[64];
    size_t x_len = sizeof x, y_len = sizeof y;

    return EVP_PKEY_get_raw_private_key(a, x, &x_len) == 1 && EVP_PKEY_get_raw_private_key(b, y, &y_len) == 1 &&
           x_len == y_len && memcmp(x, y, x_len) == 0;
}

static bool is_same(const EVP_PKEY *a, const EVP_PKEY *b)
{
    static const char *const numbers[] = { OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                           OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                           OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
    bool same = EVP_PKEY_eq(a, b) == 1;

    if (EVP_PKEY_is_a(a, "EC"))
        return same && same_secret(a, b, OSSL_PKEY_PARAM_PRIV_KEY);
    if (!EVP_PKEY_is_a(a, "RSA"))
        return same && same_octets(a, b);
    for (size_t i = 0; i < COUNT(numbers); i++)
        same = same && same_secret(a, b, numbers[i]);
    return same;
}

static void check_read(const char *name, EVP_PKEY *key, bool old)
{
    nbj_bytes pem = pem_of(key, old, NULL);
    EVP_PKEY *got = nbj__tls_key_read(pem);

    CHECK(name, got != NULL && is_same(key, got));
    EVP_PKEY_free(got);
    exact_free(pem);
}

static void test_the_usual_forms(void **state)
{
    (void)state;
    check_read("RSA", rsa, false);
    check_read("RSA, PKCS #1", rsa, true);
    check_read("P-256", ec, false);
    check_read("P-256, SEC 1", ec, true);
    check_read("P-521", ec521, false);
    check_read("P-521, SEC 1", ec521, true);
    check_read("Ed25519", ed25519, false);
    check_read("Ed448", ed448, false);
}

static void check_none(const char *name, nbj_bytes pem)
{
    EVP_PKEY *got = nbj__tls_key_read(pem);

    CHECK(name, got == NULL && ERR_peek_error() == 0);
    exact_free(pem);
}

static void test_other_forms_are_left_alone(void **state)
{
    (void)state;
    check_none("no public part", pem_of(bare, false, NULL));
    check_none("encrypted", pem_of(ec, false, EVP_aes_128_cbc()));
    check_none("encrypted, SEC 1", pem_of(ec, true, EVP_aes_128_cbc()));
    check_none("nothing", exact_copy(""));
    check_none("another text", exact_copy("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"));
    check_none("no end", exact_copy("-----BEGIN PRIVATE KEY-----\nMIIB\n"));
    check_none("no dashes", exact_copy("-----BEGIN PRIVATE KEY\nMIIB\n"));
    check_none("empty", exact_copy("-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----"));
    check_none("an endless length", exact_copy("-----BEGIN PRIVATE KEY-----\nMP////8CAQA=\n-----END PRIVATE KEY-----"));
}

/* Cut anywhere, or with any character changed, it is another key or none, and nothing is read that is not there. */
static void test_damage(void **state)
{
    EVP_PKEY *keys[] = { ec, ed25519, rsa };

    (void)state;
    for (size_t k = 0; k < COUNT(keys); k++) {
        nbj_bytes pem = pem_of(keys[k], false, NULL);
        for (size_t i = 0; i < pem.len; i += k == 2 ? 7 : 1) {
            nbj_bytes cut = exact_bytes(pem.ptr, i), changed = exact_bytes(pem.ptr, pem.len);
            ((uint8_t *)(uintptr_t)changed.ptr)[i] ^= 3;
            EVP_PKEY *got = nbj__tls_key_read(cut);
            CHECK("cut", got == NULL || i + 25 > pem.len); /* what stands behind "-----END " is not looked at */
            EVP_PKEY_free(got);
            EVP_PKEY_free(nbj__tls_key_read(changed));
            assert_int_equal(ERR_peek_error(), 0);
            exact_free(cut);
            exact_free(changed);
        }
        exact_free(pem);
    }
}

#define CERT "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
#define KEY(kind) "-----BEGIN " kind "PRIVATE KEY-----\nc2VjcmV0\n-----END " kind "PRIVATE KEY-----\n"

static void test_keys_among_certificates_are_hidden(void **state)
{
    char text[] = KEY("") CERT KEY("RSA ") CERT "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRI";
    char *first = strstr(text, CERT);

    (void)state;
    nbj__tls_key_hide((uint8_t *)text, sizeof text - 1);
    assert_null(strstr(text, "c2VjcmV0"));
    assert_null(strstr(text, "PRIVATE"));
    assert_ptr_equal(strstr(text, CERT), first);
    assert_non_null(strstr(first + 1, CERT));
    assert_int_equal(strspn(text, "\n"), strlen(KEY("")));
    assert_int_equal(strlen(text), sizeof text - 1);
    char cut[] = CERT "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n";
    nbj__tls_key_hide((uint8_t *)cut, sizeof cut - 1);
    assert_null(strstr(cut, "c2VjcmV0"));
    assert_memory_equal(cut, CERT, strlen(CERT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual_forms),
        cmocka_unit_test(test_other_forms_are_left_alone),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_keys_among_certificates_are_hidden),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
