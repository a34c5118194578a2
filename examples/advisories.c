/* SPDX-License-Identifier: Apache-2.0 */
/* What servers tell about a stream without being asked, in the library's own loop. docs/guide/streams.md explains it.
 *
 *     advisories [URL]     makes a stream, changes and deletes it, and shows what a server tells of the first two */
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STREAM "WATCHED"

typedef struct watch {
    nbj_client *client;
    bool is_done;
} watch;

/* Of what ends because we close the client nothing is said. */
static void fail(watch *w, nbj_status st, const nbj_error *error)
{
    if (w->is_done)
        return;
    fprintf(stderr, "advisories: %s\n", error != NULL ? nbj_error_text(error) : nbj_strerror(st));
    nbj_client_close(w->client);
}

static void on_deleted(void *user, nbj_status st, const nbj_error *error)
{
    watch *w = user;

    if (st != NBJ_OK) {
        fail(w, st, error);
        return;
    }
    w->is_done = true;
    nbj_client_close(w->client);
}

/* Valid until it returns. */
static void on_advisory(void *user, nbj_advisories *advisories, const nbj_advisory *a)
{
    watch *w = user;

    (void)advisories;
    if (a->kind == NBJ_ADVISORY_STREAM_CREATED)
        printf("created: %.*s\n", NBJ_FMT(a->stream));
    if (a->kind == NBJ_ADVISORY_STREAM_UPDATED) {
        printf("updated: %.*s\n", NBJ_FMT(a->stream));
        nbj_status st = nbj_stream_delete_async(w->client, STREAM, NULL, on_deleted, w);
        if (st != NBJ_OK)
            fail(w, st, NULL);
    }
}

/* No more will come, such as for want of a permission. */
static void on_end(void *user, nbj_advisories *advisories, nbj_status why)
{
    (void)advisories;
    fail(user, why, NULL);
}

static void on_updated(void *user, nbj_status st, const nbj_stream_info *info, const nbj_error *error)
{
    (void)info;
    if (st != NBJ_OK)
        fail(user, st, error);
}

static void on_made(void *user, nbj_status st, const nbj_error *error)
{
    watch *w = user;
    const nbj_stream_config *change = NBJ_STREAM_CONFIG(.name = STREAM, .max_age_ns = NBJ_HOURS(1));

    if (st == NBJ_OK)
        st = nbj_stream_update_async(w->client, change, NULL, on_updated, w);
    if (st != NBJ_OK)
        fail(w, st, error);
}

int main(int argc, char **argv)
{
    const nbj_advisory_options *which =
        NBJ_ADVISORIES(.stream = STREAM, .kinds = NBJ_ADVISORY_BIT(NBJ_ADVISORY_STREAM_CREATED) |
                                                  NBJ_ADVISORY_BIT(NBJ_ADVISORY_STREAM_UPDATED));
    const nbj_stream_config *stream = NBJ_STREAM_CONFIG(.name = STREAM, .subjects = NBJ_LIST("watched"));
    watch w = { 0 };
    nbj_advisories *advisories = NULL;
    nbj_error error = { 0 };

    nbj_status st = nbj_loop_open(&w.client, NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL), &error);
    if (st == NBJ_OK)
        st = nbj_advisories_subscribe(w.client, which, on_advisory, on_end, &w, &advisories);
    if (st == NBJ_OK)
        st = nbj_stream_ensure_async(w.client, stream, NULL, on_made, &w);
    if (st != NBJ_OK)
        fprintf(stderr, "advisories: %s\n", error.status == st ? nbj_error_text(&error) : nbj_strerror(st));
    for (time_t end = time(NULL) + 10; st == NBJ_OK && time(NULL) < end;) /* advisories may be lost: not for ever */
        st = nbj_loop_turn(w.client, NBJ_SECONDS(1));
    nbj_advisories_release(advisories);
    nbj_client_release(w.client);
    return w.is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
