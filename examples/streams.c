/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: make, change, look at, empty, seal and delete them. What the server is too old for is told, and passed
 * over. docs/guide/streams.md explains it.
 *
 *     streams [URL] */
#include <inttypes.h>
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>

/* Every start of the program may do this. */
static nbj_status make(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *wanted =
        NBJ_STREAM_CONFIG(.name = "TRIPS", .subjects = NBJ_LIST("trip.>"), .max_age_ns = NBJ_HOURS(24));

    return nbj_stream_ensure(client, wanted, NULL, error);
}

/* A later release of the program wants more. What is there is left alone until an update is asked for. */
static nbj_status make_otherwise(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *wanted =
        NBJ_STREAM_CONFIG(.name = "TRIPS", .subjects = NBJ_LIST("trip.>"), .max_age_ns = NBJ_HOURS(48));
    nbj_status st = nbj_stream_ensure(client, wanted, NULL, error);

    if (st == NBJ_E_EXISTS_DIFFERENT) {
        printf("%s\n", nbj_error_text(error));
        st = nbj_stream_update(client, wanted, NULL, NULL, error);
    }
    return st;
}

/* Only what is named changes. */
static nbj_status change(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *changes =
        NBJ_STREAM_CONFIG(.name = "TRIPS", .max_bytes = NBJ_MIB(64), .description = "what became of trips",
                          .reset = NBJ_LIST("max_age"));
    nbj_stream_config now = { .struct_size = sizeof now };
    nbj_stream_info *info = NULL;
    nbj_status st = nbj_stream_update(client, changes, NULL, &info, error);

    if (st == NBJ_OK)
        st = nbj_stream_info_config(info, &now);
    if (st == NBJ_OK)
        printf("%s: at most %" PRId64 " octets, %s\n", now.name, now.max_bytes,
               now.max_age_ns == 0 ? "no limit of age" : "a limit of age");
    nbj_stream_info_release(info);
    return st;
}

/* A field that this library has no name for. A server that does not know it either is found out. */
static nbj_status set_unknown(nbj_client *client, nbj_error *error)
{
    const nbj_stream_config *changes = NBJ_STREAM_CONFIG(.name = "TRIPS", .more_json = "{\"of_the_future\":true}");

    return nbj_stream_update(client, changes, NULL, NULL, error);
}

static nbj_status fill(nbj_client *client, nbj_error *error)
{
    static const char *const subjects[] = { "trip.7.moved", "trip.7.moved", "trip.8.moved", "trip.8.ended" };
    nbj_publish_result r = { 0 };
    nbj_status st = NBJ_OK;

    for (size_t i = 0; st == NBJ_OK && i < sizeof subjects / sizeof subjects[0]; i++)
        st = nbj_publish(client, subjects[i], nbj_str("{}"), NULL, &r);
    *error = r.error;
    return st;
}

static nbj_status look(nbj_client *client, nbj_error *error)
{
    nbj_subject_count n;
    nbj_stream_info *info = NULL;
    nbj_status st =
        nbj_stream_info_of(client, "TRIPS", NBJ_STREAM_INFO(.subjects_filter = "trip.*.moved"), NULL, &info, error);

    if (st == NBJ_OK)
        printf("TRIPS has %" PRIu64 " messages\n", nbj_stream_info_state(info).messages);
    for (size_t i = 0; st == NBJ_OK && nbj_stream_info_subject(info, i, &n); i++)
        printf("  %s: %" PRIu64 "\n", n.subject, n.messages);
    nbj_stream_info_release(info);
    return st;
}

static nbj_status list(nbj_client *client, nbj_error *error)
{
    nbj_stream_iter *streams = nbj_stream_list(client, NULL, NBJ_CALL(.timeout_ns = NBJ_SECONDS(10)));
    const nbj_stream_info *info;

    while ((info = nbj_stream_next(streams)) != NULL)
        printf("stream %s\n", nbj_stream_info_name(info));
    return nbj_stream_iter_end(streams, error); /* says whether those were all */
}

static nbj_status empty(nbj_client *client, nbj_error *error)
{
    uint64_t purged = 0;
    nbj_status st = nbj_stream_purge(client, "TRIPS", NBJ_PURGE(.filter = "trip.8.>"), NULL, &purged, error);

    if (st == NBJ_OK)
        printf("purged %" PRIu64 " messages of trip 8\n", purged);
    return st;
}

static nbj_status seal(nbj_client *client, nbj_error *error)
{
    nbj_publish_result r;
    nbj_status st = nbj_stream_seal(client, "TRIPS", NULL, error);

    if (st == NBJ_OK && nbj_publish(client, "trip.7.moved", nbj_str("{}"), NULL, &r) != NBJ_OK)
        printf("sealed: %s\n", nbj_error_text(&r.error));
    return st == NBJ_OK ? nbj_stream_delete(client, "TRIPS", NULL, error) : st;
}

int main(int argc, char **argv)
{
    static nbj_status (*const steps[])(nbj_client *, nbj_error *) = { make, make_otherwise, change, set_unknown, fill,
                                                                      look, list,           empty,  seal };
    nbj_client *client = NULL;
    nbj_error error = { 0 };

    nbj_status st =
        nbj_client_open(&client, NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL, .name = "streams"), &error);
    for (size_t i = 0; st == NBJ_OK && i < sizeof steps / sizeof steps[0]; i++) {
        error = (nbj_error){ 0 };
        st = steps[i](client, &error);
        if (st == NBJ_E_UNSUPPORTED) {
            printf("passed over: %s\n", nbj_error_text(&error));
            st = NBJ_OK;
        }
    }
    if (st != NBJ_OK)
        fprintf(stderr, "streams: %s\n", error.status == st ? nbj_error_text(&error) : nbj_strerror(st));
    nbj_client_release(client);
    return st == NBJ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
