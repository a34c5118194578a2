/* SPDX-License-Identifier: Apache-2.0 */
/* A list of server URLs: what is accepted is plain enough to be connected to, and comes back the same when written and
 * read again. */
#include "wire/url.h"

#include "support/fuzz.h"

static uint8_t *put(uint8_t *p, nbj_bytes b)
{
    if (b.len > 0)
        memcpy(p, b.ptr, b.len);
    return p + b.len;
}

static int has_colon(nbj_bytes b)
{
    return b.len > 0 && memchr(b.ptr, ':', b.len) != NULL;
}

/* The URL with all that can be said; |out| has room for 32 octets more than its parts. */
static size_t write_url(const nbj__url *u, uint8_t *out)
{
    char port[8];
    uint8_t *p = put(out, nbj_str(u->tls ? "tls://" : "nats://"));

    p = put(p, u->user);
    p = put(p, nbj_str(u->has_password ? ":" : ""));
    p = put(p, u->password);
    p = put(p, nbj_str(u->has_password || u->user.len > 0 ? "@" : ""));
    p = put(p, nbj_str(has_colon(u->host) ? "[" : ""));
    p = put(p, u->host);
    p = put(p, nbj_str(has_colon(u->host) ? "]" : ""));
    snprintf(port, sizeof port, ":%u", (unsigned)u->port);
    return (size_t)(put(p, nbj_str(port)) - out);
}

static void check_accepted(const nbj__url *u)
{
    nbj__url back;
    const char *why = NULL;
    uint8_t *text = fuzz_alloc(u->user.len + u->password.len + u->host.len + 32);
    size_t len = write_url(u, text);

    MUST(u->host.len > 0 && u->host.len <= NBJ__HOST_MAX && u->port > 0);
    for (size_t i = 0; i < u->host.len; i++)
        MUST(u->host.ptr[i] > ' ' && u->host.ptr[i] < 0x7f && strchr("/@[]?#,", u->host.ptr[i]) == NULL);
    MUST(nbj__url_parse(nbj_view(text, len), &back, &why) == NBJ_OK);
    MUST(back.tls == u->tls && back.port == u->port && back.has_password == u->has_password);
    MUST(nbj_bytes_equal(back.host, u->host));
    MUST(nbj_bytes_equal(back.user, u->user) && nbj_bytes_equal(back.password, u->password));
    free(text);
}

static void check_one(nbj_bytes text)
{
    nbj__url u;
    const char *why = NULL;
    nbj_status st = nbj__url_parse(text, &u, &why);

    MUST(st == NBJ_OK || st == NBJ_E_BAD_URL);
    MUST((st == NBJ_OK) == (why[0] == '\0'));
    if (st == NBJ_OK)
        check_accepted(&u);
}

/* With every octet escaped it decodes to itself; as it is, to no more than itself. */
static void check_decoding(nbj_bytes text)
{
    static const char hex[] = "0123456789aBcDeF";
    uint8_t *escaped = fuzz_alloc(3 * text.len);
    uint8_t *back = fuzz_alloc(3 * text.len);

    for (size_t i = 0; i < text.len; i++) {
        escaped[3 * i] = '%';
        escaped[3 * i + 1] = (uint8_t)hex[text.ptr[i] >> 4];
        escaped[3 * i + 2] = (uint8_t)hex[text.ptr[i] & 15];
    }
    MUST(nbj__url_decode(nbj_view(escaped, 3 * text.len), back) == text.len);
    MUST(text.len == 0 || memcmp(back, text.ptr, text.len) == 0);
    MUST(nbj__url_decode(text, back) <= text.len);
    free(back);
    free(escaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nbj_bytes list = nbj_view(data, size);
    nbj_bytes url;

    check_one(list);
    check_decoding(list);
    while (nbj__url_take(&list, &url)) {
        MUST(url.len > 0 && fuzz_is_within(url, data, size) && memchr(url.ptr, ',', url.len) == NULL);
        check_one(url);
    }
    MUST(list.len == 0);
    return 0;
}
