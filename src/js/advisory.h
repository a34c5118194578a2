/* SPDX-License-Identifier: Apache-2.0 */
/* Advisories and metrics: which subjects they come on, and what is in them. One table of the kinds, one of the members. */
#ifndef NBJ_JS_ADVISORY_H
#define NBJ_JS_ADVISORY_H

#include "base/json_read.h"
#include "base/text.h"

#include <nbj/advisory.h>

#define NBJ__ADVISORY_KINDS (NBJ_ADVISORY_ACK_METRIC + 1)
#define NBJ__EVENT_PREFIX "$JS.EVENT"

typedef struct nbj__advisory {
    nbj_advisory data; /* first */
    nbj__json *json;   /* what it has views of */
} nbj__advisory;

/* Which ones are wanted; texts may be NULL. */
typedef struct nbj__advisory_filter {
    uint64_t kinds;
    const char *stream, *consumer, *domain, *prefix;
} nbj__advisory_filter;

/* Fills |out| in any case; what cannot be read is NBJ_ADVISORY_UNKNOWN with its payload. NBJ_E_BAD_REPLY, NBJ_E_NOMEM. */
nbj_status nbj__advisory_read(nbj_bytes payload, nbj__advisory *out);
void nbj__advisory_clear(nbj__advisory *a);

/* Whether the names are legal and anything fits all that is asked for; zero kinds become the default. */
bool nbj__advisory_filter_check(nbj__advisory_filter *f);

/* Kinds to subscribe to, as bits: NBJ_ADVISORY_UNKNOWN for all advisories. */
uint64_t nbj__advisory_subscriptions(const nbj__advisory_filter *f);

/* The subject of |kind| to |out|. False: the kind is not about what the filter asks for. */
bool nbj__advisory_subject(const nbj__advisory_filter *f, nbj_advisory_kind kind, nbj__text *out);

/* Whether |a|, which came on one of those subjects, is wanted. */
bool nbj__advisory_is_wanted(const nbj__advisory_filter *f, const nbj_advisory *a);

#endif
