/* SPDX-License-Identifier: Apache-2.0 */
/* A client in a loop of its own with nothing but poll(): subscribes, publishes, makes a request to itself, drains.
 *
 *     poll_loop [URL]
 *
 * What a program of yours has instead is the part in main(): wait for one descriptor, then process. */
#include <inttypes.h>
#include <nbj/nbj.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define GREETINGS 3

typedef struct app {
    nbj_client *client;
    nbj_sub *greetings, *service;
    int received;
    int exit_status;
} app;

static void must(app *a, const char *what, nbj_status st)
{
    if (st == NBJ_OK)
        return;
    fprintf(stderr, "poll_loop: %s: %s\n", what, nbj_strerror(st));
    a->exit_status = EXIT_FAILURE;
    nbj_client_close(a->client);
}

static void on_answer(void *user, nbj_status status, const nbj_msg *reply)
{
    app *a = user;

    must(a, "request", status);
    if (status == NBJ_OK)
        printf("answer: %.*s\n", NBJ_FMT(nbj_msg_data(reply)));
    nbj_client_drain_async(a->client, NBJ_SECONDS(5));
}

static void on_question(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    app *a = user;
    char reply[128];
    nbj_bytes to = nbj_msg_reply(msg);

    (void)sub;
    snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(to));
    must(a, "answer", nbj_send(a->client, reply, nbj_str("42"), NULL));
}

static void on_greeting(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    app *a = user;

    (void)sub;
    printf("%.*s: %.*s\n", NBJ_FMT(nbj_msg_subject(msg)), NBJ_FMT(nbj_msg_data(msg)));
    if (++a->received == GREETINGS)
        must(a, "request", nbj_request_async(a->client, "question", nbj_str("?"), NULL, on_answer, a));
}

static void on_event(void *user, nbj_client *client, const nbj_event *event)
{
    app *a = user;

    if (event->type == NBJ_EVENT_CONNECTED) {
        char version[32];
        if (nbj_client_server_version(client, version, sizeof version) == NBJ_OK)
            printf("connected to nats-server %s\n", version);
    }
    if (event->type == NBJ_EVENT_CLOSED && event->error->status != NBJ_OK) {
        fprintf(stderr, "poll_loop: %s\n", nbj_error_text(event->error));
        a->exit_status = EXIT_FAILURE;
    }
}

int main(int argc, char **argv)
{
    app a = { .exit_status = EXIT_SUCCESS };
    nbj_error error = { 0 };
    const nbj_client_options *options = NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL, .name = "poll_loop",
                                                           .on_event = on_event, .user_data = &a);

    if (nbj_loop_open(&a.client, options, &error) != NBJ_OK) {
        fprintf(stderr, "poll_loop: %s\n", nbj_error_text(&error));
        return EXIT_FAILURE;
    }
    must(&a, "subscribe", nbj_subscribe(a.client, "greet.*", NULL, on_greeting, &a, &a.greetings));
    must(&a, "subscribe", nbj_subscribe(a.client, "question", NULL, on_question, &a, &a.service));
    for (int i = 0; i < GREETINGS; i++)
        must(&a, "send", nbj_send(a.client, "greet.world", nbj_str("hello"), NULL));

    nbj_status st = NBJ_OK;
    while (st != NBJ_E_CLOSED) { /* this is all that a loop has to do */
        struct pollfd wait = { .fd = nbj_loop_fd(a.client), .events = POLLIN };
        uint64_t ms = nbj_loop_timeout_ns(a.client) / 1000000;
        poll(&wait, 1, ms > 1000 ? 1000 : (int)ms + (ms > 0));
        st = nbj_loop_process(a.client);
    }
    nbj_sub_release(a.greetings);
    nbj_sub_release(a.service);
    nbj_client_release(a.client);
    return a.exit_status;
}
