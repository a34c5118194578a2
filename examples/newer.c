/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing as only newer servers can: a time to live, counters, schedules, atomic batches, bulks. What the server is too
 * old for is told, and passed over. docs/guide/publishing.md explains it.
 *
 *     newer [URL] */
#include <inttypes.h>
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static nbj_status publish(nbj_client *client, const char *subject, const char *text, const nbj_publish_options *options,
                          nbj_publish_result *r, nbj_error *error)
{
    nbj_status st = nbj_publish(client, subject, nbj_str(text), options, r);

    *error = r->error;
    return st;
}

/* Since 2.11. */
static nbj_status offer_for_a_minute(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *stream =
        NBJ_STREAM_CONFIG(.name = "OFFERS", .subjects = NBJ_LIST("offer.>"), .allow_msg_ttl = true);
    nbj_publish_result r;
    nbj_status st = nbj_stream_ensure(client, stream, NULL, error);

    if (st == NBJ_OK)
        st = publish(client, "offer.7", "{}", NBJ_PUBLISH(.ttl_ns = NBJ_MINUTES(1)), &r, error);
    if (st == NBJ_OK)
        printf("an offer for a minute: number %" PRIu64 "\n", r.ack.sequence);
    return st;
}

/* Since 2.12. */
static nbj_status count(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *stream =
        NBJ_STREAM_CONFIG(.name = "COUNTS", .subjects = NBJ_LIST("count.>"), .allow_msg_counter = true);
    nbj_publish_result r;
    nbj_status st = nbj_stream_ensure(client, stream, NULL, error);

    if (st == NBJ_OK)
        st = publish(client, "count.rides", "", NBJ_PUBLISH(.increment = 3), &r, error);
    if (st == NBJ_OK)
        printf("rides: %s\n", r.ack.value);
    return st;
}

/* Since 2.12; those that repeat since 2.14. */
static nbj_status remind(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *stream =
        NBJ_STREAM_CONFIG(.name = "PLANS", .subjects = NBJ_LIST("plan.>", "due.>"), .allow_msg_schedules = true);
    const nbj_schedule *in_a_minute = NBJ_SCHEDULE(.at_unix_ns = NBJ_SECONDS(time(NULL) + 60), .target = "due.7");
    const nbj_schedule *every_hour = NBJ_SCHEDULE(.cron = "@hourly", .target = "due.report");
    nbj_publish_result r;
    nbj_status st = nbj_stream_ensure(client, stream, NULL, error);

    if (st == NBJ_OK)
        st = publish(client, "plan.7", "pick up", NBJ_PUBLISH(.schedule = in_a_minute), &r, error);
    if (st == NBJ_OK)
        printf("plan.7 will be published to due.7\n");
    if (st == NBJ_OK)
        st = publish(client, "plan.report", "{}", NBJ_PUBLISH(.schedule = every_hour), &r, error);
    if (st == NBJ_OK)
        printf("plan.report will be published to due.report, again and again\n");
    return st;
}

/* Since 2.12: both or none, and only if there is no such account yet. */
static nbj_status open_account(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *stream =
        NBJ_STREAM_CONFIG(.name = "ACCOUNTS", .subjects = NBJ_LIST("account.>"), .allow_atomic = true);
    const nbj_publish_options *first = NBJ_PUBLISH(.expect_subject_sequence = NBJ_EXPECT_NONE_YET, .error = error);
    nbj_batch *batch = NULL;
    nbj_batch_result r;
    nbj_status st = nbj_stream_ensure(client, stream, NULL, error);

    if (st == NBJ_OK)
        st = nbj_batch_begin(client, NULL, &batch, error);
    if (st == NBJ_OK)
        st = nbj_batch_add(batch, "account.7.opened", nbj_str("{}"), first);
    if (st == NBJ_OK)
        st = nbj_batch_add(batch, "account.7.paid", nbj_str("20"), NULL);
    if (st == NBJ_OK) {
        st = nbj_batch_commit(batch, &r);
        *error = r.error;
    }
    if (st == NBJ_OK)
        printf("%" PRIu64 " messages at once, the last is number %" PRIu64 "\n", r.ack.count, r.ack.sequence);
    else if (st == NBJ_E_WRONG_LAST_SEQUENCE)
        printf("none of the batch is stored: %s\n", nbj_error_text(error));
    nbj_batch_release(batch);
    return st == NBJ_E_WRONG_LAST_SEQUENCE ? NBJ_OK : st;
}

/* Since 2.14: much, with a count instead of an outcome for each. */
static nbj_status import(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *stream =
        NBJ_STREAM_CONFIG(.name = "TRACKS", .subjects = NBJ_LIST("track.>"), .allow_batched = true);
    nbj_bulk *bulk = NULL;
    nbj_bulk_result r;
    nbj_status st = nbj_stream_ensure(client, stream, NULL, error);

    if (st == NBJ_OK)
        st = nbj_bulk_open(client, NULL, &bulk, error);
    for (int i = 0; st == NBJ_OK && i < 10000; i++)
        st = nbj_bulk_add(bulk, "track.7", nbj_str("{}"), NULL); /* waits for room */
    if (bulk != NULL) {
        nbj_status end = nbj_bulk_finish(bulk, 0, &r); /* after a failure, too: it tells what is stored */
        st = st == NBJ_OK ? end : st;
        *error = r.error;
        printf("%" PRIu64 " of %" PRIu64 " are stored\n", r.stored, r.added);
    }
    nbj_bulk_release(bulk);
    return st;
}

int main(int argc, char **argv)
{
    static nbj_status (*const steps[])(nbj_client *, nbj_error *) = { offer_for_a_minute, count, remind, open_account,
                                                                      import };
    nbj_client *client = NULL;
    nbj_error error = { 0 };

    nbj_status st =
        nbj_client_open(&client, NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL, .name = "newer"), &error);
    for (size_t i = 0; st == NBJ_OK && i < sizeof steps / sizeof steps[0]; i++) {
        error = (nbj_error){ 0 };
        st = steps[i](client, &error);
        if (st == NBJ_E_UNSUPPORTED) {
            printf("passed over: %s\n", nbj_error_text(&error));
            st = NBJ_OK;
        }
    }
    if (st != NBJ_OK)
        fprintf(stderr, "newer: %s\n", error.status == st ? nbj_error_text(&error) : nbj_strerror(st));
    nbj_client_release(client);
    return st == NBJ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
