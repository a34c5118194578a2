/* SPDX-License-Identifier: Apache-2.0 */
/* The strict grammar of what a client may write: upper-case verbs, single blanks, canonical decimals, clean
 * subjects. A real server is more lenient; a library that needs the leniency has a bug. Pure functions. */
#include <string.h>

#include "model_int.h"

#define WORDS_MAX 5

static size_t split(str line, str word[WORDS_MAX + 1])
{
    size_t n = 0;
    while (n <= WORDS_MAX) {
        const char *blank = line.len > 0 ? memchr(line.ptr, ' ', line.len) : NULL;
        word[n++] = str_cut(&line, ' ');
        if (blank == NULL)
            break;
    }
    return n;
}

const char *check_subject(str subject, bool wildcards)
{
    if (subject.len == 0)
        return "empty subject";
    for (size_t i = 0; i < subject.len; i++)
        if ((unsigned char)subject.ptr[i] <= ' ' || subject.ptr[i] == 0x7f)
            return "blank or control character in a subject";
    for (str rest = subject;;) {
        bool last = memchr(rest.ptr, '.', rest.len) == NULL;
        str token = str_cut(&rest, '.');
        if (token.len == 0)
            return "empty token in a subject";
        if (str_is(token, "*") && !wildcards)
            return "wildcard in a literal subject";
        if (str_is(token, ">") && (!wildcards || !last))
            return "misplaced >";
        if (last)
            return NULL;
        if (rest.len == 0)
            return "empty token in a subject";
    }
}

static const char *parse_publish(const str *word, size_t n, client_op *op)
{
    size_t sizes = op->verb == OP_HPUB ? 2 : 1;
    if (n != 2 + sizes && n != 3 + sizes)
        return "wrong number of words in a publish";
    op->subject = word[1];
    if (n == 3 + sizes)
        op->reply = word[2];
    if (!str_u64(word[n - 1], UINT32_MAX, &op->total))
        return "size is not a canonical decimal";
    if (sizes == 2 && !str_u64(word[n - 2], UINT32_MAX, &op->header_len))
        return "header size is not a canonical decimal";
    return NULL;
}

static const char *parse_sub(const str *word, size_t n, client_op *op)
{
    if (n != 3 && n != 4)
        return "wrong number of words in SUB";
    op->subject = word[1];
    if (n == 4)
        op->queue = word[2];
    if (n == 4 && check_subject(op->queue, true) != NULL)
        return "bad queue name";
    return str_u64(word[n - 1], UINT64_MAX, &op->sid) && op->sid > 0 ? NULL : "sid is not a positive decimal";
}

static const char *parse_unsub(const str *word, size_t n, client_op *op)
{
    if (n != 2 && n != 3)
        return "wrong number of words in UNSUB";
    if (!str_u64(word[1], UINT64_MAX, &op->sid))
        return "sid is not a decimal";
    if (n == 3 && (!str_u64(word[2], INT64_MAX, &op->max) || op->max == 0))
        return "maximum is not a positive decimal";
    return NULL;
}

const char *parse_client_op(str line, client_op *op)
{
    static const char *const verbs[] = { "CONNECT", "PUB", "HPUB", "SUB", "UNSUB", "PING", "PONG" };
    str word[WORDS_MAX + 1], json = line;
    *op = (client_op){ .verb = OP_UNKNOWN };
    if (line.len > 0 && memchr(line.ptr, '\0', line.len) != NULL)
        return "NUL in a control line";
    str verb = str_cut(&json, ' ');
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (str_is(verb, verbs[i]))
            op->verb = (op_verb)i;
    size_t n = op->verb == OP_CONNECT ? 0 : split(line, word);
    for (size_t i = 0; i < n; i++)
        if (word[i].len == 0)
            return op->verb != OP_UNKNOWN ? "two blanks, or one at an end" : "unknown operation";
    switch (op->verb) {
    case OP_CONNECT:
        op->json = json;
        return json.len > 0 && json.ptr[0] == '{' ? NULL : "CONNECT without an object";
    case OP_PUB:
    case OP_HPUB:
        return parse_publish(word, n, op);
    case OP_SUB:
        return parse_sub(word, n, op);
    case OP_UNSUB:
        return parse_unsub(word, n, op);
    case OP_PING:
    case OP_PONG:
        return n == 1 ? NULL : "PING or PONG with arguments";
    case OP_UNKNOWN:
        break;
    }
    return "unknown operation";
}

static const char *check_header_line(str line)
{
    str value = line, key = str_cut(&value, ':');
    if (key.len == 0 || key.len == line.len)
        return "header line without a key and a colon";
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] >= 0x7f)
            return "header key is not printable ASCII";
    if (value.len == 0 || value.ptr[0] != ' ')
        return "no blank after the colon of a header";
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
            return "CR, LF or NUL in a header value";
    return NULL;
}

const char *check_header_block(str block)
{
    static const char first[] = "NATS/1.0\r\n";
    size_t lines = 0;
    if (!str_starts(block, first))
        return "header block does not start with NATS/1.0";
    for (block = str_skip(block, sizeof first - 1);; lines++) {
        const char *end = block.len > 0 ? memchr(block.ptr, '\n', block.len) : NULL;
        if (end == NULL || end == block.ptr || end[-1] != '\r')
            return "header block without its blank line";
        str line = { block.ptr, (size_t)(end - block.ptr) - 1 };
        block = str_skip(block, line.len + 2);
        if (line.len == 0)
            break;
        const char *wrong = check_header_line(line);
        if (wrong != NULL)
            return wrong;
    }
    if (block.len > 0)
        return "octets after the blank line of a header block";
    return lines > 0 ? NULL : "header block without a header";
}

str model_header(str block, const char *key)
{
    size_t n = strlen(key);
    while (block.len > 0) {
        str line = str_cut(&block, '\n');
        if (line.len > n && memcmp(line.ptr, key, n) == 0 && line.ptr[n] == ':') {
            line = str_skip(line, n + 1);
            while (line.len > 0 && line.ptr[0] == ' ')
                line = str_skip(line, 1);
            while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == ' '))
                line.len--;
            return line;
        }
    }
    return (str){ NULL, 0 };
}

bool model_subject_matches(str pattern, str subject)
{
    for (;;) {
        bool more_p = memchr(pattern.ptr, '.', pattern.len) != NULL;
        bool more_s = memchr(subject.ptr, '.', subject.len) != NULL;
        str p = str_cut(&pattern, '.'), s = str_cut(&subject, '.');
        if (str_is(p, ">"))
            return true;
        if (!str_is(p, "*") && !str_eq(p, s))
            return false;
        if (str_is(p, "*") && str_is(s, ">"))
            return false; /* a pattern as subject: * does not cover > */
        if (!more_p || !more_s)
            return more_p == more_s;
    }
}
