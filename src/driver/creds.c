/* SPDX-License-Identifier: Apache-2.0 */
/* Owns: the octets of the file that was read, until they are wiped. Does not own: keys (nkey.c), what is done with all
 * of it (identity.c). Nothing is kept between two readings, so that a file may be replaced at any time. */
#define _GNU_SOURCE
#include "driver/creds.h"

#include "base/json_read.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SHOWN 300u /* its end, so that an error has room for the cause */

/* --- texts --- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static nbj_bytes trim(nbj_bytes b)
{
    while (b.len > 0 && is_blank(b.ptr[0]))
        b = nbj_view(b.ptr + 1, b.len - 1);
    while (b.len > 0 && is_blank(b.ptr[b.len - 1]))
        b.len--;
    return b;
}

static bool begins_with(nbj_bytes b, const char *text)
{
    size_t len = strlen(text);

    return b.len >= len && memcmp(b.ptr, text, len) == 0;
}

static bool has(nbj_bytes b, char c)
{
    return b.len > 0 && memchr(b.ptr, c, b.len) != NULL;
}

/* Takes the next line that is not blank, trimmed; false at the end. */
static bool take_line(nbj_bytes *text, nbj_bytes *line)
{
    while (text->len > 0) {
        const uint8_t *end = memchr(text->ptr, '\n', text->len);
        size_t len = end != NULL ? (size_t)(end - text->ptr) : text->len;
        size_t used = len + (end != NULL);
        *line = trim(nbj_view(text->ptr, len));
        *text = nbj_view(text->ptr + used, text->len - used);
        if (line->len > 0)
            return true;
    }
    return false;
}

/* "-----BEGIN NATS USER JWT-----" and the like: what stands between the dashes is not looked at. */
static bool is_marker(nbj_bytes line)
{
    return line.len >= 7 && begins_with(line, "---") && memcmp(line.ptr + line.len - 3, "---", 3) == 0;
}

static bool looks_like_a_seed(nbj_bytes line)
{
    return (begins_with(line, "SU") || begins_with(line, "SA") || begins_with(line, "SO")) && !has(line, ' ');
}

/* |word| is taken for what it seems to be; of several, the first counts. */
static void take_word(nbj_bytes word, nbj__creds *out)
{
    nbj_bytes *at = has(word, '.') ? &out->jwt : &out->seed;

    if (at->len == 0)
        *at = word;
}

/* A file with blocks. Returns what is wrong. */
static const char *read_blocks(nbj_bytes text, nbj__creds *out)
{
    nbj_bytes line, word = { 0 };
    bool inside = false;

    while (take_line(&text, &line)) {
        if (is_marker(line)) {
            if (inside && word.len == 0)
                return "a block in it is empty";
            if (inside)
                take_word(word, out);
            inside = !inside;
            word.len = 0;
        } else if (inside) {
            if (word.len > 0)
                return "it is half-written, or a block in it has more than one line";
            word = line;
        }
    }
    return inside ? "it is half-written: a block in it has no end" : NULL;
}

/* A file without blocks: the line that is a seed, else the first one that is no comment. */
static void read_bare(nbj_bytes text, nbj__creds *out)
{
    nbj_bytes line, word = { 0 };

    while (take_line(&text, &line)) {
        if (looks_like_a_seed(line)) {
            word = line;
            break;
        }
        if (word.len == 0 && line.ptr[0] != '#')
            word = line;
    }
    if (word.len > 0)
        take_word(word, out);
}

static bool has_marker(nbj_bytes text)
{
    nbj_bytes line;

    while (take_line(&text, &line)) {
        if (is_marker(line))
            return true;
    }
    return false;
}

static bool is_base64url(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_jwt(nbj_bytes b)
{
    unsigned dots = 0;

    for (size_t i = 0; i < b.len; i++) {
        dots += b.ptr[i] == '.';
        if (b.ptr[i] != '.' && b.ptr[i] != '=' && !is_base64url(b.ptr[i]))
            return false;
    }
    return dots == 2 && b.ptr[0] != '.' && b.ptr[b.len - 1] != '.';
}

nbj_status nbj__creds_parse(nbj_bytes text, nbj__creds *out, const char **why)
{
    nbj_bytes rest = text, line;

    out->jwt = out->seed = nbj_view(NULL, 0);
    *why = NULL;
    if (begins_with(text, "\xef\xbb\xbf")) /* editors that mark UTF-8 */
        rest = text = nbj_view(text.ptr + 3, text.len - 3);
    if (!take_line(&rest, &line))
        *why = "it is empty";
    else if (has_marker(text))
        *why = read_blocks(text, out);
    else
        read_bare(text, out);
    if (*why == NULL && out->jwt.len == 0 && out->seed.len == 0)
        *why = "there is neither a JWT nor a seed in it";
    if (*why == NULL && out->jwt.len > 0 && !is_jwt(out->jwt))
        *why = "what should be its JWT is none";
    if (*why == NULL)
        return NBJ_OK;
    out->jwt = out->seed = nbj_view(NULL, 0);
    return NBJ_E_CREDENTIALS;
}

/* --- a JWT's claims --- */

static unsigned base64url_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - (unsigned)'A';
    if (c >= 'a' && c <= 'z')
        return c - (unsigned)'a' + 26;
    if (c >= '0' && c <= '9')
        return c - (unsigned)'0' + 52;
    return c == '-' ? 62 : 63;
}

