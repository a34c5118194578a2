/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the window's messages: acknowledgements, refusals, and the end without either. */
#include "js/publish_int.h"

#include "base/canary.h"
#include "base/text.h"

#define STARTING_NS NBJ_SECONDS(5) /* after connecting, streams may still be on their way up */

/* Lets the ring's beginning move over what is done. */
static void move_head(nbj__publisher *p)
{
    while (p->head < p->tail && nbj__publish_entry_at(p, p->head)->state == NBJ__PUBLISH_DONE) {
        nbj__publish_entry *e = nbj__publish_entry_at(p, p->head);
        nbj__buf_consume(&p->frames, e->frame_len);
        if (p->head < p->cursor)
            p->cursor_offset -= e->frame_len;
        else
            p->cursor++; /* done before it was sent */
        p->head++;
    }
}

/* |held|: some are paused, or this one was. */
static void note_ordered(nbj__publisher *p, uint64_t n, nbj__publish_outcome outcome, bool held)
{
    bool stored = outcome == NBJ__STORED || outcome == NBJ__DUPLICATE;

    p->ordered_open--;
    if (held || !stored)
        p->due = 0; /* others go on, or end */
    if (outcome != NBJ__REJECTED && p->ordered_stored <= n)
        p->ordered_stored = n + 1;
    if (!stored && (!p->is_stopped || n < p->stopped_at)) {
        p->is_stopped = true;
        p->stopped_at = n;
    }
}

void nbj__publish_finish(nbj__publisher *p, uint64_t n, nbj__publish_outcome outcome, nbj__publish_result *r)
{
    nbj__publish_entry *e = nbj__publish_entry_at(p, n);
    bool held = p->ordered_paused > 0;

    r->user = e->user;
    r->outcome = outcome;
    r->bytes = e->frame_len;
    nbj__publish_set_state(p, e, NBJ__PUBLISH_DONE);
    p->open--;
    if (e->ordered)
        note_ordered(p, n, outcome, held);
    if (!NBJ__CANARY(JS_LATE_ACK))
        e->generation = (e->generation + 1) % NBJ__PUBLISH_GENERATIONS;
    move_head(p);
}

/* As |r|'s error says, which is set. */
static void fail(nbj__publisher *p, uint64_t n, nbj__publish_outcome outcome, nbj__publish_result *r)
{
    nbj__pub_ack_clear(&r->ack);
    nbj__publish_finish(p, n, outcome, r);
}

void nbj__publish_give_up(nbj__publisher *p, uint64_t n, nbj_status status, const char *text, nbj__publish_result *r)
{
    bool may_be_stored = nbj__publish_in_doubt(nbj__publish_entry_at(p, n)) > 0 && !NBJ__CANARY(JS_DOUBT_FORGOTTEN);

    nbj__error_set(&r->error, status, text, may_be_stored ? ": it may or may not be stored" : ": it is not stored",
                   (char *)NULL);
    fail(p, n, may_be_stored ? NBJ__UNKNOWN : NBJ__REJECTED, r);
}

/* The open message that |token| names. */
static nbj__publish_entry *find(const nbj__publisher *p, nbj_bytes token, uint64_t *n)
{
    uint64_t value = 0;

    if (token.len != NBJ__PUBLISH_TOKEN || token.ptr[0] != 'P' ||
        !nbj__token_read(token.ptr + 1, NBJ__PUBLISH_TOKEN - 1, &value))
        return NULL;
    uint64_t slot = value & ((1u << NBJ__PUBLISH_SLOT_BITS) - 1);
    if (slot > p->mask)
        return NULL;
    nbj__publish_entry *e = &p->ring[slot];
    bool is_open = e->state == NBJ__PUBLISH_SENT || e->state == NBJ__PUBLISH_PAUSED || e->state == NBJ__PUBLISH_WAITING;
    *n = p->head + ((slot - p->head) & p->mask);
    return is_open && e->sends > 0 && e->generation == value >> NBJ__PUBLISH_SLOT_BITS ? e : NULL;
}

/* Whether an answer can only be that to the last transmission, or to one that was the last in doubt. */
static bool is_first_try(const nbj__publish_entry *e)
{
    return nbj__publish_in_doubt(e) <= 1;
}

/* --- refused for now --- */

/* Whether it is worth sending again. */
static bool is_patient(const nbj__publisher *p, const nbj__publish_entry *e, nbj_time now)
{
    return e->refusals < e->retries || NBJ__CANARY(JS_REFUSAL_UNCOUNTED) ||
           (e->retries > 0 && !e->hopeless && now < nbj__time_add(p->connected_at, STARTING_NS));
}

/* Nobody took it, or not now. True: it waits to be sent again. */
static bool pause(nbj__publisher *p, nbj__publish_entry *e, uint64_t n, nbj_time now)
{
    if (!is_patient(p, e, now) || nbj__publish_is_overtaken(p, e, n) || nbj__publish_is_cut_off(p, e, n))
        return false;
    if (nbj__time_add(now, e->retry_ns) >= e->deadline) /* the refusal says more than a timeout would */
        return false;
    e->refusals++;
    e->retry_at = nbj__time_add(now, e->retry_ns);
    p->due = nbj__time_min(p->due, e->retry_at);
    nbj__publish_set_state(p, e, NBJ__PUBLISH_PAUSED);
    return true;
}

