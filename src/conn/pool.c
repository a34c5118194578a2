/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/pool.h"

#include "base/heap.h"
#include "base/text.h"

static nbj__server *server_of(nbj__node *n)
{
    return n != NULL ? NBJ__ITEM(n, nbj__server, node) : NULL;
}

#define FOR_EACH_SERVER(p, s)                                                   \
    for (nbj__server *s = server_of(nbj__list_first(&(p)->servers)); s != NULL; \
         s = server_of(nbj__list_after(&(p)->servers, &s->node)))

static void forget_secrets(const nbj_allocator *a, nbj__server *s)
{
    nbj__wipe_text(a, s->password);
    nbj__wipe_text(a, s->token);
    s->password = s->token = NULL;
}

static void free_server(nbj__pool *p, nbj__server *s)
{
    const nbj_allocator *a = p->cfg.alloc;

    nbj__list_remove(&s->node);
    forget_secrets(a, s);
    nbj__free_text(a, s->host);
    nbj__free_text(a, s->tls_name);
    nbj__free_text(a, s->user);
    nbj__free(a, s, sizeof *s);
    p->count--;
}

/* A decoded copy of a URL's user or password. NBJ_E_BAD_URL: it holds a NUL. */
static nbj_status decode(const nbj_allocator *a, nbj_bytes text, char **out)
{
    char *wide = nbj__copy_text(a, text);

    if (wide == NULL)
        return NBJ_E_NOMEM;
    size_t n = nbj__url_decode(text, (uint8_t *)wide); /* never longer than |text|: in place of it */
    bool is_text = memchr(wide, '\0', n) == NULL;
    *out = is_text ? nbj__copy_text(a, nbj_view(wide, n)) : NULL;
    memset(wide, 'x', text.len); /* its length is that of the text again, for wiping it */
    nbj__wipe_text(a, wide);
    return *out != NULL ? NBJ_OK : is_text ? NBJ_E_NOMEM : NBJ_E_BAD_URL;
}

static nbj_status copy_credentials(const nbj_allocator *a, nbj__server *s, const nbj__url *url)
{
    nbj_status st = NBJ_OK;

    if (url->user.len > 0)
        st = decode(a, url->user, url->has_password ? &s->user : &s->token);
    if (st == NBJ_OK && url->has_password)
        st = decode(a, url->password, &s->password);
    return st;
}

static nbj_status add(nbj__pool *p, const nbj__url *url, bool implicit, nbj__server **out)
{
    const nbj_allocator *a = p->cfg.alloc;
    nbj__server *s = nbj__alloc0(a, sizeof *s);

    if (s == NULL)
        return NBJ_E_NOMEM;
    s->port = url->port;
    s->tls = url->tls;
    s->implicit = implicit;
    nbj__list_push(&p->servers, &s->node);
    p->count++;
    s->host = nbj__copy_text(a, url->host);
    nbj_status st = s->host != NULL ? copy_credentials(a, s, url) : NBJ_E_NOMEM;
    if (st != NBJ_OK)
        free_server(p, s);
    else
        *out = s;
    return st;
}

static nbj__server *find(const nbj__pool *p, const nbj__url *url)
{
    FOR_EACH_SERVER(p, s)
    {
        if (s->port == url->port && nbj_bytes_equal(nbj_str(s->host), url->host))
            return s;
    }
    return NULL;
}

/* The |i|-th node; the list's head for i == count. */
static nbj__node *place_at(nbj__pool *p, uint64_t i)
{
    nbj__node *n = p->servers.head.next;

    while (i-- > 0)
        n = n->next;
    return n;
}

/* Moves |s| to a random place, behind at least |from| others. */
static void move_at_random(nbj__pool *p, nbj__server *s, uint64_t from)
{
    if (p->cfg.no_randomize)
        return;
    nbj__list_remove(&s->node);
    uint64_t others = p->count - 1;
    uint64_t at = from < others ? from + nbj__random_below(p->cfg.random, others - from + 1) : others;
    nbj__list_insert_before(place_at(p, at), &s->node);
}

