/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/url.h"

#include "base/text.h"
#include "wire/words.h"

static nbj_bytes after(nbj_bytes b, size_t n)
{
    return n > 0 ? nbj_view(b.ptr + n, b.len - n) : b; /* the pointer of an empty view may be NULL */
}

static bool take_scheme(nbj_bytes *rest, nbj__url *out, const char **why)
{
    for (size_t i = 0; i + 2 < rest->len; i++) {
        if (memcmp(rest->ptr + i, "://", 3) != 0)
            continue;
        if (nbj__starts_with_nocase(*rest, "tls://"))
            out->tls = true;
        else if (!nbj__starts_with_nocase(*rest, "nats://")) {
            *why = nbj__starts_with_nocase(*rest, "ws") ? "WebSocket URLs are not supported; use nats:// or tls://"
                                                        : "the scheme must be nats:// or tls://";
            return false;
        }
        *rest = after(*rest, i + 3);
        return true;
    }
    return true;
}

/* What stands before the last '@': passwords may hold one. */
static void take_user(nbj_bytes *rest, nbj__url *out)
{
    size_t at = rest->len;

    while (at > 0 && rest->ptr[at - 1] != '@')
        at--;
    if (at == 0)
        return;
    nbj_bytes user = nbj_view(rest->ptr, at - 1);
    const uint8_t *colon = user.len > 0 ? memchr(user.ptr, ':', user.len) : NULL;
    out->has_password = colon != NULL;
    out->user = colon != NULL ? nbj_view(user.ptr, (size_t)(colon - user.ptr)) : user;
    if (colon != NULL)
        out->password = after(user, out->user.len + 1);
    *rest = after(*rest, at);
}

/* "host", "[::1]" or a bare IPv6 address, which has more than one colon and can carry no port. */
static bool take_host(nbj_bytes *rest, nbj__url *out, const char **why)
{
    const uint8_t *colon;

    if (rest->len > 0 && rest->ptr[0] == '[') {
        const uint8_t *close = memchr(rest->ptr, ']', rest->len);
        if (close == NULL) {
            *why = "a '[' without its ']'";
            return false;
        }
        out->host = nbj_view(rest->ptr + 1, (size_t)(close - rest->ptr) - 1);
        *rest = after(*rest, out->host.len + 2);
        return true;
    }
    colon = rest->len > 0 ? memchr(rest->ptr, ':', rest->len) : NULL;
    if (colon != NULL && memchr(colon + 1, ':', rest->len - (size_t)(colon - rest->ptr) - 1) != NULL)
        colon = NULL;
    out->host = nbj_view(rest->ptr, colon != NULL ? (size_t)(colon - rest->ptr) : rest->len);
    *rest = after(*rest, out->host.len);
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = nbj__upper(c);
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "2001:db8::1", "::ffff:10.0.0.1", "fe80::1%eth0": what the resolver will judge, not "host:4222:4223". */
static bool looks_like_ipv6(nbj_bytes host)
{
    for (size_t i = 0; i < host.len && host.ptr[i] != '%'; i++) {
        if (hex_digit(host.ptr[i]) < 0 && host.ptr[i] != ':' && host.ptr[i] != '.')
            return false;
    }
    return true;
}

static bool host_is_legal(nbj_bytes host, const char **why)
{
    *why = host.len == 0 ? "the host is missing" : "the host name is too long";
    if (host.len == 0 || host.len > NBJ__HOST_MAX)
        return false;
    *why = "the host holds a character that no host name has";
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.ptr[i];
        if (c <= 0x20 || c >= 0x7f || memchr("/@[]\"'<>\\^`{|},;?#", c, 18) != NULL)
            return false;
    }
    *why = "more than one ':', but no IPv6 address";
    return memchr(host.ptr, ':', host.len) == NULL || looks_like_ipv6(host);
}

static bool take_port(nbj_bytes rest, nbj__url *out, const char **why)
{
    uint64_t port = NBJ__DEFAULT_PORT;

    if (rest.len > 0 && (rest.ptr[0] != ':' || !nbj__parse_u64(after(rest, 1), 65535, &port) || port == 0)) {
        *why = "the port must be a number from 1 to 65535";
        return false;
    }
    out->port = (uint16_t)port;
    return true;
}

nbj_status nbj__url_parse(nbj_bytes text, nbj__url *out, const char **why)
{
    nbj_bytes rest = nbj__trim(text);

    *out = (nbj__url){ 0 };
    *why = "";
    if (!take_scheme(&rest, out, why))
        return NBJ_E_BAD_URL;
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    take_user(&rest, out);
    if (!take_host(&rest, out, why) || !host_is_legal(out->host, why) || !take_port(rest, out, why))
        return NBJ_E_BAD_URL;
    *why = "";
    return NBJ_OK;
}

bool nbj__host_is_address(nbj_bytes host)
{
    size_t parts = 1;

    if (host.len > 0 && memchr(host.ptr, ':', host.len) != NULL)
        return true;
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] == '.')
            parts++;
        else if (host.ptr[i] < '0' || host.ptr[i] > '9')
            return false;
    }
    return parts == 4; /* no name ends in a label of digits */
}

bool nbj__url_take(nbj_bytes *list, nbj_bytes *url)
{
    while (list->len > 0) {
        const uint8_t *comma = memchr(list->ptr, ',', list->len);
        size_t len = comma != NULL ? (size_t)(comma - list->ptr) : list->len;
        *url = nbj__trim(nbj_view(list->ptr, len));
        *list = after(*list, comma != NULL ? len + 1 : len);
        if (url->len > 0)
            return true;
    }
    return false;
}

size_t nbj__url_decode(nbj_bytes text, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        int high = text.ptr[i] == '%' && i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;
        if (low >= 0) {
            out[n++] = (uint8_t)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = text.ptr[i];
        }
    }
    return n;
}
