/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out: which octets may be written now, and publishing into the outgoing buffer. Nothing of |out| is written
 * before READY, and while a lame duck is left nothing behind the barrier. */
#include "conn/session_int.h"

#include "base/canary.h"
#include "wire/headers.h"
#include "wire/subject.h"

#define AHEAD_BYTES (1u << 20)
#define SUB_OCTETS 48u /* of SUB and UNSUB without the names */

/* What may still go before something that waits for room, so that neither shuts the other out: so much of the buffer for
 * messages, and so many octets for SUBs, which have room of their own. */
#define MSG_GRACE_SHARE 8u
#define SUB_GRACE_BYTES (1u << 18)

bool nbj__session_has_connection(const nbj__session *s)
{
    return (s->phase == NBJ__PHASE_SHAKING || s->phase == NBJ__PHASE_READY) && !s->hangup_is_due;
}

bool nbj__session_has_tx(const nbj__session *s)
{
    if (!nbj__session_has_connection(s))
        return false;
    return nbj__buf_len(&s->link.tx) > 0 || (s->phase == NBJ__PHASE_READY && nbj__outbox_len(&s->out) > 0 &&
                                             (s->leave_barrier == 0 || s->leave_quota > 0));
}

bool nbj__session_tx_stays(const nbj__session *s)
{
    return nbj__buf_len(&s->link.tx) == 0;
}

nbj_bytes nbj__session_tx(nbj__session *s)
{
    if (!nbj__session_has_tx(s))
        return nbj_view(NULL, 0);
    if (nbj__buf_len(&s->link.tx) > 0)
        return nbj__buf_view(&s->link.tx);
    nbj_bytes out = nbj__outbox_view(&s->out);
    if (s->leave_barrier > 0 && out.len > s->leave_quota)
        out.len = s->leave_quota;
    return out;
}

/* So little waits that there is room for whoever waits for it. */
static bool has_room(const nbj__session *s)
{
    size_t most = s->opt.max_outgoing_bytes;

    if (s->opt.wait_when_full && nbj__session_is_ready(s) && most > AHEAD_BYTES)
        most = AHEAD_BYTES;
    return nbj__outbox_len(&s->out) <= most / 2;
}

void nbj__session_sent(nbj__session *s, size_t len, nbj_time now)
{
    if (s->out_is_lost) { /* what was written last counts, although the connection is gone */
        nbj__outbox_sent(&s->out, len);
        return;
    }
    if (!nbj__session_has_connection(s))
        return;
    if (nbj__buf_len(&s->link.tx) > 0) {
        nbj__buf_consume(&s->link.tx, len);
    } else {
        nbj__outbox_sent(&s->out, len);
        if (s->leave_barrier > 0)
            s->leave_quota -= len;
    }
    s->blocked_since = nbj__session_has_tx(s) ? now : NBJ_TIME_NEVER;
    if (s->wants_writable && has_room(s)) {
        s->wants_writable = false;
        nbj__session_note(s, NBJ__EV_WRITABLE);
    }
}

nbj_status nbj__session_may_use(const nbj__session *s)
{
    if (s->phase == NBJ__PHASE_CLOSED)
        return NBJ_E_CLOSED;
    return s->drain == NBJ__DRAIN_FLUSH ? NBJ_E_DRAINING : NBJ_OK;
}

nbj_status nbj__session_check_size(const nbj__session *s, size_t frame_len, size_t size, bool with_headers)
{
    const nbj__info *info = s->phase == NBJ__PHASE_READY ? &s->link.info : NULL;

    if (size > NBJ__PAYLOAD_MAX)
        return NBJ_E_TOO_LARGE;
    if (!nbj__outbox_can_hold(&s->out, frame_len))
        return NBJ_E_FULL;
    if (info == NULL)
        return NBJ_OK;
    if (info->max_payload > 0 && size > (uint64_t)info->max_payload && !NBJ__CANARY(PAYLOAD_UNCHECKED))
        return NBJ_E_TOO_LARGE;
    return with_headers && !info->headers ? NBJ_E_NO_HEADERS : NBJ_OK;
}

nbj_status nbj__session_check(const nbj__session *s, const nbj__outgoing *m)
{
    if (!nbj__subject_is_literal(m->subject) || (m->reply.len > 0 && !nbj__subject_is_literal(m->reply)))
        return NBJ_E_BAD_SUBJECT;
    for (size_t i = 0; i < m->header_count; i++) {
        if (!nbj__header_is_legal(&m->headers[i]))
            return NBJ_E_BAD_HEADER;
    }
    return nbj__session_check_size(s, nbj__outbox_size_of(m), nbj__outgoing_size(m), m->header_count > 0);
}

/* Who may wait for room waits sooner while the server takes what is sent: what is written soon is still in the processor's
 * caches. Who does not wait may try again as fast as octets are written, and leaves room to a frame that waits. */
static bool is_ahead(const nbj__session *s)
{
    if (!nbj__session_is_ready(s))
        return false;
    return s->opt.wait_when_full ? nbj__outbox_len(&s->out) > AHEAD_BYTES : s->wants_writable && s->msg_grace == 0;
}

static void use(size_t *grace, size_t size)
{
    *grace -= size < *grace ? size : *grace;
}

bool nbj__session_takes_sub(nbj__session *s, nbj_bytes subject, nbj_bytes queue_group)
{
    bool others_wait = s->wants_writable && nbj__session_is_ready(s);

    if (!nbj__outbox_has_control_room(&s->out) || (others_wait && s->sub_grace == 0))
        return false;
    if (others_wait)
        use(&s->sub_grace, subject.len + queue_group.len + SUB_OCTETS);
    return true;
}

static void want_room(nbj__session *s)
{
    if (s->wants_writable)
        return;
    s->wants_writable = true;
    s->msg_grace = s->opt.max_outgoing_bytes / MSG_GRACE_SHARE;
    s->sub_grace = SUB_GRACE_BYTES;
}

static nbj_status count_published(nbj__session *s, nbj_status st, size_t size)
{
    if (st == NBJ_E_FULL && s->opt.wait_when_full) {
        want_room(s);
        return NBJ_E_WOULD_BLOCK;
    }
    if (st == NBJ_OK) {
        s->stats.out_msgs++;
        s->stats.out_bytes += size;
    }
    return st;
}

nbj_status nbj__session_publish(nbj__session *s, const nbj__outgoing *m)
{
    nbj_status st = nbj__session_may_use(s);

    if (st == NBJ_OK)
        st = nbj__session_check(s, m);
    if (st == NBJ_OK && is_ahead(s))
        return count_published(s, NBJ_E_FULL, 0);
    if (st == NBJ_OK)
        st = count_published(s, nbj__outbox_publish(&s->out, m), nbj__outgoing_size(m));
    if (st == NBJ_OK && s->wants_writable)
        use(&s->msg_grace, m->subject.len + nbj__outgoing_size(m));
    return st;
}

nbj_status nbj__session_send_frame(nbj__session *s, nbj_bytes frame, size_t size)
{
    nbj_status st = nbj__session_may_use(s);

    if (st == NBJ_OK && !nbj__session_is_ready(s))
        st = NBJ_E_DISCONNECTED;
    if (st == NBJ_OK)
        st = nbj__outbox_append(&s->out, frame);
    if (st == NBJ_E_FULL)
        want_room(s);
    return count_published(s, st, size);
}