/* The part of |list| from its last '@' that |url|, which is a part of it, may show: a password may hold a comma, which
 * ends a URL too early, so where credentials are given only what stands behind the last of them is surely none. */
static nbj_bytes without_user(nbj_bytes url, nbj_bytes list)
{
    const uint8_t *from = url.ptr;

    for (const uint8_t *p = list.ptr; p < list.ptr + list.len; p++) {
        if (*p == '@')
            from = p + 1 > from ? p + 1 : from;
    }
    return from < url.ptr + url.len ? nbj_view(from, (size_t)(url.ptr + url.len - from)) : nbj_str("***");
}

static nbj_status bad_url(nbj_bytes text, nbj_bytes list, const char *why, nbj_error *error)
{
    char shown[200];
    nbj__text t = nbj__text_into(shown, sizeof shown);

    nbj__text_add_bytes(&t, without_user(text, list));
    return nbj__error_set(error, NBJ_E_BAD_URL, "server URL \"", shown, "\": ", why, "; it should look like ",
                          "nats://host:4222", (char *)NULL);
}

nbj_status nbj__pool_init(nbj__pool *p, const nbj__pool_config *cfg, nbj_bytes urls, nbj_error *error)
{
    nbj_status st = NBJ_OK;
    nbj_bytes list = urls;
    nbj_bytes text;

    *p = (nbj__pool){ .cfg = *cfg };
    nbj__list_init(&p->servers);
    while (st == NBJ_OK && nbj__url_take(&urls, &text)) {
        nbj__url url;
        const char *why = "";
        nbj__server *s = NULL;
        st = nbj__url_parse(text, &url, &why);
        if (st != NBJ_OK) {
            st = bad_url(text, list, why, error);
        } else if (find(p, &url) == NULL) {
            st = p->count < NBJ__POOL_MAX ? add(p, &url, false, &s) : NBJ_E_FULL;
            if (st == NBJ_OK)
                move_at_random(p, s, 0);
            else if (st == NBJ_E_BAD_URL)
                bad_url(text, list, "its user or password holds a NUL", error);
            else
                nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
        }
    }
    if (st == NBJ_OK && p->count == 0)
        st = nbj__error_set(error, NBJ_E_BAD_URL, "no server URL was given; for example nats://localhost:4222",
                            (char *)NULL);
    if (st != NBJ_OK)
        nbj__pool_free(p);
    return st;
}

void nbj__pool_forget_secrets(nbj__pool *p)
{
    FOR_EACH_SERVER(p, s)
    {
        forget_secrets(p->cfg.alloc, s);
    }
}

void nbj__pool_free(nbj__pool *p)
{
    if (p->cfg.alloc == NULL)
        return;
    while (!nbj__list_is_empty(&p->servers))
        free_server(p, server_of(nbj__list_first(&p->servers)));
}

void nbj__pool_move_last(nbj__pool *p, nbj__server *s)
{
    nbj__list_remove(&s->node);
    nbj__list_push(&p->servers, &s->node);
}

nbj__server *nbj__pool_next(nbj__pool *p, nbj_time now, nbj_time *when)
{
    nbj__server *best = NULL;

    FOR_EACH_SERVER(p, s)
    {
        if (best == NULL || s->not_before < best->not_before)
            best = s;
        if (s->not_before <= now) {
            best = s;
            break;
        }
    }
    if (best == NULL)
        return NULL;
    *when = best->not_before > now ? best->not_before : now;
    nbj__pool_move_last(p, best);
    return best;
}

bool nbj__pool_has_untried(const nbj__pool *p)
{
    FOR_EACH_SERVER(p, s)
    {
        if (!s->tried)
            return true;
    }
    return false;
}

bool nbj__pool_has_other(const nbj__pool *p, const nbj__server *current, nbj_time now)
{
    FOR_EACH_SERVER(p, s)
    {
        if (s != current && s->not_before <= now)
            return true;
    }
    return false;
}