static bool on_no_responders(nbj__publisher *p, nbj__publish_entry *e, uint64_t n, nbj_time now, nbj__publish_result *r)
{
    if (pause(p, e, n, now)) {
        if (e->refusals > e->retries && !p->wants_lookup) { /* only because the connection is new */
            p->wants_lookup = true;
            p->lookup = n;
        }
        return false;
    }
    nbj__error_set(&r->error, NBJ_E_NO_STREAM, "no stream takes this subject, or it has no leader now; ",
                   "create the stream first (nbj_stream_ensure does)", (char *)NULL);
    fail(p, n, is_first_try(e) ? NBJ__REJECTED : NBJ__UNKNOWN, r);
    return true;
}

void nbj__publisher_on_no_stream(nbj__publisher *p, nbj_bytes subject)
{
    for (nbj__publish_place at = { 0 }; nbj__publisher_next(p, &at);) {
        nbj__publish_entry *e = nbj__publish_entry_at(p, at.n);
        if (e->state == NBJ__PUBLISH_PAUSED && e->refusals > e->retries &&
            nbj_bytes_equal(nbj__publisher_subject(p, &at), subject))
            e->hopeless = true;
    }
    p->due = 0;
}

/* --- acknowledged, or refused for good --- */

static void on_stored(nbj__publisher *p, nbj__publish_entry *e, uint64_t n, nbj__publish_result *r)
{
    if (e->has_id && nbj__publish_streams_see(&p->streams, &r->ack))
        p->wants_windows = !NBJ__CANARY(JS_WINDOW_UNASKED);
    if (e->counts && r->ack.value[0] == '\0' && !r->ack.duplicate) {
        nbj__error_set(&r->error, NBJ_E_UNSUPPORTED, "stream ", r->ack.stream, " stored it as an ordinary message and ",
                       "counted nothing: its server is older than 2.12", (char *)NULL);
        nbj__publish_finish(p, n, NBJ__UNKNOWN, r);
        return;
    }
    r->error.status = NBJ_OK;
    r->error.code = r->error.err_code = 0;
    r->error.text[0] = '\0';
    bool is_own = !is_first_try(e) && !NBJ__CANARY(JS_OWN_DUPLICATE);
    nbj__publish_finish(p, n, r->ack.duplicate && !is_own ? NBJ__DUPLICATE : NBJ__STORED, r);
}

bool nbj__publisher_on_reply(nbj__publisher *p, nbj_bytes token, const nbj_msg *msg, nbj_time now,
                             nbj__publish_result *r)
{
    uint64_t n = 0;
    nbj__publish_entry *e = find(p, token, &n);

    if (e == NULL)
        return false;
    if (nbj__msg_is_no_responders(msg)) /* of an earlier transmission: it says nothing of the next */
        return e->state == NBJ__PUBLISH_SENT && on_no_responders(p, e, n, now, r);
    nbj_status st = nbj__pub_ack_parse(msg, &r->ack, &r->error);
    if (st == NBJ_E_JS_UNAVAILABLE && (e->state != NBJ__PUBLISH_SENT || pause(p, e, n, now)))
        return false;
    bool says_no = st != NBJ_OK && st != NBJ_E_BAD_REPLY && st != NBJ_E_NOMEM;
    if (st == NBJ_OK)
        on_stored(p, e, n, r);
    else /* a refusal of what was sent more than once says nothing of the first time */
        fail(p, n, says_no && (is_first_try(e) || NBJ__CANARY(JS_REFUSAL_BELIEVED)) ? NBJ__REJECTED : NBJ__UNKNOWN, r);
    return true;
}

bool nbj__publisher_on_refused(nbj__publisher *p, nbj_bytes subject, nbj__publish_result *r)
{
    for (nbj__publish_place at = { 0 }; nbj__publisher_next(p, &at);) {
        if (at.entry->state != NBJ__PUBLISH_SENT || !nbj_bytes_equal(nbj__publisher_subject(p, &at), subject))
            continue;
        nbj__error_set(&r->error, NBJ_E_PERMISSION_PUBLISH, nbj_strerror(NBJ_E_PERMISSION_PUBLISH), (char *)NULL);
        fail(p, at.n, is_first_try(at.entry) ? NBJ__REJECTED : NBJ__UNKNOWN, r);
        return true;
    }
    return false;
}

bool nbj__publisher_abandon(nbj__publisher *p, nbj__publish_result *r)
{
    nbj__publish_place at = { 0 };

    if (!nbj__publisher_next(p, &at))
        return false;
    nbj__publish_give_up(p, at.n, NBJ_E_CLOSED, "the client was closed", r);
    return true;
}
