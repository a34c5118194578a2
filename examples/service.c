/* SPDX-License-Identifier: Apache-2.0 */
/* A service: answers requests on "shout" in capitals. Any number of them share the work as a queue group; one that is
 * told to end (SIGTERM, SIGINT) answers what has reached it, and nothing is lost.
 *
 *     service [URL] */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <nbj/nbj.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct service {
    nbj_client *client;
    unsigned answered; /* by callbacks, which run one after the other */
} service;

static void on_request(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    service *s = user;
    nbj_bytes text = nbj_msg_data(msg);
    char answer[256];
    size_t len = 0;

    (void)sub;
    while (len < text.len && len < sizeof answer) {
        answer[len] = (char)toupper(text.ptr[len]);
        len++;
    }
    nbj_status st = nbj_respond(msg, nbj_view(answer, len), NULL);
    if (st == NBJ_OK)
        s->answered++;
    else if (st != NBJ_E_NOT_FOUND) /* nobody wants to know */
        fprintf(stderr, "service: not answered: %s\n", nbj_strerror(st));
}

/* What goes wrong later mends itself; it is only reported. */
static void on_event(void *user, nbj_client *client, const nbj_event *event)
{
    (void)user;
    (void)client;
    if (event->type == NBJ_EVENT_DISCONNECTED || event->type == NBJ_EVENT_SERVER_ERROR)
        fprintf(stderr, "service: %s\n", nbj_error_text(event->error));
}

static bool is_fine(const char *what, nbj_status st, const nbj_error *error)
{
    if (st != NBJ_OK)
        fprintf(stderr, "service: %s: %s\n", what, error != NULL ? nbj_error_text(error) : nbj_strerror(st));
    return st == NBJ_OK;
}

/* Serves until a signal of |end| comes, then ends in an orderly way. */
static bool serve(service *s, const sigset_t *end)
{
    nbj_sub *sub = NULL;
    int signal = 0;
    bool fine =
        is_fine("subscribe", nbj_subscribe(s->client, "shout", NBJ_SUB(.queue_group = "shouters"), on_request, s, &sub),
                NULL) &&
        is_fine("subscribe", nbj_flush(s->client, 0), NULL); /* the server knows of us */

    if (fine) {
        printf("ready\n");
        fflush(stdout);
        sigwait(end, &signal);
        fine = is_fine("drain", nbj_client_drain(s->client, NBJ_SECONDS(10)), NULL);
        printf("answered %u\n", s->answered);
    }
    nbj_sub_release(sub);
    return fine;
}

int main(int argc, char **argv)
{
    service s = { 0 };
    nbj_error error = { 0 };
    sigset_t end;

    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    sigprocmask(SIG_BLOCK, &end, NULL); /* they wait for sigwait(); the library's threads take no signals */

    const nbj_client_options *options =
        NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL, .name = "service", .on_event = on_event);
    if (!is_fine("open", nbj_client_open(&s.client, options, &error), &error))
        return EXIT_FAILURE;
    bool fine = serve(&s, &end);
    nbj_client_release(s.client);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