bool nbj__pool_failed(nbj__pool *p, nbj__server *s, nbj_time now)
{
    uint64_t limit = p->cfg.first_wait_ns;

    s->failures++;
    if (p->cfg.max_attempts > 0 && s->failures >= p->cfg.max_attempts) {
        free_server(p, s);
        return false;
    }
    for (uint32_t i = 1; i < s->failures && limit < p->cfg.max_wait_ns; i++)
        limit = nbj__time_add(limit, limit);
    limit = nbj__time_min(limit, p->cfg.max_wait_ns);
    s->not_before = nbj__time_add(now, nbj__random_below(p->cfg.random, nbj__time_add(limit, 1)));
    return true;
}

void nbj__pool_was_healthy(nbj__server *s)
{
    s->failures = 0;
    s->not_before = 0;
}

static bool is_named(const nbj__info *info, const nbj__server *s)
{
    for (size_t i = 0; i < info->connect_url_count; i++) {
        nbj__url url;
        const char *why;
        if (nbj__url_parse(nbj_str(info->connect_urls[i]), &url, &why) == NBJ_OK && url.port == s->port &&
            nbj_bytes_equal(url.host, nbj_str(s->host)))
            return true;
    }
    return false;
}

static void drop_vanished(nbj__pool *p, const nbj__info *info, const nbj__server *current)
{
    nbj__server *next;

    for (nbj__server *s = server_of(nbj__list_first(&p->servers)); s != NULL; s = next) {
        next = server_of(nbj__list_after(&p->servers, &s->node));
        if (s->implicit && s != current && !is_named(info, s))
            free_server(p, s);
    }
}

const char *nbj__server_tls_name(const nbj__server *s)
{
    return s->tls_name != NULL ? s->tls_name : s->host;
}

/* NULL is copied as NULL. */
static bool copy_if_any(const nbj_allocator *a, const char *from, char **to)
{
    *to = from != NULL ? nbj__copy_text(a, nbj_str(from)) : NULL;
    return from == NULL || *to != NULL;
}

/* The name to verify a server found at |url| by, where it is not its own. */
static const char *inherited_tls_name(const nbj__url *url, const nbj__server *from)
{
    const char *name = nbj__server_tls_name(from);

    return nbj__host_is_address(url->host) && !nbj__host_is_address(nbj_str(name)) ? name : NULL;
}

/* A discovered server is reached as the one that named it: same scheme, same credentials. */
static nbj_status add_discovered(nbj__pool *p, const nbj__url *url, const nbj__server *from, bool tls)
{
    nbj__server *s = NULL;
    nbj__url as_named = *url;

    as_named.tls = tls;
    as_named.user = as_named.password = nbj_view(NULL, 0);
    as_named.has_password = false;
    nbj_status st = add(p, &as_named, true, &s);
    if (st != NBJ_OK)
        return st;
    const nbj_allocator *a = p->cfg.alloc;
    if (!copy_if_any(a, from->user, &s->user) || !copy_if_any(a, from->password, &s->password) ||
        !copy_if_any(a, from->token, &s->token) || !copy_if_any(a, inherited_tls_name(url, from), &s->tls_name)) {
        free_server(p, s);
        return NBJ_E_NOMEM;
    }
    move_at_random(p, s, 1); /* not first: the caller's own servers keep their precedence */
    return NBJ_OK;
}

nbj_status nbj__pool_discover(nbj__pool *p, const nbj__info *info, const nbj__server *current, bool *added)
{
    nbj_status st = NBJ_OK;

    *added = false;
    if (!info->has_connect_urls || info->connect_url_count == 0)
        return NBJ_OK;
    drop_vanished(p, info, current);
    for (size_t i = 0; i < info->connect_url_count && st == NBJ_OK && p->count < NBJ__POOL_MAX; i++) {
        nbj__url url;
        const char *why;
        if (nbj__url_parse(nbj_str(info->connect_urls[i]), &url, &why) != NBJ_OK || find(p, &url) != NULL)
            continue;
        st = add_discovered(p, &url, current, current->tls || info->tls_required);
        *added = *added || st == NBJ_OK;
    }
    return st;
}
