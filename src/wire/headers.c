/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/headers.h"

#include "base/text.h"
#include "wire/words.h"

static const char version_line[] = "NATS/1.0";
#define VERSION_LEN (sizeof version_line - 1)

/* Takes the line up to LF out of |rest|, without its CR. False: no LF is left. */
static bool take_line(nbj_bytes *rest, nbj_bytes *line)
{
    const uint8_t *lf = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;

    if (lf == NULL)
        return false;
    size_t len = (size_t)(lf - rest->ptr);
    *line = nbj_view(rest->ptr, len > 0 && lf[-1] == '\r' ? len - 1 : len);
    *rest = nbj_view(lf + 1, rest->len - len - 1);
    return true;
}

/* " 503 No Responders" after the version; a status that is not three digits is none. */
static void read_status(nbj__header_reader *r, nbj_bytes after)
{
    uint64_t status = 0;

    after = nbj__trim(after);
    if (after.len < 3 || (after.len > 3 && !nbj__is_blank(after.ptr[3])))
        return;
    if (!nbj__parse_u64(nbj_view(after.ptr, 3), 999, &status) || status < 100)
        return;
    r->status = (uint16_t)status;
    r->description = nbj__trim(nbj_view(after.ptr + 3, after.len - 3));
}

nbj_status nbj__headers_open(nbj__header_reader *r, nbj_bytes block)
{
    nbj_bytes line;

    *r = (nbj__header_reader){ .rest = block };
    if (!take_line(&r->rest, &line) || line.len < VERSION_LEN || memcmp(line.ptr, version_line, VERSION_LEN) != 0)
        return NBJ_E_PROTO;
    nbj_bytes after = nbj_view(line.ptr + VERSION_LEN, line.len - VERSION_LEN);
    if (after.len > 0 && !nbj__is_blank(after.ptr[0]))
        return NBJ_E_PROTO; /* another version */
    read_status(r, after);
    return NBJ_OK;
}

nbj_status nbj__headers_next(nbj__header_reader *r, nbj_header *out)
{
    nbj_bytes line;

    while (take_line(&r->rest, &line)) {
        if (line.len == 0)
            return NBJ_MORE;
        const uint8_t *colon = memchr(line.ptr, ':', line.len);
        if (colon == NULL)
            return NBJ_E_PROTO;
        size_t name_len = (size_t)(colon - line.ptr);
        if (name_len == 0)
            continue;
        out->name = nbj_view(line.ptr, name_len);
        out->value = nbj__trim(nbj_view(colon + 1, line.len - name_len - 1));
        return NBJ_OK;
    }
    return NBJ_E_PROTO;
}

nbj_status nbj__headers_find(nbj_bytes block, nbj_bytes name, nbj_bytes *value)
{
    nbj__header_reader r;
    nbj_header h;
    nbj_status st;

    *value = nbj_view(NULL, 0);
    if (block.len == 0)
        return NBJ_E_NOT_FOUND;
    st = nbj__headers_open(&r, block);
    while (st == NBJ_OK && (st = nbj__headers_next(&r, &h)) == NBJ_OK) {
        if (nbj_bytes_equal(h.name, name)) {
            *value = h.value;
            return NBJ_OK;
        }
    }
    return st == NBJ_MORE ? NBJ_E_NOT_FOUND : st;
}

static inline bool ends_value(uint8_t c)
{
    return c == '\r' || c == '\n' || c == '\0';
}

bool nbj__header_value_is_legal(nbj_bytes value)
{
    size_t i = 0;

    for (; value.len - i >= 8; i += 8) { /* eight at a time, as long as none of them is less than a CR, or one */
        uint64_t eight;
        memcpy(&eight, value.ptr + i, sizeof eight);
        if (((eight - 0x0e0e0e0e0e0e0e0eu) & ~eight & 0x8080808080808080u) != 0)
            break;
    }
    for (; i < value.len; i++) {
        if (ends_value(value.ptr[i]))
            return false;
    }
    return true;
}

bool nbj__header_is_legal(const nbj_header *h)
{
    if (h->name.len == 0)
        return false;
    for (size_t n = 0; n < h->name.len; n++) {
        uint8_t c = h->name.ptr[n];
        if (c <= 0x20 || c >= 0x7f || c == ':')
            return false;
    }
    return nbj__header_value_is_legal(h->value);
}

size_t nbj__headers_size(const nbj_header *h, size_t n)
{
    size_t size = VERSION_LEN + 4; /* its CRLF and the final one */

    for (size_t i = 0; i < n; i++)
        size += h[i].name.len + h[i].value.len + 4;
    return n > 0 ? size : 0;
}

static uint8_t *copy(uint8_t *out, const void *ptr, size_t len)
{
    if (len > 0)
        memcpy(out, ptr, len);
    return out + len;
}

uint8_t *nbj__headers_write(uint8_t *out, const nbj_header *h, size_t n)
{
    if (n == 0)
        return out;
    out = copy(out, version_line, VERSION_LEN);
    out = copy(out, "\r\n", 2);
    for (size_t i = 0; i < n; i++) {
        out = copy(out, h[i].name.ptr, h[i].name.len);
        out = copy(out, ": ", 2);
        out = copy(out, h[i].value.ptr, h[i].value.len);
        out = copy(out, "\r\n", 2);
    }
    return copy(out, "\r\n", 2);
}
