/* SPDX-License-Identifier: Apache-2.0 */
#include "nbj_worker.h"

#include "fail.h"

/* One bulk a round, from its beginning to the answer that says that all of it is stored. */
static void run(void *state, round *r)
{
    worker *w = state;
    nbj_bytes data = payload_of(w, r->data);
    nbj_bulk *bulk = NULL;
    nbj_bulk_result result;

    round_begin(r);
    nbj_must(nbj_bulk_open(w->client, NBJ_BULK(.messages_per_ack = BENCH_FLOW, .outstanding_acks = BENCH_OUTSTANDING),
                           &bulk, NULL),
             "bulk");
    for (uint64_t i = 0; i < r->messages; i++)
        nbj_must(nbj_bulk_add(bulk, BENCH_STREAM_SUBJECT, data, NULL), "add");
    if (nbj_bulk_finish(bulk, PATIENCE_NS, &result) != NBJ_OK)
        fail("nbj: bulk: %s", nbj_error_text(&result.error));
    round_end(r);
    if (result.stored != r->messages || result.restarts > 0)
        fail("nbj: %llu were stored", (unsigned long long)result.stored);
    nbj_bulk_release(bulk);
}

const worker_path nbj_bulk_path = { .path = "bulk", .open = nbj_worker_open, .run = run, .close = nbj_worker_close };
