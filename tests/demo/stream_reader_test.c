/* SPDX-License-Identifier: Apache-2.0 */
/* The checker's own reader against a server that is made of a script: answers may overtake one another, and a false or
 * broken one must end in an error, never in a shorter stream (stream_reader.h, raw_nats.h, base64.h). */
#define _GNU_SOURCE
#include "stream_reader.h"

#include "base64.h"
#include "support/check.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWERS_MAX = 6 };

/* Given once as many messages have been asked for as the stream says it has. */
typedef struct answer {
    int number; /* the request it answers; 0 with a text: sent as it is */
    const char *text;
} answer;

typedef struct script {
    const char *name, *info;
    int asked; /* requests to wait for before answering */
    answer answers[ANSWERS_MAX];
    const char *story; /* what the reader gave, then the error if there was one */
} script;

#define INFO(first, last, messages) \
    "{\"state\":{\"messages\":" #messages ",\"first_seq\":" #first ",\"last_seq\":" #last "}}"
#define MESSAGE(seq, data) "{\"message\":{\"subject\":\"s" #seq "\",\"seq\":" #seq ",\"data\":\"" data "\"}}"
#define NOT_FOUND "{\"error\":{\"code\":404,\"err_code\":10037,\"description\":\"no message found\"}}"

static const script scripts[] = {
    { "in order",
      INFO(1, 3, 3),
      3,
      { { 1, MESSAGE(1, "YQ==") }, { 2, MESSAGE(2, "YmI=") }, { 3, MESSAGE(3, "Y2Nj") } },
      "1 s1 a;2 s2 bb;3 s3 ccc;" },
    { "overtaking",
      INFO(7, 9, 3),
      3,
      { { 9, MESSAGE(9, "Y2Nj") }, { 8, MESSAGE(8, "YmI=") }, { 7, MESSAGE(7, "YQ==") } },
      "7 s7 a;8 s8 bb;9 s9 ccc;" },
    { "no data", INFO(1, 1, 1), 1, { { 1, "{\"message\":{\"subject\":\"s1\",\"seq\":1}}" } }, "1 s1 ;" },
    { "PING in between", INFO(1, 1, 1), 1, { { 0, "PING\r\n" }, { 1, MESSAGE(1, "YQ==") } }, "1 s1 a;" },
    { "empty", INFO(0, 0, 0), 0, { { 0, NULL } }, "" },
    { "a hole that the count knows",
      INFO(1, 3, 2),
      3,
      { { 1, MESSAGE(1, "YQ==") }, { 2, NOT_FOUND }, { 3, MESSAGE(3, "YQ==") } },
      "1 s1 a;3 s3 a;" },
    { "a hole that the count does not know",
      INFO(1, 2, 2),
      2,
      { { 1, MESSAGE(1, "YQ==") }, { 2, NOT_FOUND } },
      "1 s1 a;error S has 2 messages, but 1 could be read" },
    { "no such stream",
      "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}",
      0,
      { { 0, NULL } },
      "error the server says: stream not found" },
    { "another error",
      INFO(1, 1, 1),
      1,
      { { 1, "{\"error\":{\"code\":503,\"description\":\"busy\"}}" } },
      "error the server says: busy" },
    { "another message",
      INFO(1, 1, 1),
      1,
      { { 1, MESSAGE(2, "YQ==") } },
      "error the answer for sequence 1 is another message" },
    { "an answer to nobody",
      INFO(1, 1, 1),
      1,
      { { 2, MESSAGE(2, "YQ==") } },
      "error an answer for sequence 2, which was not asked" },
    { "an answer twice",
      INFO(1, 2, 2),
      2,
      { { 1, MESSAGE(1, "YQ==") }, { 1, MESSAGE(1, "YQ==") } },
      "1 s1 a;error an answer for sequence 1, which was not asked" },
    { "not base64",
      INFO(1, 1, 1),
      1,
      { { 1, MESSAGE(1, "Y*==") } },
      "error the message at sequence 1 cannot be decoded" },
    { "not JSON", INFO(1, 1, 1), 1, { { 1, "hello" } }, "error an answer of the server is not a JSON object: hello" },
    { "-ERR", INFO(1, 1, 1), 1, { { 0, "-ERR 'Slow Consumer'\r\n" } }, "error the server says -ERR 'Slow Consumer'" },
    { "a foreign subject",
      INFO(1, 1, 1),
      1,
      { { 0, "MSG _INBOX.x 1 5\r\nabcdefgh\r\n" } },
      "error an answer that nobody asked for: MSG _INBOX.x 1 5" },
    { "the end", INFO(1, 1, 1), 1, { { 0, "" } }, "error the server closed the connection" },
};

