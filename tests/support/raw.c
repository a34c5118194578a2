/* SPDX-License-Identifier: Apache-2.0 */
/* Invariant: octets [pos, len) of |buf| are received and not taken; a view that was handed out lies before |pos| and
 * stays until the next fill() moves the buffer. */
#define _GNU_SOURCE

#include "raw.h"

#include "check.h"
#include "port.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_OCTETS 65536

struct ts_raw {
    int fd;
    bool ended; /* FIN or an error was read */
    uint8_t *buf;
    size_t pos, len, cap;
    char *text; /* the last result that is a C string */
    char *info; /* the login's INFO, or NULL */
    unsigned inboxes;
};

static void *must(void *ptr)
{
    if (ptr == NULL)
        TS_FAIL("out of memory");
    return ptr;
}

/* -- life -- */

ts_raw *ts_raw_adopt(int fd)
{
    ts_raw *r = must(calloc(1, sizeof *r));
    struct timeval bound = { .tv_sec = TS_RAW_MS / 1000 };

    r->fd = fd;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
    return r;
}

ts_raw *ts_raw_try_dial(uint16_t port)
{
    int fd = ts_port_connect(port);

    return fd >= 0 ? ts_raw_adopt(fd) : NULL;
}

ts_raw *ts_raw_dial(uint16_t port)
{
    ts_raw *r = ts_raw_try_dial(port);

    if (r == NULL)
        TS_FAIL("raw peer: port %u: %s", port, strerror(errno));
    return r;
}

ts_raw *ts_raw_open(uint16_t port)
{
    ts_raw *r = ts_raw_dial(port);

    ts_raw_login(r, NULL);
    return r;
}

void ts_raw_close(ts_raw *r)
{
    if (r == NULL)
        return;
    close(r->fd);
    free(r->buf);
    free(r->text);
    free(r->info);
    free(r);
}

void ts_raw_reset(ts_raw *r)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ts_raw_close(r);
}

int ts_raw_fd(const ts_raw *r)
{
    return r->fd;
}

/* -- sending -- */

