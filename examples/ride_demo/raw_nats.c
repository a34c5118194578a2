/* SPDX-License-Identifier: Apache-2.0 */
/* The least NATS that can ask a server questions (raw_nats.h). */
#define _GNU_SOURCE
#include "raw_nats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_OCTETS = 512 * 1024, REQUEST_OCTETS = 1024, SUBJECT_OCTETS = 256 };

#define CONNECT_FRAME                                                                                      \
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"name\":\"ride-demo-checker\"," \
    "\"lang\":\"c\",\"version\":\"1\",\"protocol\":0,\"headers\":false}\r\n"

struct raw_nats {
    int fd;
    char inbox[32];
    size_t start, end; /* of what was received and not read yet */
    char buffer[BUFFER_OCTETS];
};

static bool receive_more(raw_nats *from, problem *why)
{
    memmove(from->buffer, from->buffer + from->start, from->end - from->start);
    from->end -= from->start;
    from->start = 0;
    if (from->end == sizeof from->buffer)
        return problem_set(why, "the server sent a frame of more than %d octets", BUFFER_OCTETS);
    ssize_t count = recv(from->fd, from->buffer + from->end, sizeof from->buffer - from->end, 0);
    if (count > 0) {
        from->end += (size_t)count;
        return true;
    }
    if (count == 0)
        return problem_set(why, "the server closed the connection");
    if (errno == EINTR)
        return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return problem_set(why, "the server gave no answer for %d s", RAW_NATS_PATIENCE_S);
    return problem_set(why, "receiving from the server failed: %s", strerror(errno));
}

/* Waits until |length| octets are there and points at them; they count as read. */
static char *take_octets(raw_nats *from, size_t length, problem *why)
{
    while (from->end - from->start < length)
        if (!receive_more(from, why))
            return NULL;
    from->start += length;
    return from->buffer + from->start - length;
}

/* The next line without its end, NUL-terminated in place. */
static char *take_line(raw_nats *from, problem *why)
{
    char *end;

    while ((end = memchr(from->buffer + from->start, '\n', from->end - from->start)) == NULL)
        if (!receive_more(from, why))
            return NULL;
    char *line = from->buffer + from->start;
    from->start = (size_t)(end + 1 - from->buffer);
    *end = '\0';
    if (end > line && end[-1] == '\r')
        end[-1] = '\0';
    return line;
}

static bool send_all(raw_nats *to, const char *octets, size_t length, problem *why)
{
    while (length > 0) {
        ssize_t count = send(to->fd, octets, length, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return problem_set(why, "sending to the server failed: %s", strerror(errno));
        octets += count;
        length -= (size_t)count;
    }
    return true;
}

static bool shake_hands(raw_nats *with, problem *why)
{
    char hello[512];
    char *line = take_line(with, why);

    if (line == NULL)
        return false;
    if (strncmp(line, "INFO ", 5) != 0)
        return problem_set(why, "what answers there is not a NATS server");
    int length = snprintf(hello, sizeof hello, CONNECT_FRAME "SUB %s.* 1\r\nPING\r\n", with->inbox);
    if (!send_all(with, hello, (size_t)length, why))
        return false;
    do {
        line = take_line(with, why);
        if (line == NULL)
            return false;
        if (line[0] == '-')
            return problem_set(why, "the server refused the connection: %.200s", line);
    } while (strcmp(line, "PONG") != 0);
    return true;
}

static bool connect_socket(raw_nats *of, uint16_t port, problem *why)
{
    const struct timeval patience = { .tv_sec = RAW_NATS_PATIENCE_S };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    of->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (of->fd < 0 || setsockopt(of->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(of->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0)
        return problem_set(why, "no socket: %s", strerror(errno));
    if (connect(of->fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return problem_set(why, "could not connect to 127.0.0.1:%u: %s", port, strerror(errno));
    return true;
}

raw_nats *raw_nats_open(uint16_t port, problem *why)
{
    raw_nats *connection = malloc(sizeof *connection);

    if (connection == NULL) {
        problem_set(why, "out of memory");
        return NULL;
    }
    connection->fd = -1;
    connection->start = connection->end = 0;
    snprintf(connection->inbox, sizeof connection->inbox, "_INBOX.check%ld", (long)getpid());
    if (connect_socket(connection, port, why) && shake_hands(connection, why))
        return connection;
    raw_nats_close(connection);
    return NULL;
}

void raw_nats_close(raw_nats *connection)
{
    if (connection == NULL)
        return;
    if (connection->fd >= 0)
        close(connection->fd);
    free(connection);
}

bool raw_nats_ask(raw_nats *connection, uint64_t number, const char *subject, const char *body, problem *why)
{
    char frame[REQUEST_OCTETS];
    int length = snprintf(frame, sizeof frame, "PUB %s %s.%" PRIu64 " %zu\r\n%s\r\n", subject, connection->inbox,
                          number, strlen(body), body);

    if (length < 0 || (size_t)length >= sizeof frame)
        return problem_set(why, "a request is longer than %d octets", REQUEST_OCTETS);
    return send_all(connection, frame, (size_t)length, why);
}

/* "MSG <inbox>.<number> 1 <octets>": nothing here has a reply subject. */
static bool take_message(raw_nats *from, const char *line, uint64_t *number, const char **payload, size_t *length,
                         problem *why)
{
    char subject[SUBJECT_OCTETS];
    size_t inbox = strlen(from->inbox);

    if (sscanf(line, "MSG %255s 1 %zu", subject, length) != 2 || strncmp(subject, from->inbox, inbox) != 0 ||
        sscanf(subject + inbox, ".%" SCNu64, number) != 1)
        return problem_set(why, "an answer that nobody asked for: %.200s", line);
    if (*length > BUFFER_OCTETS)
        return problem_set(why, "an answer of %zu octets is too large", *length);
    char *octets = take_octets(from, *length + 2, why);
    if (octets == NULL)
        return false;
    if (octets[*length] != '\r' || octets[*length + 1] != '\n')
        return problem_set(why, "an answer does not end where it should");
    octets[*length] = '\0';
    *payload = octets;
    return true;
}

bool raw_nats_answer(raw_nats *connection, uint64_t *number, const char **payload, size_t *length, problem *why)
{
    for (;;) { /* each turn takes a line, and each wait for one is bounded */
        const char *line = take_line(connection, why);
        if (line == NULL)
            return false;
        if (strncmp(line, "MSG ", 4) == 0)
            return take_message(connection, line, number, payload, length, why);
        if (line[0] == '-')
            return problem_set(why, "the server says %.200s", line);
        if (strcmp(line, "PING") == 0 && !send_all(connection, "PONG\r\n", 6, why))
            return false;
    }
}
