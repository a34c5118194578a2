/* SPDX-License-Identifier: Apache-2.0 */
/* Recomputable payloads: see payload.h. */
#include "payload.h"

#include <string.h>

#include "rng.h"

void payload_make(buf *out, char kind, uint64_t id, size_t size)
{
    size_t start = buf_len(out);
    rng r = { id * 256 + (unsigned char)kind };
    buf_printf(out, "%c%llu:", kind, (unsigned long long)id);
    while (buf_len(out) - start < size) {
        uint64_t octets = rng_next(&r);
        size_t left = size - (buf_len(out) - start);
        buf_put(out, &octets, left < sizeof octets ? left : sizeof octets);
    }
}

bool payload_read(str data, char *kind, uint64_t *id)
{
    str rest = str_skip(data, 1);
    if (data.len < 3 || memchr(rest.ptr, ':', rest.len) == NULL)
        return false;
    *kind = data.ptr[0];
    return str_u64(str_cut(&rest, ':'), UINT64_MAX, id);
}

bool payload_is(str data, char kind, uint64_t id, size_t size)
{
    buf want = { 0 };
    payload_make(&want, kind, id, size);
    bool same = str_eq(data, buf_view(&want));
    buf_free(&want);
    return same;
}
