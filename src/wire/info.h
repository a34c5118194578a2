/* SPDX-License-Identifier: Apache-2.0 */
/* What a server says of itself in INFO. */
#ifndef NBJ_WIRE_INFO_H
#define NBJ_WIRE_INFO_H

#include "base/mem.h"

#include <nbj/status.h>
#include <stdbool.h>

#define NBJ__CONNECT_URLS_MAX 256u /* more are not taken: no cluster has them, a hostile server might */
#define NBJ__INFO_TEXT_MAX 512u    /* longest text of a field that is kept; longer ones count as absent */

typedef struct nbj__info {
    char *server_id, *server_name, *version, *nonce, *client_ip, *cluster, *domain; /* NULL: absent */
    uint64_t client_id;
    int64_t max_payload; /* 0 or less: not said */
    uint32_t api_level;  /* JetStream's API level, 2.12 and newer; 0: not said */
    bool has_headers;    /* |headers| was said */
    bool headers, jetstream, auth_required, tls_required, tls_available, lame_duck;
    bool has_connect_urls; /* the list was there, even if empty: absent does not mean empty */
    char **connect_urls;   /* host:port */
    size_t connect_url_count;
} nbj__info;

/* Reads an INFO's JSON. NBJ_E_PROTO: not a JSON object. NBJ_E_NOMEM. On failure |out| is empty. */
nbj_status nbj__info_parse(const nbj_allocator *alloc, nbj_bytes json, nbj__info *out);
void nbj__info_free(const nbj_allocator *alloc, nbj__info *info); /* a zeroed one too */

typedef struct nbj__server_version {
    uint32_t major, minor, patch;
} nbj__server_version;

/* "2.10.27", with or without a suffix; zeros for what cannot be read. */
nbj__server_version nbj__version_parse(const char *text);
bool nbj__version_is_at_least(nbj__server_version v, uint32_t major, uint32_t minor, uint32_t patch);

#endif
