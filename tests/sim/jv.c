/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON reader and small writers: see jv.h. */
#define _POSIX_C_SOURCE 200809L /* gmtime_r */
#include "jv.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEPTH_MAX 32
#define BLOCK_SIZE 2048

struct jv_block {
    struct jv_block *next;
    size_t used, size;
    char mem[];
};

typedef struct reader {
    const char *at, *end;
    jv_doc *doc;
} reader;

static void *take(jv_doc *doc, size_t size)
{
    struct jv_block *b = doc->blocks;
    size = (size + 15) & ~(size_t)15;
    if (b == NULL || b->size - b->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        b = sim_alloc(sizeof *b + room);
        b->size = room;
        b->next = doc->blocks;
        doc->blocks = b;
    }
    b->used += size;
    return b->mem + b->used - size;
}

static bool fail(reader *r, const char *why)
{
    if (r->doc->error == NULL)
        r->doc->error = why;
    return false;
}

static void skip_space(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool eat(reader *r, char c)
{
    if (r->at >= r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool hex4(reader *r, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        static const char digits[] = "0123456789abcdef";
        char c = r->at < r->end ? *r->at : '\0';
        const char *d = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        if (d == NULL)
            return fail(r, "bad \\u escape");
        *out = *out * 16 + (uint32_t)(d - digits);
    }
    return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80)
        return out[0] = (char)c, 1;
    if (c < 0x800)
        return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)), out[2] = (char)(0x80 | (c & 63)),
               3;
    return out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 63)),
           out[2] = (char)(0x80 | (c >> 6 & 63)), out[3] = (char)(0x80 | (c & 63)), 4;
}

/* After "\u": one code point, from a surrogate pair where needed. */
static bool read_unicode(reader *r, uint32_t *c)
{
    uint32_t low;
    if (!hex4(r, c))
        return false;
    if (*c >= 0xdc00 && *c < 0xe000)
        return fail(r, "lone surrogate");
    if (*c < 0xd800 || *c >= 0xe000)
        return true;
    if (!eat(r, '\\') || !eat(r, 'u') || !hex4(r, &low) || low < 0xdc00 || low >= 0xe000)
        return fail(r, "lone surrogate");
    *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool read_text(reader *r, str *out)
{
    if (!eat(r, '"'))
        return fail(r, "text expected");
    const char *close = r->at;
    while (close < r->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= r->end)
        return fail(r, "text without end");
    char *to = take(r->doc, (size_t)(close - r->at) + 1);
    out->ptr = to;
    while (r->at < close) {
        static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
        unsigned char c = (unsigned char)*r->at++;
        uint32_t code;
        if (c < 0x20)
            return fail(r, "control character in text");
        if (c != '\\') {
            *to++ = (char)c;
            continue;
        }
        char e = *r->at++;
        const char *plain = e != '\0' ? strchr(from, e) : NULL;
        if (plain != NULL)
            *to++ = into[plain - from];
        else if (e == 'u' && read_unicode(r, &code))
            to += put_utf8(to, code);
        else
            return fail(r, "bad escape");
    }
    r->at = close + 1;
    out->len = (size_t)(to - out->ptr);
    return true;
}

static size_t skip_digits(reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - from);
}

static bool read_number(reader *r, jv *v)
{
    const char *from = r->at;
    eat(r, '-');
    const char *first = r->at;
    size_t digits = skip_digits(r);
    if (digits == 0 || (digits > 1 && *first == '0'))
        return fail(r, "bad number");
    v->kind = JV_INT;
    if (eat(r, '.') && (v->kind = JV_REAL, skip_digits(r) == 0))
        return fail(r, "bad number");
    if (eat(r, 'e') || eat(r, 'E')) {
        v->kind = JV_REAL;
        if (!eat(r, '-'))
            eat(r, '+');
        if (skip_digits(r) == 0)
            return fail(r, "bad number");
    }
    v->text = (str){ from, (size_t)(r->at - from) };
    if (v->kind == JV_INT) {
        uint64_t n;
        if (!str_u64((str){ first, digits }, UINT64_MAX, &n))
            return fail(r, "number too large");
        v->num = (int64_t)(*from == '-' ? 0 - n : n);
    }
    return true;
}

static bool read_value(reader *r, jv *v, int depth);

