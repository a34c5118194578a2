/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include "base/text.h"
#include "wire/words.h"

#include <stdbool.h>

typedef struct verb {
    char name[5];
    uint8_t len;
    uint8_t op;
    uint32_t line_max;
} verb;

static const verb verbs[] = {
    { "MSG", 3, NBJ__OP_MSG, NBJ__LINE_MAX },         { "HMSG", 4, NBJ__OP_HMSG, NBJ__LINE_MAX },
    { "PING", 4, NBJ__OP_PING, NBJ__SHORT_LINE_MAX }, { "PONG", 4, NBJ__OP_PONG, NBJ__SHORT_LINE_MAX },
    { "+OK", 3, NBJ__OP_OK, NBJ__SHORT_LINE_MAX },    { "-ERR", 4, NBJ__OP_ERR, NBJ__LINE_MAX },
    { "INFO", 4, NBJ__OP_INFO, NBJ__INFO_MAX },
};

/* The verb that |in| begins with, or may still become; NULL: none. */
static const verb *find_verb(nbj_bytes in)
{
    for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
        size_t n = in.len < verbs[v].len ? in.len : verbs[v].len;
        size_t same = 0;
        while (same < n && nbj__upper(in.ptr[same]) == (uint8_t)verbs[v].name[same])
            same++;
        if (same == n && (in.len <= n || nbj__is_blank(in.ptr[n]) || in.ptr[n] == '\r' || in.ptr[n] == '\n'))
            return &verbs[v];
    }
    return NULL;
}

/* "<subject> <sid> [reply] <octets>" and, for HMSG, "<subject> <sid> [reply] <header octets> <octets>". */
static bool parse_msg_args(nbj_bytes args, bool with_headers, nbj__frame *f, size_t *headers_len, size_t *total)
{
    nbj_bytes word[6]; /* one more than legal, so that one too many is seen */
    size_t fixed = with_headers ? 4 : 3;
    size_t n = nbj__split_blanks(args, word, fixed + 2);
    uint64_t headers = 0;
    uint64_t octets = 0;

    if (n != fixed && n != fixed + 1)
        return false;
    f->subject = word[0];
    f->reply = n > fixed ? word[2] : nbj_view(NULL, 0);
    if (!nbj__parse_u64(word[1], UINT64_MAX, &f->sid) || !nbj__parse_u64(word[n - 1], NBJ__PAYLOAD_MAX, &octets))
        return false;
    if (with_headers && (!nbj__parse_u64(word[n - 2], NBJ__PAYLOAD_MAX, &headers) || headers > octets))
        return false;
    *headers_len = (size_t)headers;
    *total = (size_t)octets;
    return true;
}

static nbj_status parse_msg(nbj__parser *p, nbj_bytes in, nbj_bytes args, size_t line_len, nbj__frame *f)
{
    size_t headers_len = 0;
    size_t total = 0;

    if (!parse_msg_args(args, f->op == NBJ__OP_HMSG, f, &headers_len, &total))
        return NBJ_E_PROTO;
    p->need = line_len + total + 2;
    if (in.len < p->need)
        return NBJ_MORE;
    const uint8_t *body = in.ptr + line_len;
    if (body[total] != '\r' || body[total + 1] != '\n')
        return NBJ_E_PROTO;
    f->headers = nbj_view(body, headers_len);
    f->payload = nbj_view(body + headers_len, total - headers_len);
    return NBJ_OK;
}

/* Without one pair of quotes and the blanks around it. */
static nbj_bytes unquote(nbj_bytes text)
{
    text = nbj__trim(text);
    if (text.len > 0 && text.ptr[0] == '\'')
        text = nbj_view(text.ptr + 1, text.len - 1);
    if (text.len > 0 && text.ptr[text.len - 1] == '\'')
        text.len--;
    return nbj__trim(text);
}

static nbj_status parse_line(nbj__parser *p, nbj_bytes in, const verb *v, size_t line_len, nbj__frame *f)
{
    size_t end = line_len - 1; /* the LF */
    if (end > v->len && in.ptr[end - 1] == '\r')
        end--;
    nbj_bytes args = nbj_view(in.ptr + v->len, end - v->len);

    if (args.len > 0 && !nbj__is_blank(args.ptr[0]))
        return NBJ_E_PROTO; /* the CR behind the verb was not the end of the line */
    *f = (nbj__frame){ .op = (nbj__verb)v->op };
    p->need = line_len;
    switch (f->op) {
    case NBJ__OP_MSG:
    case NBJ__OP_HMSG:
        return parse_msg(p, in, args, line_len, f);
    case NBJ__OP_INFO:
        f->text = nbj__trim(args);
        return f->text.len > 0 ? NBJ_OK : NBJ_E_PROTO;
    case NBJ__OP_ERR:
        f->text = unquote(args);
        return NBJ_OK;
    case NBJ__OP_PING:
    case NBJ__OP_PONG:
    case NBJ__OP_OK:
        return nbj__split_blanks(args, &args, 1) == 0 ? NBJ_OK : NBJ_E_PROTO;
    }
    return NBJ_E_PROTO;
}

