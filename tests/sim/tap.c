/* SPDX-License-Identifier: Apache-2.0 */
/* Listens to a client's operations: see tap.h. */
#include "tap.h"

#include <string.h>

static bool take_one(tap *t)
{
    client_op op;
    str in = buf_view(&t->in);
    const char *end = in.len > t->seen ? memchr(in.ptr + t->seen, '\n', in.len - t->seen) : NULL;
    if (end == NULL) {
        t->seen = in.len;
        return false;
    }
    size_t line = (size_t)(end - in.ptr) + 1;
    t->seen = line - 1;
    if (line < 2 || in.ptr[line - 2] != '\r') {
        t->error = "line without CRLF";
        return false;
    }
    t->error = parse_client_op((str){ in.ptr, line - 2 }, &op);
    if (t->error != NULL)
        return false;
    size_t body = op.verb == OP_PUB || op.verb == OP_HPUB ? (size_t)op.total + 2 : 0;
    if (in.len < line + body)
        return false;
    if (body > 0 && memcmp(in.ptr + line + body - 2, "\r\n", 2) != 0) {
        t->error = "payload without CRLF";
        return false;
    }
    str whole = { in.ptr + line, body > 0 ? body - 2 : 0 };
    size_t header = (size_t)op.header_len <= whole.len ? (size_t)op.header_len : 0;
    t->heard(t->user, &op, (str){ whole.ptr, header }, (str){ whole.ptr + header, whole.len - header });
    buf_drop(&t->in, line + body);
    t->seen = 0;
    return true;
}

void tap_write(tap *t, const void *data, size_t len)
{
    if (t->error != NULL)
        return;
    buf_put(&t->in, data, len);
    while (t->error == NULL && take_one(t))
        ;
}

bool tap_is_between(const tap *t)
{
    return buf_len(&t->in) == 0;
}

void tap_reset(tap *t)
{
    buf_clear(&t->in);
    t->seen = 0;
}

void tap_free(tap *t)
{
    buf_free(&t->in);
}