void ts_raw_send_bytes(ts_raw *r, const void *ptr, size_t len)
{
    const char *at = ptr;

    while (len > 0) {
        ssize_t n = send(r->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            TS_FAIL("raw peer: cannot send: %s", strerror(errno));
        at += n;
        len -= (size_t)n;
    }
}

void ts_raw_send(ts_raw *r, const char *text)
{
    ts_raw_send_bytes(r, text, strlen(text));
}

void ts_raw_printf(ts_raw *r, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        TS_FAIL("out of memory");
    ts_raw_send_bytes(r, text, (size_t)n);
    free(text);
}

/* -- receiving -- */

static void make_room(ts_raw *r)
{
    if (r->pos > 0) {
        memmove(r->buf, r->buf + r->pos, r->len - r->pos);
        r->len -= r->pos;
        r->pos = 0;
    }
    if (r->cap - r->len < READ_OCTETS) {
        r->cap = 2 * r->cap + READ_OCTETS;
        r->buf = must(realloc(r->buf, r->cap));
    }
}

/* Waits for octets and reads some. False: none came by |until|, or the connection has ended. */
static bool fill(ts_raw *r, nbj_time until)
{
    struct pollfd p = { .fd = r->fd, .events = POLLIN };

    make_room(r);
    while (!r->ended) {
        int ready = poll(&p, 1, ts_left_ms(until));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return false;
        ssize_t n = recv(r->fd, r->buf + r->len, r->cap - r->len, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n > 0) {
            r->len += (size_t)n;
            return true;
        }
        r->ended = true;
    }
    return false;
}

/* What is received and not taken; the buffer itself may not exist yet. */
static nbj_bytes waiting(const ts_raw *r)
{
    return r->len > r->pos ? nbj_view(r->buf + r->pos, r->len - r->pos) : nbj_view(NULL, 0);
}

/* The next |len| octets as a C string, taken. */
static const char *take_text(ts_raw *r, size_t len)
{
    r->text = must(realloc(r->text, len + 1));
    if (len > 0)
        memcpy(r->text, r->buf + r->pos, len);
    r->text[len] = '\0';
    r->pos += len;
    return r->text;
}

const char *ts_raw_try_read(ts_raw *r, const char *pattern, int ms)
{
    nbj_time until = ts_now() + NBJ_MILLIS(ms);
    size_t len = strlen(pattern);

    do {
        nbj_bytes here = waiting(r);
        const uint8_t *at = here.len > 0 ? memmem(here.ptr, here.len, pattern, len) : NULL;
        if (at != NULL)
            return take_text(r, (size_t)(at - here.ptr) + len);
    } while (fill(r, until));
    return NULL;
}

_Noreturn static void fail_waiting(const ts_raw *r, const char *what, int ms)
{
    nbj_bytes here = waiting(r);

    TS_FAIL("raw peer: no %s within %d ms%s; came: \"%s\"", what, ms, r->ended ? " (connection ended)" : "",
            ts_show(here.ptr, here.len));
}

const char *ts_raw_expect(ts_raw *r, const char *pattern, int ms)
{
    const char *text = ts_raw_try_read(r, pattern, ms);

    if (text == NULL)
        fail_waiting(r, ts_show(pattern, strlen(pattern)), ms);
    return text;
}

void ts_raw_expect_end(ts_raw *r, int ms)
{
    nbj_time until = ts_now() + NBJ_MILLIS(ms);

    do
        r->pos = r->len;
    while (fill(r, until));
    if (!r->ended)
        fail_waiting(r, "end of the connection", ms);
}

/* -- frames -- */

static bool starts(const ts_raw *r, size_t at, const char *word)
{
    size_t len = strlen(word);

    return r->len - at >= len && memcmp(r->buf + at, word, len) == 0;
}

/* The length of the whole frame at |at|, and of its line without CRLF; 0: not all of it is here. */
static size_t frame_at(const ts_raw *r, size_t at, size_t *line)
{
    const uint8_t *crlf = r->len > at ? memmem(r->buf + at, r->len - at, "\r\n", 2) : NULL;

    if (crlf == NULL)
        return 0;
    *line = (size_t)(crlf - (r->buf + at));
    size_t len = *line + 2;
    if (starts(r, at, "MSG ") || starts(r, at, "HMSG ")) {
        const uint8_t *size = memrchr(r->buf + at, ' ', *line);
        len += strtoul((const char *)size + 1, NULL, 10) + 2;
    }
    return r->len - at >= len ? len : 0;
}

static void cut_out(ts_raw *r, size_t at, size_t len)
{
    memmove(r->buf + at, r->buf + at + len, r->len - at - len);
    r->len -= len;
}

void ts_raw_flush(ts_raw *r)
{
    nbj_time until = ts_now() + NBJ_MILLIS(TS_RAW_MS);
    size_t passed = 0; /* octets after |pos|: frames that stay */
    size_t line = 0;

    ts_raw_send(r, "PING\r\n");
    for (;;) {
        size_t at = r->pos + passed;
        size_t len = frame_at(r, at, &line);
        if (len == 0) {
            if (!fill(r, until))
                fail_waiting(r, "PONG", TS_RAW_MS);
        } else if (starts(r, at, "PONG")) {
            cut_out(r, at, len);
            return;
        } else {
            passed += len;
        }
    }
}

static nbj_bytes next_word(nbj_bytes *line)
{
    const uint8_t *space = memchr(line->ptr, ' ', line->len);
    size_t len = space != NULL ? (size_t)(space - line->ptr) : line->len;
    nbj_bytes word = nbj_view(line->ptr, len);

    *line = nbj_view(line->ptr + len + (space != NULL), line->len - len - (space != NULL));
    return word;
}

/* Takes the frame of |len| octets at |pos| apart: "[H]MSG subject sid [reply] [header octets] octets". */
static ts_raw_msg take_msg(ts_raw *r, size_t len, size_t line_len)
{
    bool with_header = r->buf[r->pos] == 'H';
    nbj_bytes line = nbj_view(r->buf + r->pos, line_len);
    nbj_bytes body = nbj_view(line.ptr + line_len + 2, len - line_len - 4);
    nbj_bytes words[6];
    size_t n = 0;

    while (line.len > 0 && n < 6)
        words[n++] = next_word(&line);
    size_t numbers = with_header ? 2 : 1;
    if (n < 3 + numbers || n > 4 + numbers)
        TS_FAIL("raw peer: not a message: \"%s\"", ts_show(r->buf + r->pos, line_len));
    ts_raw_msg m = { .subject = words[1], .sid = words[2] };
    if (n == 4 + numbers)
        m.reply = words[3];
    size_t header = with_header ? strtoul((const char *)words[n - 2].ptr, NULL, 10) : 0;
    m.header = nbj_view(body.ptr, header);
    m.payload = nbj_view(body.ptr + header, body.len - header);
    r->pos += len;
    return m;
}

static bool try_next(ts_raw *r, nbj_time until, ts_raw_msg *out)
{
    size_t line = 0;

    for (;;) {
        size_t len = frame_at(r, r->pos, &line);
        if (len == 0) {
            if (!fill(r, until))
                return false;
            continue;
        }
        if (starts(r, r->pos, "MSG ") || starts(r, r->pos, "HMSG ")) {
            *out = take_msg(r, len, line);
            return true;
        }
        if (starts(r, r->pos, "-ERR"))
            TS_FAIL("raw peer: %s", ts_show(r->buf + r->pos, line));
        if (starts(r, r->pos, "PING"))
            ts_raw_send(r, "PONG\r\n");
        r->pos += len;
    }
}

ts_raw_msg ts_raw_next(ts_raw *r, int ms)
{
    ts_raw_msg m = { 0 };

    if (!try_next(r, ts_now() + NBJ_MILLIS(ms), &m))
        fail_waiting(r, "message", ms);
    return m;
}

/* -- talking -- */

void ts_raw_read_info(ts_raw *r)
{
    free(r->info);
    r->info = must(strdup(ts_raw_expect(r, "\r\n", TS_RAW_MS)));
    if (strncmp(r->info, "INFO {", 6) != 0)
        TS_FAIL("raw peer: not an INFO: \"%s\"", ts_show(r->info, strlen(r->info)));
}

void ts_raw_login(ts_raw *r, const char *members)
{
    ts_raw_read_info(r);
    ts_raw_printf(r,
                  "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,"
                  "\"protocol\":1,\"lang\":\"test\",\"version\":\"0\"%s%s}\r\n",
                  members != NULL ? "," : "", members != NULL ? members : "");
    ts_raw_flush(r);
}

const char *ts_raw_info(const ts_raw *r)
{
    return r->info;
}

nbj_bytes ts_raw_info_member(const ts_raw *r, const char *name)
{
    char key[64];

    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = r->info != NULL ? strstr(r->info, key) : NULL;
    if (at == NULL)
        return nbj_view(NULL, 0);
    at += strlen(key);
    if (*at == '"')
        return nbj_view(at + 1, strcspn(at + 1, "\""));
    if (*at == '[')
        return nbj_view(at + 1, strcspn(at + 1, "]"));
    return nbj_view(at, strcspn(at, ",}"));
}

void ts_raw_sub(ts_raw *r, const char *subject, const char *sid)
{
    ts_raw_printf(r, "SUB %s %s\r\n", subject, sid);
    ts_raw_flush(r);
}

void ts_raw_pub(ts_raw *r, const char *subject, const char *reply, const void *payload, size_t len)
{
    ts_raw_printf(r, "PUB %s %s %zu\r\n", subject, reply != NULL ? reply : "", len);
    ts_raw_send_bytes(r, payload, len);
    ts_raw_send(r, "\r\n");
}

const char *ts_raw_request(ts_raw *r, const char *subject, const char *payload, int ms)
{
    char inbox[64];
    ts_raw_msg m;

    snprintf(inbox, sizeof inbox, "_INBOX.raw.%d.%d.%u", (int)getpid(), r->fd, r->inboxes++);
    ts_raw_printf(r, "SUB %s %s\r\nUNSUB %s 1\r\n", inbox, inbox, inbox);
    ts_raw_pub(r, subject, inbox, payload, strlen(payload));
    nbj_time until = ts_now() + NBJ_MILLIS(ms);
    do {
        if (!try_next(r, until, &m))
            return NULL;
    } while (!nbj_bytes_equal(m.sid, nbj_str(inbox))); /* an answer that came too late for its own request */
    r->text = must(realloc(r->text, m.payload.len + 1));
    memcpy(r->text, m.payload.ptr, m.payload.len);
    r->text[m.payload.len] = '\0';
    return r->text;
}
