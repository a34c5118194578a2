/* SPDX-License-Identifier: Apache-2.0 */
/* A file with credentials: what is found in it lies within it and is the same with other line ends and between markers;
 * a seed that is read is written the same. */
#include "driver/creds.h"
#include "base/mem.h"
#include "driver/nkey.h"

#include "support/fuzz.h"

static uint8_t *put(uint8_t *p, nbj_bytes b)
{
    if (b.len > 0)
        memcpy(p, b.ptr, b.len);
    return p + b.len;
}

static void check_seed(nbj_bytes text)
{
    nbj__nkey key;
    const char *why = "";
    char back[NBJ__NKEY_SEED_LEN + 1];
    nbj_status st = nbj__nkey_from_seed(text, &key, &why);

    MUST(st == NBJ_OK || st == NBJ_E_CREDENTIALS);
    MUST((st == NBJ_OK) == (why == NULL));
    if (st != NBJ_OK)
        return;
    nbj__nkey_seed(&key, back);
    MUST(nbj_bytes_equal(text, nbj_str(back)));
    MUST((nbj__nkey_from_user_seed(text, &key, &why) == NBJ_OK) == (key.kind == NBJ__NKEY_USER));
}

static void check_jwt(nbj_bytes text)
{
    bool is_bearer;
    nbj_status st = nbj__jwt_is_bearer(nbj__allocator_or_default(NULL), text, &is_bearer);

    MUST(st == NBJ_OK || st == NBJ_E_CREDENTIALS);
}

static void check_same(nbj_bytes text, nbj_status want_status, const nbj__creds *want)
{
    nbj__creds got;
    const char *why = "";

    MUST(nbj__creds_parse(text, &got, &why) == want_status);
    MUST(nbj_bytes_equal(got.jwt, want->jwt) && nbj_bytes_equal(got.seed, want->seed));
}

static void check_with_cr(const uint8_t *data, size_t size, nbj_status st, const nbj__creds *c)
{
    uint8_t *text = fuzz_alloc(2 * size);
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n')
            text[n++] = '\r';
        text[n++] = data[i];
    }
    check_same(nbj_view(text, n), st, c);
    free(text);
}

/* The JWT and the seed in a file as it should be. A word that looks like a marker cannot stand in a block. */
static void check_in_blocks(const nbj__creds *c)
{
    static const char marker[] = "\n-----X-----\n";
    uint8_t *text = fuzz_alloc(c->jwt.len + c->seed.len + 4 * sizeof marker);
    uint8_t *p = text;
    const nbj_bytes words[] = { c->jwt, c->seed };

    for (size_t i = 0; i < 2; i++) {
        if (words[i].len == 0)
            continue;
        p = put(p, nbj_str(marker));
        p = put(p, words[i]);
        p = put(p, nbj_str(marker));
    }
    check_same(nbj_view(text, (size_t)(p - text)), NBJ_OK, c);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nbj__creds c;
    const char *why = "";
    nbj_status st = nbj__creds_parse(nbj_view(data, size), &c, &why);

    MUST(st == NBJ_OK || st == NBJ_E_CREDENTIALS);
    MUST((st == NBJ_OK) == (why == NULL));
    MUST((st == NBJ_OK) == (c.jwt.len + c.seed.len > 0));
    MUST(fuzz_is_within(c.jwt, data, size) && fuzz_is_within(c.seed, data, size));
    check_seed(nbj_view(data, size));
    check_jwt(nbj_view(data, size));
    check_with_cr(data, size, st, &c);
    if (st == NBJ_OK) {
        check_seed(c.seed);
        check_jwt(c.jwt);
        check_in_blocks(&c);
    }
    return 0;
}
