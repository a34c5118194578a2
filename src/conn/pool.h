/* SPDX-License-Identifier: Apache-2.0 */
/* The servers a session may connect to, and which is next.
 *
 * Explicit servers come from the caller's URLs and stay; implicit ones come from INFO's connect_urls and go when a later
 * list does not name them. Each server has its own back-off: after a failure it is left alone for a random time up to a
 * limit that doubles (full jitter), so that a herd of clients spreads out. The first attempt after a healthy connection
 * waits for nothing. */
#ifndef NBJ_CONN_POOL_H
#define NBJ_CONN_POOL_H

#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"
#include "wire/info.h"
#include "wire/url.h"

#include <nbj/time.h>

#define NBJ__POOL_MAX 512u /* servers; a cluster has a few, a hostile INFO might name more and more */

typedef struct nbj__server {
    nbj__node node;
    char *host;     /* NUL-terminated */
    char *tls_name; /* whose certificate it must have; NULL: |host|'s */
    uint16_t port;
    bool tls; /* tls://, or it required TLS once: no octet goes out in clear */
    bool implicit;
    bool tried;                    /* since the client was opened */
    char *user, *password, *token; /* from the URL; NULL: none there */
    uint32_t failures;             /* in a row */
    nbj_time not_before;           /* when it may be tried again */
    nbj_status auth_error;         /* the last attempt's, if it was one of authentication; else NBJ_OK */
} nbj__server;

typedef struct nbj__pool_config {
    const nbj_allocator *alloc;
    nbj__random *random;
    bool no_randomize;
    uint64_t first_wait_ns, max_wait_ns; /* limits of the first and of the longest wait */
    uint32_t max_attempts;               /* failures in a row after which a server is dropped; 0: never */
} nbj__pool_config;

typedef struct nbj__pool {
    nbj__pool_config cfg;
    nbj__list servers; /* in the order in which they are tried */
    size_t count;
} nbj__pool;

/* Fills the pool from |urls|, separated by commas. NBJ_E_BAD_URL: |error| says which and why. On failure it is empty. */
nbj_status nbj__pool_init(nbj__pool *p, const nbj__pool_config *cfg, nbj_bytes urls, nbj_error *error);
void nbj__pool_free(nbj__pool *p);           /* a zeroed one too */
void nbj__pool_forget_secrets(nbj__pool *p); /* no server will be connected to any more */

/* The name that |s|'s certificate must have. One that was discovered by its address has that of the server which named
 * it, as certificates are made for names. */
const char *nbj__server_tls_name(const nbj__server *s);

/* The server to try next, and when: the first in order that may be tried at |now|, else the one that may soonest. It
 * goes to the end of the order. NULL: the pool is empty. */
nbj__server *nbj__pool_next(nbj__pool *p, nbj_time now, nbj_time *when);

/* Behind all others, also those that became known since it was taken. */
void nbj__pool_move_last(nbj__pool *p, nbj__server *s);

/* Whether some server has not been tried yet. */
bool nbj__pool_has_untried(const nbj__pool *p);

/* Whether there is another server than |current| that may be tried at |now|. */
bool nbj__pool_has_other(const nbj__pool *p, const nbj__server *current, nbj_time now);

/* |s| could not be connected to, or did not stay connected. May drop it (max_attempts): false then. */
bool nbj__pool_failed(nbj__pool *p, nbj__server *s, nbj_time now);

/* A connection to |s| was healthy: it may be tried at once. */
void nbj__pool_was_healthy(nbj__server *s);

/* Takes in an INFO's connect_urls; |current| is the server that sent it and is never dropped. *|added| says whether new
 * ones came. NBJ_E_NOMEM: some are missing. */
nbj_status nbj__pool_discover(nbj__pool *p, const nbj__info *info, const nbj__server *current, bool *added);

#endif
