/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as a stream keeps them, without a consumer: read one, read many, delete one. What the server is too old for is
 * told, and passed over. docs/guide/streams.md explains it.
 *
 *     stored [URL] */
#include <inttypes.h>
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>

static nbj_status fill(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *stream =
        NBJ_STREAM_CONFIG(.name = "STATES", .subjects = NBJ_LIST("state.>"), .allow_direct = true);
    nbj_publish_result r = { 0 };
    nbj_status st = nbj_stream_ensure(client, stream, NULL, error);

    if (st != NBJ_OK)
        return st;
    for (int i = 0; st == NBJ_OK && i < 3; i++) {
        st = nbj_publish(client, "state.ride7", nbj_str("moving"), NULL, &r);
        if (st == NBJ_OK)
            st = nbj_publish(client, "state.ride8", nbj_str("waiting"), NULL, &r);
    }
    *error = r.error;
    return st;
}

/* The leader answers: what was stored before is seen. */
static nbj_status read_last(nbj_client *client, nbj_error *error)
{
    nbj_stored_msg *msg = NULL;
    nbj_status st = nbj_stored_get(client, "STATES", NBJ_GET(.last_of = "state.ride7"), NULL, &msg, error);

    if (st == NBJ_OK)
        printf("ride 7: %.*s\n", NBJ_FMT(nbj_stored_msg_data(msg)));
    nbj_stored_msg_release(msg);
    return st;
}

static bool on_message(void *user, const nbj_stored_msg *msg)
{
    (void)user;
    printf("  %" PRIu64 " %.*s\n", nbj_stored_msg_sequence(msg), NBJ_FMT(nbj_stored_msg_subject(msg)));
    return true; /* the next one, too */
}

/* Any replica answers. Since 2.11. */
static nbj_status read_many(nbj_client *client, nbj_error *error)
{
    return nbj_stored_read(client, "STATES", NBJ_READ(.subject = "state.ride8"), NULL, on_message, NULL, NULL, error);
}

/* The last message of each subject, all as of one moment. Since 2.11. */
static nbj_status read_latest(nbj_client *client, nbj_error *error)
{
    const nbj_read_options *latest = NBJ_READ(.last_of = NBJ_LIST("state.*"));

    return nbj_stored_read(client, "STATES", latest, NULL, on_message, NULL, NULL, error);
}

static nbj_status delete_one(nbj_client *client, nbj_error *error)
{
    nbj_status st = nbj_stored_delete(client, "STATES", 1, NULL, error);

    if (st == NBJ_E_NOT_FOUND) /* a former try may have got through */
        st = NBJ_OK;
    if (st == NBJ_OK)
        printf("deleted number 1\n");
    return st;
}

int main(int argc, char **argv)
{
    static nbj_status (*const steps[])(nbj_client *, nbj_error *) = { fill, read_last, read_many, read_latest,
                                                                      delete_one };
    nbj_client *client = NULL;
    nbj_error error = { 0 };

    nbj_status st =
        nbj_client_open(&client, NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL, .name = "stored"), &error);
    for (size_t i = 0; st == NBJ_OK && i < sizeof steps / sizeof steps[0]; i++) {
        error = (nbj_error){ 0 };
        st = steps[i](client, &error);
        if (st == NBJ_E_UNSUPPORTED) {
            printf("passed over: %s\n", nbj_error_text(&error));
            st = NBJ_OK;
        }
    }
    if (st != NBJ_OK)
        fprintf(stderr, "stored: %s\n", error.status == st ? nbj_error_text(&error) : nbj_strerror(st));
    nbj_client_release(client);
    return st == NBJ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