/* The first octet from |p| on that is a blank or a control character; |end| if there is none. */
static const uint8_t *word_end(const uint8_t *p, const uint8_t *end)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; end - p >= 8; p += 8) { /* eight at a time: the lowest bit that is set is of the first such octet */
        uint64_t eight;
        memcpy(&eight, p, sizeof eight);
        uint64_t found = (eight - 0x2121212121212121u) & ~eight & 0x8080808080808080u;
        if (found != 0)
            return p + __builtin_ctzll(found) / 8;
    }
#endif
    while (p<end && * p> ' ')
        p++;
    return p;
}

/* Where a line is read. What reads from it says how far it came, and leaves it where it was when that is nothing. */
typedef struct reading {
    const uint8_t *at, *end;
} reading;

/* A word and the one blank behind it. */
static inline bool read_word(reading *r, nbj_bytes *word)
{
    const uint8_t *e = word_end(r->at, r->end);

    if (e == r->at || e == r->end || *e != ' ')
        return false;
    *word = nbj_view(r->at, (size_t)(e - r->at));
    r->at = e + 1;
    return true;
}

/* A number and |behind|, an octet. */
static inline bool read_number(reading *r, uint8_t behind, uint64_t *number)
{
    const uint8_t *p = r->at;
    uint64_t n = 0;
    unsigned digit;

    while (p < r->end && (digit = *p - (unsigned)'0') <= 9) {
        n = n * 10 + digit;
        p++;
    }
    if (p == r->at || p - r->at > 18 || p == r->end || *p != behind)
        return false;
    r->at = p + 1;
    *number = n;
    return true;
}

/* "[header octets] octets", and the CR. */
static inline bool read_lengths(reading *r, bool with_headers, uint64_t *headers, uint64_t *total)
{
    reading start = *r;

    if ((!with_headers || read_number(r, ' ', headers)) && read_number(r, '\r', total))
        return true;
    *r = start;
    return false;
}

/* A whole MSG or HMSG as servers write it: upper case, one blank between words. False: it is another thing, or not there
 * as a whole, and the careful way says what. */
static bool parse_usual_msg(nbj_bytes in, nbj__frame *f, size_t *used)
{
    reading r = { in.ptr, in.ptr + (in.len < NBJ__LINE_MAX ? in.len : NBJ__LINE_MAX) };
    uint64_t headers = 0;
    uint64_t total = 0;

    if (in.len < 5)
        return false;
    bool with_headers = *r.at == 'H';
    r.at += with_headers;
    if (memcmp(r.at, "MSG ", 4) != 0)
        return false;
    r.at += 4;
    if (!read_word(&r, &f->subject) || !read_number(&r, ' ', &f->sid))
        return false;
    f->reply = nbj_view(NULL, 0);
    if (!read_lengths(&r, with_headers, &headers, &total) &&
        (!read_word(&r, &f->reply) || !read_lengths(&r, with_headers, &headers, &total)))
        return false;
    const uint8_t *body = r.at + 1;
    size_t rest = (size_t)(in.ptr + in.len - r.at);
    if (total > NBJ__PAYLOAD_MAX || headers > total || rest < total + 3 || *r.at != '\n' || body[total] != '\r' ||
        body[total + 1] != '\n')
        return false;
    f->op = with_headers ? NBJ__OP_HMSG : NBJ__OP_MSG;
    f->headers = nbj_view(body, (size_t)headers);
    f->payload = nbj_view(body + headers, (size_t)(total - headers));
    f->text = nbj_view(NULL, 0);
    *used = (size_t)(body - in.ptr) + (size_t)total + 2;
    return true;
}

nbj_status nbj__frame_parse(nbj__parser *p, nbj_bytes in, nbj__frame *out, size_t *used)
{
    if (in.len < p->need || in.len == 0)
        return NBJ_MORE;
    if (parse_usual_msg(in, out, used)) {
        *p = (nbj__parser){ 0 };
        return NBJ_OK;
    }
    const verb *v = find_verb(in);
    if (v == NULL)
        return NBJ_E_PROTO;
    size_t window = in.len < v->line_max ? in.len : v->line_max;
    size_t from = p->need > 0 ? 0 : p->scanned; /* the line of a frame that waited for its payload is found again */
    const uint8_t *lf = from < window ? memchr(in.ptr + from, '\n', window - from) : NULL;
    if (lf == NULL) {
        p->scanned = window;
        return in.len < v->line_max ? NBJ_MORE : NBJ_E_PROTO;
    }
    nbj_status st = parse_line(p, in, v, (size_t)(lf - in.ptr) + 1, out);
    if (st != NBJ_OK)
        return st;
    *used = p->need;
    *p = (nbj__parser){ 0 };
    return NBJ_OK;
}
