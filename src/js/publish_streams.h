/* SPDX-License-Identifier: Apache-2.0 */
/* The streams that took our messages, and how long each remembers a message's id. Which stream a message goes to is not
 * known when it is sent again; so the subjects of the streams that were asked are matched with its own. */
#ifndef NBJ_JS_PUBLISH_STREAMS_H
#define NBJ_JS_PUBLISH_STREAMS_H

#include "base/json_read.h"
#include "js/pub_ack.h"

#define NBJ__DUPLICATE_WINDOW_NS NBJ_SECONDS(120) /* of a stream that says nothing else */
#define NBJ__PUBLISH_STREAMS_MAX 64u

typedef struct nbj__publish_stream {
    char *name;
    char *domain;
    char *subjects; /* its filters, each with its NUL; NULL: not known */
    size_t subjects_len;
    uint64_t window_ns;
    uint32_t asked; /* how often; an answer ends that */
    bool is_known;  /* it has answered */
} nbj__publish_stream;

typedef struct nbj__publish_streams {
    const nbj_allocator *alloc;
    nbj__publish_stream *items[NBJ__PUBLISH_STREAMS_MAX];
    size_t count;
    const nbj__publish_stream *last; /* that took a message */
} nbj__publish_streams;

void nbj__publish_streams_free(nbj__publish_streams *t);

/* |ack| came. True: its stream is new here, so that it may be asked for its window. */
bool nbj__publish_streams_see(nbj__publish_streams *t, const nbj__pub_ack *ack);

/* One that has not answered and was not asked too often; NULL: none. */
nbj__publish_stream *nbj__publish_streams_unasked(const nbj__publish_streams *t);

/* |info| is the answer to STREAM.INFO. */
void nbj__publish_stream_learn(nbj__publish_streams *t, nbj__publish_stream *s, const nbj__json *info);

/* The duplicate window of the stream that takes |subject|. One that is not known: the shortest of those known, and at
 * most the usual one. */
uint64_t nbj__publish_streams_window(const nbj__publish_streams *t, nbj_bytes subject);

#endif
