/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/info.h"

#include "base/json_read.h"
#include "base/text.h"

typedef struct field {
    const char *name;
    size_t offset;
} field;

#define TEXT(member, key)                \
    {                                    \
        key, offsetof(nbj__info, member) \
    }

static const field text_fields[] = {
    TEXT(server_id, "server_id"), TEXT(server_name, "server_name"), TEXT(version, "version"), TEXT(nonce, "nonce"),
    TEXT(client_ip, "client_ip"), TEXT(cluster, "cluster"),         TEXT(domain, "domain"),
};

static const field bool_fields[] = {
    TEXT(headers, "headers"),           TEXT(jetstream, "jetstream"),         TEXT(auth_required, "auth_required"),
    TEXT(tls_required, "tls_required"), TEXT(tls_available, "tls_available"), TEXT(lame_duck, "ldm"),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char **text_at(nbj__info *info, size_t i)
{
    return (char **)(void *)((char *)info + text_fields[i].offset);
}

static nbj_status read_texts(const nbj_allocator *alloc, const nbj__json *json, nbj__info *out)
{
    for (size_t i = 0; i < COUNT(text_fields); i++) {
        nbj_bytes text = nbj__json_text(json, text_fields[i].name);
        if (text.len == 0 || text.len > NBJ__INFO_TEXT_MAX || memchr(text.ptr, '\0', text.len) != NULL)
            continue;
        *text_at(out, i) = nbj__copy_text(alloc, text);
        if (*text_at(out, i) == NULL)
            return NBJ_E_NOMEM;
    }
    return NBJ_OK;
}

static nbj_status read_connect_urls(const nbj_allocator *alloc, const nbj__json *json, nbj__info *out)
{
    nbj__json *urls = nbj__json_array(json, "connect_urls");
    size_t n = nbj__json_length(urls);

    out->has_connect_urls = urls != NULL;
    if (n > NBJ__CONNECT_URLS_MAX)
        n = NBJ__CONNECT_URLS_MAX;
    if (n == 0)
        return NBJ_OK;
    out->connect_urls = nbj__alloc0(alloc, NBJ__CONNECT_URLS_MAX * sizeof(char *));
    if (out->connect_urls == NULL)
        return NBJ_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        nbj_bytes url = nbj__json_item_text(urls, i);
        if (url.len == 0 || url.len > NBJ__INFO_TEXT_MAX || memchr(url.ptr, '\0', url.len) != NULL)
            continue;
        char *copy = nbj__copy_text(alloc, url);
        if (copy == NULL)
            return NBJ_E_NOMEM;
        out->connect_urls[out->connect_url_count++] = copy;
    }
    return NBJ_OK;
}

static uint32_t at_most_u32(uint64_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

nbj_status nbj__info_parse(const nbj_allocator *alloc, nbj_bytes json, nbj__info *out)
{
    nbj__json *o = NULL;

    *out = (nbj__info){ 0 };
    nbj_status st = nbj__json_parse(json, &o);
    if (st != NBJ_OK)
        return st;
    out->client_id = nbj__json_u64(o, "client_id");
    out->max_payload = nbj__json_i64(o, "max_payload");
    out->api_level = at_most_u32(nbj__json_u64(o, "api_lvl"));
    for (size_t i = 0; i < COUNT(bool_fields); i++)
        *(bool *)((char *)out + bool_fields[i].offset) = nbj__json_bool(o, bool_fields[i].name);
    out->has_headers = nbj__json_has_bool(o, "headers");
    st = read_texts(alloc, o, out);
    if (st == NBJ_OK)
        st = read_connect_urls(alloc, o, out);
    nbj__json_free(o);
    if (st != NBJ_OK)
        nbj__info_free(alloc, out);
    return st;
}

void nbj__info_free(const nbj_allocator *alloc, nbj__info *info)
{
    for (size_t i = 0; i < COUNT(text_fields); i++)
        nbj__free_text(alloc, *text_at(info, i));
    for (size_t i = 0; i < info->connect_url_count; i++)
        nbj__free_text(alloc, info->connect_urls[i]);
    nbj__free(alloc, info->connect_urls, NBJ__CONNECT_URLS_MAX * sizeof(char *));
    *info = (nbj__info){ 0 };
}

nbj__server_version nbj__version_parse(const char *text)
{
    uint32_t part[3] = { 0, 0, 0 };
    size_t n = 0;

    for (const char *p = text != NULL ? text : ""; n < 3; p++) {
        if (*p >= '0' && *p <= '9') {
            if (part[n] < 100000)
                part[n] = part[n] * 10 + (uint32_t)(*p - '0');
        } else if (*p == '.') {
            n++;
        } else {
            break;
        }
    }
    return (nbj__server_version){ part[0], part[1], part[2] };
}

bool nbj__version_is_at_least(nbj__server_version v, uint32_t major, uint32_t minor, uint32_t patch)
{
    if (v.major != major)
        return v.major > major;
    if (v.minor != minor)
        return v.minor > minor;
    return v.patch >= patch;
}
