/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_write.h"

#include "base/text.h"

static void put(nbj__json_writer *w, const void *ptr, size_t len)
{
    if (w->status == NBJ_OK)
        w->status = nbj__buf_append(w->out, ptr, len);
}

static void separate(nbj__json_writer *w)
{
    if (!w->first)
        put(w, ",", 1);
    w->first = false;
}

static void put_escaped(nbj__json_writer *w, nbj_bytes text)
{
    static const char hex[16] = "0123456789abcdef";
    size_t plain = 0; /* start of the run that needs no escape */

    put(w, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(w, text.ptr + plain, i - plain);
        plain = i + 1;
        if (c >= 0x20) {
            char two[2] = { '\\', (char)c };
            put(w, two, sizeof two);
        } else {
            char six[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
            put(w, six, sizeof six);
        }
    }
    if (plain < text.len)
        put(w, text.ptr + plain, text.len - plain);
    put(w, "\"", 1);
}

static void put_name(nbj__json_writer *w, const char *name)
{
    separate(w);
    put(w, "\"", 1);
    put(w, name, strlen(name));
    put(w, "\":", 2);
}

nbj__json_writer nbj__json_begin(nbj__buf *out)
{
    nbj__json_writer w = { .out = out, .status = NBJ_OK, .first = true };

    put(&w, "{", 1);
    return w;
}

nbj_status nbj__json_end(nbj__json_writer *w)
{
    put(w, "}", 1);
    return w->status;
}

void nbj__json_put_text(nbj__json_writer *w, const char *name, nbj_bytes text)
{
    put_name(w, name);
    put_escaped(w, text);
}

void nbj__json_put_pair(nbj__json_writer *w, nbj_bytes name, nbj_bytes text)
{
    separate(w);
    put_escaped(w, name);
    put(w, ":", 1);
    put_escaped(w, text);
}

void nbj__json_put_bool(nbj__json_writer *w, const char *name, bool value)
{
    put_name(w, name);
    put(w, value ? "true" : "false", value ? 4 : 5);
}

void nbj__json_put_u64(nbj__json_writer *w, const char *name, uint64_t value)
{
    uint8_t digits[20];

    put_name(w, name);
    put(w, digits, nbj__format_u64(digits, value));
}

void nbj__json_put_i64(nbj__json_writer *w, const char *name, int64_t value)
{
    char digits[24];
    nbj__text t = nbj__text_into(digits, sizeof digits);

    nbj__text_add_i64(&t, value);
    put_name(w, name);
    put(w, digits, t.len);
}

void nbj__json_put_object(nbj__json_writer *w, const char *name)
{
    put_name(w, name);
    put(w, "{", 1);
    w->first = true;
}

void nbj__json_put_array(nbj__json_writer *w, const char *name)
{
    put_name(w, name);
    put(w, "[", 1);
    w->first = true;
}

void nbj__json_item_put_text(nbj__json_writer *w, nbj_bytes text)
{
    separate(w);
    put_escaped(w, text);
}

void nbj__json_item_put_object(nbj__json_writer *w)
{
    separate(w);
    put(w, "{", 1);
    w->first = true;
}

void nbj__json_close(nbj__json_writer *w, char bracket)
{
    put(w, &bracket, 1);
    w->first = false;
}
