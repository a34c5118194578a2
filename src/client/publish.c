/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "client/options.h"
#include "driver/os.h"

#define TIMEOUT_NS NBJ_SECONDS(10)

nbj_status nbj_publish_async(nbj_client *client, const char *subject, nbj_bytes data,
                             const nbj_publish_options *options, nbj_publish_fn *on_result, void *user)
{
    nbj_publish_options o;
    nbj_time now = nbj__os_now();

    if (on_result == NULL || nbj__options_read(&o, sizeof o, options) != NBJ_OK)
        return NBJ_E_INVALID;
    if (client->draining)
        return NBJ_E_DRAINING;
    nbj__publish m = {
        .msg = { .subject = nbj_str(subject), .headers = o.headers, .header_count = o.header_count, .payload = data },
        .msg_id = nbj_str(o.msg_id),
        .no_id = o.no_msg_id,
        .deadline = nbj__time_add(now, o.timeout_ns > 0 ? o.timeout_ns : TIMEOUT_NS),
        .user = { (void (*)(void))on_result, user }
    };
    return nbj__publisher_publish(&client->publisher, &m, now);
}

static nbj_outcome outcome_of(nbj__publish_outcome o)
{
    switch (o) {
    case NBJ__STORED:
        return NBJ_STORED;
    case NBJ__DUPLICATE:
        return NBJ_DUPLICATE;
    case NBJ__REJECTED:
        return NBJ_REJECTED;
    case NBJ__UNKNOWN:
        break;
    }
    return NBJ_UNKNOWN;
}

void nbj__client_on_result(nbj_client *c, const nbj__publish_result *r)
{
    nbj_publish_fn *fn = (nbj_publish_fn *)r->user.fn;
    nbj_publish_result result = { .outcome = outcome_of(r->outcome),
                                  .ack = { r->ack.stream, r->ack.domain, r->ack.sequence },
                                  .error = r->error };

    if (!c->released)
        fn(r->user.data, &result);
}

uint64_t nbj_publish_unfinished(const nbj_client *client)
{
    return nbj__publisher_unfinished(&client->publisher);
}
