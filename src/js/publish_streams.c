/* SPDX-License-Identifier: Apache-2.0 */
#include "js/publish_streams.h"

#include "base/heap.h"
#include "base/mem.h"
#include "wire/subject.h"

#include <nbj/time.h>

#define ASKS_MAX 3u
#define SUBJECTS_MAX 65536u /* octets of a stream's filters; more are not kept */

static void free_stream(const nbj_allocator *alloc, nbj__publish_stream *s)
{
    nbj__free_text(alloc, s->name);
    nbj__free_text(alloc, s->domain);
    nbj__free(alloc, s->subjects, s->subjects_len);
    nbj__free(alloc, s, sizeof *s);
}

void nbj__publish_streams_free(nbj__publish_streams *t)
{
    for (size_t i = 0; i < t->count; i++)
        free_stream(t->alloc, t->items[i]);
    *t = (nbj__publish_streams){ 0 };
}

static bool is_of(const nbj__publish_stream *s, const nbj__pub_ack *ack)
{
    return strcmp(s->name, ack->stream) == 0 && strcmp(s->domain, ack->domain) == 0;
}

static nbj__publish_stream *new_stream(const nbj_allocator *alloc, const nbj__pub_ack *ack)
{
    nbj__publish_stream *s = nbj__alloc0(alloc, sizeof *s);

    if (s == NULL)
        return NULL;
    s->name = nbj__copy_text(alloc, nbj_str(ack->stream));
    s->domain = nbj__copy_text(alloc, nbj_str(ack->domain));
    s->window_ns = NBJ__DUPLICATE_WINDOW_NS;
    if (s->name != NULL && s->domain != NULL)
        return s;
    free_stream(alloc, s);
    return NULL;
}

bool nbj__publish_streams_see(nbj__publish_streams *t, const nbj__pub_ack *ack)
{
    if (t->last != NULL && is_of(t->last, ack))
        return false;
    for (size_t i = 0; i < t->count; i++) {
        if (is_of(t->items[i], ack)) {
            t->last = t->items[i];
            return false;
        }
    }
    nbj__publish_stream *s = t->count < NBJ__PUBLISH_STREAMS_MAX ? new_stream(t->alloc, ack) : NULL;
    if (s == NULL) /* the usual window is taken for it */
        return false;
    t->items[t->count++] = s;
    t->last = s;
    return true;
}

nbj__publish_stream *nbj__publish_streams_unasked(const nbj__publish_streams *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!t->items[i]->is_known && t->items[i]->asked < ASKS_MAX)
            return t->items[i];
    }
    return NULL;
}

/* --- what a stream says --- */

static size_t subjects_len(const nbj__json *subjects)
{
    size_t len = 0;

    for (size_t i = 0; i < nbj__json_length(subjects); i++)
        len += nbj__json_item_text(subjects, i).len + 1;
    return len <= SUBJECTS_MAX ? len : 0;
}

static void copy_subjects(const nbj_allocator *alloc, nbj__publish_stream *s, const nbj__json *subjects)
{
    size_t len = subjects_len(subjects);
    char *to = len > 0 ? nbj__alloc(alloc, len) : NULL;

    if (to == NULL)
        return;
    s->subjects = to;
    s->subjects_len = len;
    for (size_t i = 0; i < nbj__json_length(subjects); i++) {
        nbj_bytes one = nbj__json_item_text(subjects, i);
        if (one.len > 0)
            memcpy(to, one.ptr, one.len);
        to[one.len] = '\0';
        to += one.len + 1;
    }
}

void nbj__publish_stream_learn(nbj__publish_streams *t, nbj__publish_stream *s, const nbj__json *info)
{
    const nbj__json *config = nbj__json_object(info, "config");
    uint64_t window = config != NULL ? nbj__json_u64(config, "duplicate_window") : 0;

    s->is_known = true;
    if (window > 0)
        s->window_ns = window;
    if (config != NULL && s->subjects == NULL)
        copy_subjects(t->alloc, s, nbj__json_array(config, "subjects"));
}

static bool takes(const nbj__publish_stream *s, nbj_bytes subject)
{
    for (size_t i = 0; i < s->subjects_len; i += strlen(s->subjects + i) + 1) {
        if (nbj__subject_matches(nbj_str(s->subjects + i), subject))
            return true;
    }
    return false;
}

uint64_t nbj__publish_streams_window(const nbj__publish_streams *t, nbj_bytes subject)
{
    uint64_t shortest = NBJ__DUPLICATE_WINDOW_NS;

    for (size_t i = 0; i < t->count; i++) {
        if (takes(t->items[i], subject))
            return t->items[i]->window_ns;
        shortest = nbj__time_min(shortest, t->items[i]->window_ns);
    }
    return shortest;
}
