/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/channel.h"

#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define CIPHER_CAP 32768u

void nbj__channel_init(nbj__channel *c, const nbj_allocator *alloc)
{
    *c = (nbj__channel){ .alloc = alloc, .fd = -1 };
}

void nbj__channel_adopt(nbj__channel *c, int fd)
{
    nbj__channel_close(c);
    c->fd = fd;
}

static ssize_t send_octets(const nbj__channel *c, nbj_bytes octets)
{
    return send(c->fd, octets.ptr, octets.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void end_tls(nbj__channel *c)
{
    if (c->tls == NULL)
        return;
    nbj__tls_close(c->tls);
    nbj_bytes output = nbj__tls_output(c->tls); /* the farewell, or an alert that says what we do not like */
    if (output.len > 0)
        (void)send_octets(c, output);
    nbj__tls_free(c->tls);
    nbj__free(c->alloc, c->cipher, CIPHER_CAP);
    c->tls = NULL;
    c->cipher = NULL;
    c->is_shaking = false;
}

void nbj__channel_close(nbj__channel *c)
{
    end_tls(c);
    if (c->fd >= 0) {
        (void)shutdown(c->fd, SHUT_RDWR); /* ends the connection even where a forked child has a copy of the socket */
        close(c->fd);
    }
    c->fd = -1;
}

nbj_status nbj__channel_start_tls(nbj__channel *c, const nbj__tls_options *options, nbj_error *error)
{
    c->cipher = nbj__alloc(c->alloc, CIPHER_CAP);
    if (c->cipher == NULL)
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    nbj_status st = nbj__tls_new(&c->tls, options, error);
    if (st != NBJ_OK) {
        nbj__free(c->alloc, c->cipher, CIPHER_CAP);
        c->cipher = NULL;
        return st;
    }
    c->is_shaking = true;
    st = nbj__tls_handshake(c->tls);
    if (st >= NBJ_OK)
        return NBJ_OK;
    if (error != NULL)
        *error = *nbj__tls_error(c->tls);
    return st;
}

/* --- receiving --- */

static nbj__received receive_octets(const nbj__channel *c, uint8_t *at, size_t room)
{
    ssize_t n = recv(c->fd, at, room, MSG_DONTWAIT);

    if (n > 0)
        return (nbj__received){ .len = (size_t)n, .may_have_more = (size_t)n == room };
    if (n == 0)
        return (nbj__received){ .status = NBJ_E_EOF };
    if (errno == EAGAIN || errno == EINTR)
        return (nbj__received){ .status = NBJ_MORE, .may_have_more = errno == EINTR };
    return (nbj__received){ .status = errno == ECONNRESET ? NBJ_E_EOF : NBJ_E_IO, .error = errno };
}

/* What TLS has to offer of what it was given. */
static nbj_status take_plain(nbj__channel *c, uint8_t *at, size_t room, nbj__received *r)
{
    r->len = 0;
    if (!c->is_shaking)
        return nbj__tls_read(c->tls, at, room, &r->len);
    nbj_status st = nbj__tls_handshake(c->tls);
    c->is_shaking = st != NBJ_OK;
    return st;
}

/* Whether TLS holds something after it has offered |r|: more than there was room for, or how it ended. */
static bool holds_more(const nbj__channel *c, const nbj__received *r, size_t room)
{
    return r->len == room || nbj__tls_status(c->tls) != NBJ_OK;
}

static nbj__received receive_tls(nbj__channel *c, uint8_t *at, size_t room)
{
    nbj__received r = { .may_have_more = true };
    size_t taken = 0;

    r.status = take_plain(c, at, room, &r);
    if (r.status != NBJ_MORE)
        return r;
    nbj__received raw = receive_octets(c, c->cipher, CIPHER_CAP);
    if (raw.status == NBJ_MORE)
        return raw;
    if (raw.status == NBJ_OK)
        (void)nbj__tls_put(c->tls, nbj_view(c->cipher, raw.len), &taken); /* all: it has read what came before */
    else
        nbj__tls_end(c->tls);
    r.status = take_plain(c, at, room, &r);
    r.error = raw.error;
    r.may_have_more = r.status == NBJ_MORE || raw.may_have_more || holds_more(c, &r, room);
    if (r.status == NBJ_E_EOF && raw.status == NBJ_E_IO)
        r.status = NBJ_E_IO;
    return r;
}

nbj__received nbj__channel_receive(nbj__channel *c, uint8_t *at, size_t room)
{
    return c->tls != NULL ? receive_tls(c, at, room) : receive_octets(c, at, room);
}

const char *nbj__channel_end_text(const nbj__channel *c, const nbj__received *r)
{
    if (c->tls != NULL && nbj__tls_status(c->tls) == r->status)
        return nbj__tls_error(c->tls)->text;
    return r->error == ECONNRESET ? "the connection was reset" : NULL;
}

/* --- sending --- */

nbj_status nbj__channel_send(nbj__channel *c, nbj_bytes octets, size_t *taken)
{
    nbj_bytes out = octets;

    *taken = 0;
    if (c->tls != NULL) {
        nbj_status st = nbj__tls_write(c->tls, octets, taken); /* none before the handshake is done */
        out = nbj__tls_output(c->tls);                         /* an alert, if that failed */
        if (out.len == 0)
            return st;
    }
    ssize_t n = send_octets(c, out);
    if (n < 0)
        return errno == EAGAIN ? NBJ_MORE : errno == EINTR ? NBJ_OK : NBJ_E_IO;
    if (c->tls != NULL)
        nbj__tls_sent(c->tls, (size_t)n);
    else
        *taken = (size_t)n;
    return (size_t)n < out.len ? NBJ_MORE : NBJ_OK; /* asked again at once it would take a few octets each time */
}

bool nbj__channel_has_output(const nbj__channel *c)
{
    return c->tls != NULL && nbj__tls_has_output(c->tls);
}
