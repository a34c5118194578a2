/* SPDX-License-Identifier: Apache-2.0 */
/* Asks JetStream, one question at a time and in the background, what a publish window would like to know of streams: how
 * long one remembers message ids (STREAM.INFO), and whether any takes a subject that nobody answers on (STREAM.NAMES).
 * Nothing waits for the answers, and without them the window goes on as if nobody knew. */
#ifndef NBJ_JS_PUBLISH_ASK_H
#define NBJ_JS_PUBLISH_ASK_H

#include "js/op.h"
#include "js/publish.h"

typedef struct nbj__publish_asker {
    nbj__publisher *publisher;
    nbj__call call;
    bool is_open;
    char *looked_up;                    /* the subject of a lookup; NULL: it is about … */
    nbj__publish_stream *stream;        /* … this one's window */
    char subject[NBJ__API_SUBJECT_MAX]; /* of the request */
} nbj__publish_asker;

void nbj__publish_asker_init(nbj__publish_asker *a, nbj__publisher *p);
void nbj__publish_asker_stop(nbj__publish_asker *a); /* forgets what is under way; before the publisher is freed */

static inline bool nbj__publish_asker_is_due(const nbj__publish_asker *a)
{
    return (a->publisher->wants_windows || a->publisher->wants_lookup) && !a->is_open;
}

/* Sends the next question to the API at |where|; a stream that named its domain is asked there unless |where| names
 * another. */
void nbj__publish_asker_ask(nbj__publish_asker *a, const nbj__js_where *where, nbj_time now);

/* The outcome of |a->call|. */
void nbj__publish_asker_on_call(nbj__publish_asker *a, const nbj__event *ev);

/* Whether a permission that is missing for |subject| is nothing but ours. */
static inline bool nbj__publish_asker_asked(const nbj__publish_asker *a, nbj_bytes subject)
{
    return a->is_open && nbj_bytes_equal(nbj_str(a->subject), subject);
}

#endif
