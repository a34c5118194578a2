/* SPDX-License-Identifier: Apache-2.0 */
/* An INFO's JSON: bounded results, and an allocation that fails leaves nothing behind. */
#include "wire/info.h"

#include "support/fuzz.h"

/* Fails the allocation before which |left| becomes 0, and checks that sizes given back are those asked for. */
typedef struct counter {
    uint64_t left;
    size_t live;
} counter;

static void *get(void *ctx, size_t size)
{
    counter *c = ctx;

    if (c->left == 0)
        return NULL;
    c->left--;
    c->live += size;
    return malloc(size);
}

static void give_back(void *ctx, void *ptr, size_t size)
{
    counter *c = ctx;

    MUST(c->live >= size);
    c->live -= size;
    free(ptr);
}

static void check_text(const char *text)
{
    MUST(text == NULL || (strlen(text) > 0 && strlen(text) <= NBJ__INFO_TEXT_MAX));
}

static void check_bounds(const nbj__info *info)
{
    check_text(info->server_id);
    check_text(info->server_name);
    check_text(info->version);
    check_text(info->nonce);
    check_text(info->client_ip);
    check_text(info->cluster);
    check_text(info->domain);
    MUST(info->connect_url_count <= NBJ__CONNECT_URLS_MAX);
    MUST(info->connect_url_count == 0 || info->has_connect_urls);
    for (size_t i = 0; i < info->connect_url_count; i++)
        check_text(info->connect_urls[i]);
    (void)nbj__version_parse(info->version);
}

static nbj_status parse(const uint8_t *data, size_t size, uint64_t allocations)
{
    static const nbj__info none;
    counter c = { allocations, 0 };
    nbj_allocator alloc = { get, NULL, give_back, &c };
    nbj__info info;
    nbj_status st = nbj__info_parse(&alloc, nbj_view(data, size), &info);

    if (st == NBJ_OK)
        check_bounds(&info);
    else
        MUST(memcmp(&info, &none, sizeof none) == 0);
    nbj__info_free(&alloc, &info);
    MUST(c.live == 0);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nbj_status whole = parse(data, size, UINT64_MAX);
    nbj_status starved = parse(data, size, fuzz_hash(data, size) % 16);

    MUST(whole == NBJ_OK || whole == NBJ_E_PROTO);
    MUST(starved == whole || (whole == NBJ_OK && starved == NBJ_E_NOMEM));
    return 0;
}
