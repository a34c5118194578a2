/* SPDX-License-Identifier: Apache-2.0 */
#include "nbj_worker.h"

#include "fail.h"

#include <stdio.h>
#include <stdlib.h>

void nbj_must(nbj_status status, const char *what)
{
    if (status != NBJ_OK)
        fail("nbj: %s: %s", what, nbj_strerror(status));
}

void *nbj_worker_open(const job *j)
{
    worker *w = must_alloc(1, sizeof *w);
    nbj_error error = { 0 };

    w->job = j;
    w->subscriptions = must_alloc(j->subscriptions, sizeof *w->subscriptions);
    latch_init(&w->received);
    nbj_status status = nbj_client_open(
        &w->client, NBJ_CLIENT_OPTIONS(.url = j->url, .wait_when_full = true, .publish_max_messages = BENCH_WINDOW),
        &error);
    if (status != NBJ_OK)
        fail("nbj: %s", nbj_error_text(&error));
    return w;
}

void nbj_worker_close(void *state)
{
    worker *w = state;

    nbj_client_release(w->client);
    latch_free(&w->received);
    free(w->subscriptions);
    free(w);
}

static const worker_path end = { 0 };

int main(int argc, char **argv)
{
    const worker_path paths[] = { nbj_core_publish, nbj_core_subscribe, nbj_core_request, nbj_publish_sync,
                                  nbj_publish_many, nbj_consume_ack,    nbj_bulk_path,    end };

    return worker_main(argc, argv, "nbj", paths);
}