/* --- the server of a script, in a child --- */

static void send_text(FILE *to, const char *inbox, int number, const char *text)
{
    if (number == 0)
        fputs(text, to);
    else
        fprintf(to, "MSG %s%d 1 %zu\r\n%s\r\n", inbox, number, strlen(text), text);
}

/* Answers one request; |asked| counts those for messages. */
static void serve_request(FILE *to, const script *by, const char *line, int *asked)
{
    char subject[128], inbox[64], *number;

    if (sscanf(line, "PUB %127s %63s", subject, inbox) != 2)
        return;
    number = strrchr(inbox, '.') + 1;
    *number = '\0';
    if (strcmp(subject, "$JS.API.STREAM.INFO.S") == 0) {
        fprintf(to, "MSG %s0 1 %zu\r\n%s\r\n", inbox, strlen(by->info), by->info);
        return;
    }
    if (++*asked < by->asked)
        return;
    for (int i = 0; i < ANSWERS_MAX && by->answers[i].text != NULL; i++)
        send_text(to, inbox, by->answers[i].number, by->answers[i].text);
}

static void serve(int listener, const script *by)
{
    char line[512];
    int asked = 0, client = accept(listener, NULL, NULL);
    FILE *in = fdopen(client, "r"), *out = fdopen(dup(client), "w");

    fputs("INFO {}\r\n", out);
    fflush(out);
    while (fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "PING", 4) == 0)
            fputs("PONG\r\n", out);
        serve_request(out, by, line, &asked);
        fflush(out);
        if (asked > 0 && by->answers[0].text[0] == '\0')
            break; /* this script hangs up instead of answering */
    }
    _exit(0);
}

static pid_t start_server(const script *by, uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        serve(listener, by);
    close(listener);
    return pid;
}

static bool tell(void *user, uint64_t sequence, const char *subject, const char *payload, size_t length, problem *why)
{
    char *story = user;

    (void)why;
    snprintf(story + strlen(story), 256, "%" PRIu64 " %s %.*s;", sequence, subject, (int)length, payload);
    return true;
}

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        char story[4096] = "";
        problem why = { "" };
        uint16_t port = 0;
        pid_t server = start_server(&scripts[i], &port);
        raw_nats *connection = raw_nats_open(port, &why);
        CHECK(why.text, connection != NULL);
        if (!stream_read(connection, "S", tell, story, &why))
            snprintf(story + strlen(story), 600, "error %s", why.text);
        raw_nats_close(connection);
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        if (strcmp(story, scripts[i].story) != 0)
            print_error("%s gave: %s\n", scripts[i].name, story);
        CHECK(scripts[i].name, strcmp(story, scripts[i].story) == 0);
    }
}

static const struct {
    const char *text, *octets; /* NULL: refused */
} codes[] = {
    { "", "" },
    { "Zg==", "f" },
    { "Zm8=", "fo" },
    { "Zm9v", "foo" },
    { "Zm9vYg==", "foob" },
    { "Zm9vYmE=", "fooba" },
    { "Zm9vYmFy", "foobar" },
    { "++//", "\xfb\xef\xff" },
    { "Zg", NULL },
    { "Zg=", NULL },
    { "Z===", NULL },
    { "Zg==Zg==", NULL },
    { "Zm9-", NULL },
    { "Zm 9", NULL },
    { "====", NULL },
};

static void test_base64(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        char out[8];
        size_t length = 0;
        bool good = base64_decode(codes[i].text, strlen(codes[i].text), out, sizeof out, &length);
        CHECK(codes[i].text, good == (codes[i].octets != NULL));
        CHECK(codes[i].text, !good || (length == strlen(codes[i].octets) && memcmp(out, codes[i].octets, length) == 0));
        CHECK(codes[i].text, length < 4 || !base64_decode(codes[i].text, strlen(codes[i].text), out, 3, &length));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
