/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing into a stream: outcomes, ids, many at once, expectations, order. docs/guide/publishing.md explains it.
 *
 *     publishing [URL] */
#include <inttypes.h>
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>

/* What came of one message. */
static nbj_status tell(const char *what, const nbj_publish_result *r, nbj_error *error)
{
    switch (r->outcome) {
    case NBJ_STORED:
        printf("%s: number %" PRIu64 "\n", what, r->ack.sequence);
        break;
    case NBJ_DUPLICATE: /* as good as stored */
        printf("%s: the stream has it as number %" PRIu64 "\n", what, r->ack.sequence);
        break;
    case NBJ_REJECTED: /* not stored: the error says what to mend */
    case NBJ_UNKNOWN:  /* may be stored: publish it again, with the same id */
        printf("%s: %s: %s\n", what, r->outcome == NBJ_REJECTED ? "rejected" : "unknown", nbj_error_text(&r->error));
        break;
    }
    *error = r->error;
    return nbj_is_stored(r) ? NBJ_OK : r->error.status;
}

/* The id is the event's own, so this may be called again for it: after NBJ_UNKNOWN, or when the program starts anew. */
static nbj_status publish_event(nbj_client *client, nbj_error *error)
{
    const nbj_publish_options *options = NBJ_PUBLISH(.msg_id = "ride-7-pickup");
    nbj_publish_result r;
    nbj_status st = nbj_publish(client, "ride.7.pickup", nbj_str("{}"), options, &r);

    for (int more = 2; st != NBJ_OK && r.outcome == NBJ_UNKNOWN && more > 0; more--)
        st = nbj_publish(client, "ride.7.pickup", nbj_str("{}"), options, &r);
    return tell("pickup", &r, error);
}

typedef struct counts {
    uint64_t stored, failed;
} counts;

/* Runs on the client's thread for callbacks. */
static void on_result(void *user, const nbj_publish_result *r)
{
    counts *n = user;

    if (nbj_is_stored(r))
        n->stored++;
    else
        n->failed++;
}

static nbj_status publish_many(nbj_client *client, nbj_error *error)
{
    static counts n; /* static: outcomes may come after the flush has given up */
    uint64_t unfinished = 0;
    nbj_status st = NBJ_OK;

    for (int i = 0; i < 1000 && st == NBJ_OK; i++) /* waits while 256 have no outcome, see main() */
        st = nbj_publish_async(client, "ride.7.moved", nbj_str("{}"), NBJ_PUBLISH(.error = error), on_result, &n);
    if (st == NBJ_OK)
        st = nbj_publish_flush(client, NBJ_SECONDS(10), &unfinished);
    if (st == NBJ_OK)
        printf("moved: %" PRIu64 " stored, %" PRIu64 " not\n", n.stored, n.failed);
    return st;
}

/* Reads, decides, and publishes only if nobody was faster. */
static nbj_status change_state(nbj_client *client, nbj_error *error)
{
    nbj_publish_result r = { .error.status = NBJ_E_WRONG_LAST_SEQUENCE };

    for (int tries = 0; tries < 5 && r.error.status == NBJ_E_WRONG_LAST_SEQUENCE; tries++) {
        nbj_stored_msg *last = NULL;
        nbj_status st = nbj_stored_get(client, "RIDES", NBJ_GET(.last_of = "ride.7.state"), NULL, &last, error);
        if (st != NBJ_OK && st != NBJ_E_NOT_FOUND)
            return st;
        uint64_t seen = st == NBJ_OK ? nbj_stored_msg_sequence(last) : NBJ_EXPECT_NONE_YET;
        nbj_stored_msg_release(last);
        st = nbj_publish(client, "ride.7.state", nbj_str("on the way"), NBJ_PUBLISH(.expect_subject_sequence = seen),
                         &r);
        if (st == NBJ_OK)
            break;
    }
    return tell("state", &r, error);
}

/* Behind a failure nothing passes until the program says so. */
static nbj_status publish_in_order(nbj_client *client, nbj_error *error)
{
    const nbj_publish_options *wrong = NBJ_PUBLISH(.ordered = true, .expect_stream = "OTHER");
    const nbj_publish_options *right = NBJ_PUBLISH(.ordered = true);
    nbj_publish_result r;

    if (nbj_publish(client, "ride.7.step", nbj_str("1"), wrong, &r) != NBJ_OK)
        tell("step 1", &r, error);
    if (nbj_publish(client, "ride.7.step", nbj_str("2"), right, &r) == NBJ_E_ORDER)
        tell("step 2", &r, error);
    nbj_status st = nbj_publish_resume(client); /* all have their outcomes: they were waited for */
    for (int i = 0; i < 2 && st == NBJ_OK; i++)
        st = nbj_publish(client, "ride.7.step", nbj_str(i == 0 ? "1" : "2"), right, &r);
    return st == NBJ_OK ? tell("step 2", &r, error) : st;
}

int main(int argc, char **argv)
{
    static nbj_status (*const steps[])(nbj_client *, nbj_error *) = { publish_event, publish_event, publish_many,
                                                                      change_state, publish_in_order };
    const nbj_client_options *options =
        NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL, .name = "publishing", .publish_max_messages = 256);
    const nbj_stream_config *rides = NBJ_STREAM_CONFIG(.name = "RIDES", .subjects = NBJ_LIST("ride.>"));
    nbj_client *client = NULL;
    nbj_error error = { 0 };

    nbj_status st = nbj_client_open(&client, options, &error);
    if (st == NBJ_OK)
        st = nbj_stream_ensure(client, rides, NULL, &error);
    for (size_t i = 0; st == NBJ_OK && i < sizeof steps / sizeof steps[0]; i++) {
        error = (nbj_error){ 0 };
        st = steps[i](client, &error);
    }
    if (st != NBJ_OK)
        fprintf(stderr, "publishing: %s\n", error.status == st ? nbj_error_text(&error) : nbj_strerror(st));
    else if ((st = nbj_client_drain(client, NBJ_SECONDS(5))) != NBJ_OK)
        fprintf(stderr, "publishing: drain: %s\n", nbj_strerror(st));
    nbj_client_release(client);
    return st == NBJ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