/* The octets of |text|, as many as are whole, to |out|; returns how many. Ends at the first character of another kind. */
static size_t decode_base64url(nbj_bytes text, uint8_t *out)
{
    unsigned held = 0, value = 0;
    size_t n = 0;

    for (size_t i = 0; i < text.len && is_base64url(text.ptr[i]); i++) {
        value = (value << 6 | base64url_value(text.ptr[i])) & 0x3fffu;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (uint8_t)(value >> held);
        }
    }
    return n;
}

/* Claims alone are no secret: without the signature behind them they let nobody in. */
nbj_status nbj__jwt_is_bearer(const nbj_allocator *alloc, nbj_bytes jwt, bool *out)
{
    nbj__json *claims = NULL;

    *out = false;
    if (!is_jwt(jwt))
        return NBJ_E_CREDENTIALS;
    uint8_t *octets = nbj__alloc(alloc, jwt.len);
    if (octets == NULL)
        return NBJ_E_NOMEM;
    const uint8_t *dot = memchr(jwt.ptr, '.', jwt.len);
    size_t before = (size_t)(dot - jwt.ptr) + 1;
    size_t len = decode_base64url(nbj_view(jwt.ptr + before, jwt.len - before), octets);
    nbj_status st = nbj__json_parse(nbj_view(octets, len), &claims);
    nbj__free(alloc, octets, jwt.len);
    if (st != NBJ_OK)
        return st == NBJ_E_NOMEM ? st : NBJ_E_CREDENTIALS;
    *out = nbj__json_bool(nbj__json_object(claims, "nats"), "bearer_token");
    nbj__json_free(claims);
    return NBJ_OK;
}

/* --- files --- */

/* Somebody has given the credentials themselves where their file's name belongs. */
static bool is_no_name(nbj_bytes path)
{
    return has(path, '\n') || (!has(path, '/') && ((looks_like_a_seed(path) && path.len > 50) || is_jwt(path)));
}

nbj_status nbj__creds_error(nbj_error *error, nbj_status status, const char *path, const char *why)
{
    nbj_bytes name = nbj_str(path);
    size_t hidden = name.len > PATH_SHOWN ? name.len - PATH_SHOWN : 0;

    if (is_no_name(name))
        return nbj__error_set(error, status, "what should be the name of a file with credentials holds the ",
                              "credentials themselves", (char *)NULL);
    return nbj__error_set(error, status, "credentials in ", hidden > 0 ? "..." : "", path + hidden, ": ", why,
                          (char *)NULL);
}

static const char *why_not_open(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return "there is no such file";
    case EACCES:
    case EPERM:
        return "there is no permission to read it";
    case EMFILE:
    case ENFILE:
        return "there is no descriptor left to open it with: raise the limit (ulimit -n)";
    case ENAMETOOLONG:
    case ELOOP:
        return "its name cannot be followed to a file";
    default:
        return "it cannot be read";
    }
}

/* All of a regular file of |size| octets to |at|. Returns what is wrong. */
static const char *read_all(int fd, uint8_t *at, size_t size)
{
    size_t n = 0;

    while (n <= size) { /* one more than it should have */
        ssize_t got = read(fd, at + n, size + 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return "it cannot be read";
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return n == size ? NULL : "it changed while it was read";
}

/* The size of what can be read. Returns what is wrong. */
static const char *measure(int fd, size_t *size)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return "it cannot be read";
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? "it is a directory" : "it is not a regular file";
    if (st.st_size > (off_t)NBJ__CREDS_MAX)
        return "it is larger than 64 KiB";
    *size = (size_t)st.st_size;
    return NULL;
}

static nbj_status read_open_file(int fd, nbj__creds *out, const char **why)
{
    size_t size = 0;

    *why = measure(fd, &size);
    if (*why != NULL)
        return NBJ_E_CREDENTIALS;
    out->octets = nbj__alloc(out->alloc, size + 1);
    if (out->octets == NULL) {
        *why = nbj_strerror(NBJ_E_NOMEM);
        return NBJ_E_NOMEM;
    }
    out->size = size + 1;
    *why = read_all(fd, out->octets, size);
    return *why == NULL ? nbj__creds_parse(nbj_view(out->octets, size), out, why) : NBJ_E_CREDENTIALS;
}

nbj_status nbj__creds_read(const nbj_allocator *alloc, const char *path, nbj__creds *out, nbj_error *error)
{
    const char *why = NULL;
    nbj_status st = NBJ_E_CREDENTIALS;

    *out = (nbj__creds){ .alloc = alloc };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0) {
        why = why_not_open(errno);
    } else {
        st = read_open_file(fd, out, &why);
        close(fd);
    }
    if (st == NBJ_OK)
        return NBJ_OK;
    nbj__creds_wipe(out);
    return nbj__creds_error(error, st, path, why);
}

void nbj__creds_drop_seed(nbj__creds *c)
{
    if (c->seed.len > 0)
        OPENSSL_cleanse(c->octets + (c->seed.ptr - c->octets), c->seed.len);
    c->seed = nbj_view(NULL, 0);
}

void nbj__creds_wipe(nbj__creds *c)
{
    if (c->octets != NULL) {
        OPENSSL_cleanse(c->octets, c->size);
        nbj__free(c->alloc, c->octets, c->size);
    }
    *c = (nbj__creds){ 0 };
}
