/* SPDX-License-Identifier: Apache-2.0 */
/* The usual things, with calls that wait: open, publish into a stream, subscribe, request, drain.
 *
 *     basic [URL] */
#include <inttypes.h>
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_fine(const char *what, nbj_status st, const nbj_error *error)
{
    if (st != NBJ_OK)
        fprintf(stderr, "basic: %s: %s\n", what, error != NULL ? nbj_error_text(error) : nbj_strerror(st));
    return st == NBJ_OK;
}

/* Returns when the stream has it. */
static bool publish_one(nbj_client *client)
{
    nbj_publish_result r;
    nbj_error error = { 0 };
    const nbj_stream_config *stream =
        NBJ_STREAM_CONFIG(.name = "USERS", .subjects = NBJ_LIST("user.>"), .max_age_ns = NBJ_HOURS(24));

    if (!is_fine("stream", nbj_stream_ensure(client, stream, NULL, &error), &error))
        return false;
    nbj_status st = nbj_publish(client, "user.beacon", nbj_str("{\"user_id\":\"123\"}"), NULL, &r);
    if (st == NBJ_OK)
        printf("stream %s has it as number %" PRIu64 "\n", r.ack.stream, r.ack.sequence);
    return is_fine("publish", st, NULL);
}

/* Runs on the client's thread for callbacks. */
static void on_result(void *user, const nbj_publish_result *r)
{
    (void)user;
    if (!nbj_is_stored(r))
        fprintf(stderr, "basic: not stored: %s\n", nbj_error_text(&r->error));
}

/* Many at once: the callbacks tell the outcomes, the flush waits for all of them. */
static bool publish_many(nbj_client *client)
{
    uint64_t unfinished = 0;
    nbj_status st = NBJ_OK;

    for (int i = 0; i < 1000 && st == NBJ_OK; i++)
        st = nbj_publish_async(client, "user.moved", nbj_str("{}"), NULL, on_result, NULL);
    if (st == NBJ_OK)
        st = nbj_publish_flush(client, NBJ_SECONDS(5), &unfinished);
    printf("%" PRIu64 " of 1000 are unfinished\n", unfinished);
    return is_fine("publish", st, NULL);
}

static void on_greeting(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    (void)user;
    (void)sub;
    printf("%.*s: %.*s\n", NBJ_FMT(nbj_msg_subject(msg)), NBJ_FMT(nbj_msg_data(msg)));
}

/* Plain NATS: who listens gets it. */
static bool greet(nbj_client *client, nbj_sub **sub)
{
    return is_fine("subscribe", nbj_subscribe(client, "greet.*", NULL, on_greeting, NULL, sub), NULL) &&
           is_fine("send", nbj_send(client, "greet.world", nbj_str("hello"), NULL), NULL);
}

/* examples/service.c answers, if it runs. */
static bool ask(nbj_client *client)
{
    nbj_msg *reply = NULL;
    nbj_status st = nbj_request(client, "shout", nbj_str("quietly"), NBJ_REQUEST(.timeout_ns = NBJ_SECONDS(2)), &reply);

    if (st == NBJ_OK)
        printf("answer: %.*s\n", NBJ_FMT(nbj_msg_data(reply)));
    else if (st == NBJ_E_NO_RESPONDERS)
        printf("nobody answers\n");
    nbj_msg_release(reply);
    return st == NBJ_E_NO_RESPONDERS || is_fine("request", st, NULL);
}

int main(int argc, char **argv)
{
    nbj_client *client = NULL;
    nbj_sub *greetings = NULL;
    nbj_error error = { 0 };
    const nbj_client_options *options = NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL, .name = "basic");

    if (!is_fine("open", nbj_client_open(&client, options, &error), &error))
        return EXIT_FAILURE;
    bool fine = publish_one(client) && publish_many(client) && greet(client, &greetings) && ask(client);
    fine = is_fine("drain", nbj_client_drain(client, NBJ_SECONDS(5)), NULL) && fine; /* greetings are handled, too */
    nbj_sub_release(greetings);
    nbj_client_release(client);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
