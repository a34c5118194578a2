/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "raw.h"

#include "fail.h"
#include "meter.h"
#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- octets --- */

void raw_wait(raw *r, bool for_writing)
{
    struct pollfd p = { .fd = r->fd, .events = (short)(for_writing ? POLLIN | POLLOUT : POLLIN) };
    int n = poll(&p, 1, BENCH_PATIENCE_S * 1000);

    if (n == 0)
        fail("the server said nothing for %d s", BENCH_PATIENCE_S);
    if (n < 0 && errno != EINTR)
        fail("poll: %s", strerror(errno));
}

size_t raw_read(raw *r, void *to, size_t cap)
{
    ssize_t n = read(r->fd, to, cap);

    if (n == 0)
        fail("the server closed the connection");
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        fail("read: %s", strerror(errno));
    return n > 0 ? (size_t)n : 0;
}

size_t raw_write_some(raw *r, const void *data, size_t len)
{
    ssize_t n = send(r->fd, data, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        fail("write: %s", strerror(errno));
    return n > 0 ? (size_t)n : 0;
}

void raw_write(raw *r, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        size_t n = raw_write_some(r, at, len);
        at += n;
        len -= n;
        if (len > 0 && n == 0) {
            struct pollfd p = { .fd = r->fd, .events = POLLOUT };
            if (poll(&p, 1, BENCH_PATIENCE_S * 1000) == 0)
                fail("the server took nothing for %d s", BENCH_PATIENCE_S);
        }
    }
}

/* --- the conversation --- */

static void look_for_ping(raw *r)
{
    if (strncmp(r->in, "PING\r\n", 6) == 0 || strstr(r->in, "\nPING\r\n") != NULL)
        r->owes_pong = true;
}

static void pay_pong(raw *r)
{
    if (r->owes_pong)
        raw_write(r, "PONG\r\n", 6);
    r->owes_pong = false;
}

/* Reads until |text| is in the input, which is then NUL-terminated. */
static char *wait_for(raw *r, const char *text)
{
    char *found = NULL;

    r->len = 0;
    r->in[0] = '\0';
    while ((found = strstr(r->in, text)) == NULL) {
        if (r->len + 1 >= RAW_IN)
            fail("the server talks too much");
        raw_wait(r, false);
        r->len += raw_read(r, r->in + r->len, RAW_IN - 1 - r->len);
        r->in[r->len] = '\0';
    }
    look_for_ping(r);
    return found;
}

static void copy_version(raw *r)
{
    const char *at = strstr(r->in, "\"version\":\"");

    at = at != NULL ? at + 11 : "";
    snprintf(r->version, sizeof r->version, "%.*s", (int)strcspn(at, "\""), at);
}

void raw_open(raw *r, uint16_t port)
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"raw\",\"version\":\"1\","
                                "\"protocol\":1,\"echo\":true,\"headers\":true,\"no_responders\":true}\r\n"
                                "SUB _INBOX.raw 9\r\n";
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *r = (raw){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .in = must_alloc(RAW_IN, 1) };
    if (r->fd < 0 || connect(r->fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("cannot connect to port %u: %s", port, strerror(errno));
    setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(r->fd, F_SETFL, O_NONBLOCK);
    wait_for(r, "\r\n");
    copy_version(r);
    raw_write(r, hello, sizeof hello - 1);
    raw_flush(r);
}

void raw_close(raw *r)
{
    close(r->fd);
    free(r->in);
    *r = (raw){ .fd = -1 };
}

void raw_flush(raw *r)
{
    raw_write(r, "PING\r\n", 6);
    wait_for(r, "PONG\r\n");
    pay_pong(r);
}

void raw_drop_input(raw *r)
{
    while ((r->len = raw_read(r, r->in, RAW_IN - 1)) > 0) {
        r->in[r->len] = '\0';
        look_for_ping(r);
    }
    pay_pong(r);
}

const char *raw_request(raw *r, const char *subject, const char *body)
{
    static const char wanted[] = "MSG _INBOX.raw 9 ";
    char line[256];
    size_t len = 0;

    raw_drop_input(r);
    snprintf(line, sizeof line, "PUB %s _INBOX.raw %zu\r\n", subject, strlen(body));
    raw_write(r, line, strlen(line));
    raw_write(r, body, strlen(body));
    raw_write(r, "\r\n", 2);
    char *at = wait_for(r, wanted);
    char *payload = strstr(at, "\r\n");
    if (payload == NULL)
        fail("half a line from the server");
    len = strtoul(at + sizeof wanted - 1, NULL, 10);
    if (len == 0)
        fail("nobody answers %s; is JetStream on?", subject);
    payload += 2;
    while (r->in + r->len < payload + len + 2) {
        raw_wait(r, false);
        r->len += raw_read(r, r->in + r->len, RAW_IN - 1 - r->len);
    }
    payload[len] = '\0';
    return payload;
}

size_t raw_frame(char *out, const char *subject, const char *reply, const char *id, const char *data, size_t len)
{
    char headers[RAW_FRAME_EXTRA] = "";
    const char *gap = reply != NULL ? " " : "";
    size_t at, header_len = 0;

    reply = reply != NULL ? reply : "";
    if (id != NULL) {
        header_len = (size_t)snprintf(headers, sizeof headers, "NATS/1.0\r\nNats-Msg-Id: %s\r\n\r\n", id);
        at = (size_t)sprintf(out, "HPUB %s %s%s%zu %zu\r\n%s", subject, reply, gap, header_len, header_len + len,
                             headers);
    } else {
        at = (size_t)sprintf(out, "PUB %s %s%s%zu\r\n", subject, reply, gap, len);
    }
    memcpy(out + at, data, len);
    memcpy(out + at + len, "\r\n", 2);
    return at + len + 2;
}

static raw_place place_of(raw *r, const char *line)
{
    if (*line == 'P')
        r->owes_pong = true; /* an unasked PONG does no harm */
    return *line == 'M' || *line == 'H' || *line == 'P' ? RAW_IN_OTHER : RAW_IN_PAYLOAD;
}

size_t raw_count_messages(raw *r, const char *data, size_t len, raw_place *place)
{
    const char *at = data, *end = data + len;
    size_t count = 0;

    while (at < end) {
        if (*place == RAW_LINE_START)
            *place = place_of(r, at);
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            break;
        count += *place == RAW_IN_PAYLOAD;
        *place = RAW_LINE_START;
        at = line_end + 1;
    }
    return count;
}