static bool read_members(reader *r, jv *v, int depth, bool named, char close)
{
    jv **tail = &v->child;
    skip_space(r);
    if (eat(r, close))
        return true;
    do {
        jv *m = take(r->doc, sizeof *m);
        skip_space(r);
        if (named) {
            if (!read_text(r, &m->key))
                return false;
            for (const jv *o = v->child; o != NULL; o = o->next)
                if (str_eq(o->key, m->key))
                    return fail(r, "duplicate key");
            skip_space(r);
            if (!eat(r, ':'))
                return fail(r, "colon expected");
        }
        if (!read_value(r, m, depth + 1))
            return false;
        *tail = m;
        tail = &m->next;
        skip_space(r);
    } while (eat(r, ','));
    return eat(r, close) || fail(r, "unexpected end or character");
}

static bool read_word(reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return fail(r, "unknown word");
    r->at += n;
    return true;
}

static bool read_value(reader *r, jv *v, int depth)
{
    if (depth > DEPTH_MAX)
        return fail(r, "too deep");
    skip_space(r);
    if (r->at >= r->end)
        return fail(r, "unexpected end");
    switch (*r->at) {
    case '{':
        r->at++;
        v->kind = JV_OBJECT;
        return read_members(r, v, depth, true, '}');
    case '[':
        r->at++;
        v->kind = JV_LIST;
        return read_members(r, v, depth, false, ']');
    case '"':
        v->kind = JV_TEXT;
        return read_text(r, &v->text);
    case 't':
        v->kind = JV_BOOL;
        v->num = 1;
        return read_word(r, "true");
    case 'f':
        v->kind = JV_BOOL;
        return read_word(r, "false");
    case 'n':
        return read_word(r, "null");
    default:
        return read_number(r, v);
    }
}

jv_doc jv_parse(str text)
{
    jv_doc doc = { 0 };
    reader r = { text.ptr, text.ptr + text.len, &doc };
    doc.root = take(&doc, sizeof *doc.root);
    if (read_value(&r, doc.root, 0)) {
        skip_space(&r);
        if (r.at != r.end)
            fail(&r, "something after the value");
    }
    return doc;
}

void jv_free(jv_doc *doc)
{
    while (doc->blocks != NULL) {
        struct jv_block *b = doc->blocks;
        doc->blocks = b->next;
        free(b);
    }
    *doc = (jv_doc){ 0 };
}

const jv *jv_get(const jv *object, const char *key)
{
    if (object == NULL || object->kind != JV_OBJECT)
        return NULL;
    for (const jv *m = object->child; m != NULL; m = m->next)
        if (str_is(m->key, key))
            return m;
    return NULL;
}

str jv_str(const jv *object, const char *key)
{
    const jv *v = jv_get(object, key);
    return v != NULL && v->kind == JV_TEXT ? v->text : (str){ "", 0 };
}

int64_t jv_int(const jv *object, const char *key, int64_t otherwise)
{
    const jv *v = jv_get(object, key);
    return v != NULL && v->kind == JV_INT ? v->num : otherwise;
}

bool jv_true(const jv *object, const char *key)
{
    const jv *v = jv_get(object, key);
    return v != NULL && v->kind == JV_BOOL && v->num != 0;
}

void jv_write_text(buf *out, str text)
{
    buf_put(out, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_put(out, &c, 1);
    }
    buf_put(out, "\"", 1);
}

void jv_write_base64(buf *out, str data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < data.len; i += 3) {
        size_t n = data.len - i < 3 ? data.len - i : 3;
        uint32_t v = 0;
        char four[4];
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (k < n ? (unsigned char)data.ptr[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            four[k] = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
        buf_put(out, four, 4);
    }
}

void jv_write_time(buf *out, uint64_t unix_ns)
{
    time_t seconds = (time_t)(unix_ns / 1000000000u);
    struct tm tm;
    if (unix_ns == 0) {
        buf_text(out, "\"0001-01-01T00:00:00Z\"");
        return;
    }
    gmtime_r(&seconds, &tm);
    buf_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
               tm.tm_min, tm.tm_sec);
    if (unix_ns % 1000000000u != 0) { /* Go prints no trailing zeros */
        buf_printf(out, ".%09u", (unsigned)(unix_ns % 1000000000u));
        while (out->mem[out->end - 1] == '0')
            out->end--;
    }
    buf_text(out, "Z\"");
}
