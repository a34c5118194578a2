/* SPDX-License-Identifier: Apache-2.0 */
#include "natsc.h"

#include "fail.h"

#include <stdio.h>
#include <stdlib.h>

void natsc_must(natsStatus s, const char *what)
{
    if (s != NATS_OK)
        fail("nats.c: %s: %s", what, natsStatus_GetText(s));
}

void *natsc_open(const job *j)
{
    natsc *n = must_alloc(1, sizeof *n);

    n->job = j;
    latch_init(&n->received);
    natsc_must(natsConnection_ConnectTo(&n->connection, j->url), "connect");
    return n;
}

void natsc_close(void *state)
{
    natsc *n = state;

    free(n->subscriptions);
    jsCtx_Destroy(n->js);
    natsConnection_Destroy(n->connection);
    latch_free(&n->received);
    free(n);
    nats_Close();
}

static const worker_path end = { 0 };

int main(int argc, char **argv)
{
    const worker_path paths[] = { natsc_core_publish,
                                  natsc_core_subscribe,
                                  natsc_request,
                                  natsc_publish_sync,
                                  natsc_publish_async,
                                  natsc_consume_ack,
                                  end };
    char name[64];

    snprintf(name, sizeof name, "nats.c %s", nats_GetVersion());
    return worker_main(argc, argv, name, paths);
}
