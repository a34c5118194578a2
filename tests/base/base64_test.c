/* SPDX-License-Identifier: Apache-2.0 */
/* Octets in JSON: base/base64.h. */
#include "base/base64.h"

#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool decode(const char *text, uint8_t *out, size_t *len)
{
    nbj_bytes exact = exact_copy(text);
    uint8_t *room = malloc(exact.len > 3 ? nbj__base64_room(exact.len) : 1);
    assert_non_null(room);
    bool ok = nbj__base64_decode(exact, room, len);
    if (ok)
        memcpy(out, room, *len);
    free(room);
    exact_free(exact);
    return ok;
}

static void test_decode(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { "Zg==", "f" },
        { "Zm8=", "fo" },
        { "Zm9v", "foo" },
        { "Zm9vYg==", "foob" },
        { "Zm9vYmE=", "fooba" },
        { "Zm9vYmFy", "foobar" },
        { "fn5+", "~~~" },
        { "Pz8/", "???" },
    };
    uint8_t out[16];
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK(cases[i].text, decode(cases[i].text, out, &len));
        CHECK(cases[i].text, nbj_bytes_equal(nbj_view(out, len), nbj_str(cases[i].want)));
    }
}

static void test_decode_refuses(void **state)
{
    static const char *const cases[] = {
        "Z",      "Zg",       "Zg=",      "Zm9",   "====",     "Z===",  "=Zg=",
        "Z=g=",   "Zg==Zg==", "Zm8=Zm9v", "Zh==",  "Zm9=",     "Zm-v",  "Zm_v",
        "Zm9v\n", "Zm 9v",    "Zm\n9",    " Zm9v", "Zm9v====", "Zm9v=", "\xff\xff\xff\xff",
        "Zm.v",   "Zm9\x80",
    };
    uint8_t out[16];
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i], !decode(cases[i], out, &len));
}

/* Every character in every place: 64 of them have a value, each its own, in the alphabet's order. */
static void test_every_character(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    (void)state;
    for (unsigned place = 0; place < 4; place++) {
        unsigned legal = 0;
        for (unsigned c = 1; c < 256; c++) {
            char text[5] = "AAAA";
            uint8_t out[3];
            size_t len;
            const char *at = strchr(alphabet, (int)c);
            text[place] = (char)c;
            if (c == '=' && place == 3)
                continue; /* padding, as above */
            CHECK(text, decode(text, out, &len) == (at != NULL));
            if (at == NULL)
                continue;
            uint32_t value = (uint32_t)out[0] << 16 | (uint32_t)out[1] << 8 | out[2];
            CHECK(text, len == 3 && value == (uint32_t)(at - alphabet) << (18 - 6 * place));
            legal++;
        }
        assert_int_equal(legal, 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_decode_refuses),
        cmocka_unit_test(test_every_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
