/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/subs.h"

#include "base/canary.h"
#include "wire/emit.h"

#include <assert.h>

static const nbj__transition transitions[] = {
    { 0, NBJ__SUB_LIVE },
    { NBJ__SUB_LIVE, NBJ__SUB_DRAINING },
    { NBJ__SUB_LIVE, NBJ__SUB_ENDED },
    { NBJ__SUB_DRAINING, NBJ__SUB_ENDED },
};
const nbj__machine nbj__sub_machine = { "sub", transitions, sizeof transitions / sizeof transitions[0] };

static void set_state(const nbj__subs *t, nbj__sub *sub, nbj__sub_state to)
{
    nbj__observe(t->observer, &nbj__sub_machine, (int)sub->state, (int)to);
    sub->state = to;
}

void nbj__subs_init(nbj__subs *t, const nbj_allocator *alloc, const nbj__observer *observer)
{
    *t = (nbj__subs){ .alloc = alloc, .observer = observer };
    nbj__map_init(&t->by_sid, alloc);
    nbj__list_init(&t->all);
}

void nbj__subs_free(nbj__subs *t)
{
    nbj__map_free(&t->by_sid);
}

nbj_status nbj__subs_add(nbj__subs *t, nbj__sub *sub, nbj_bytes subject, nbj_bytes queue_group)
{
    char *subject_copy = nbj__copy_text(t->alloc, subject);
    char *queue_copy = queue_group.len > 0 ? nbj__copy_text(t->alloc, queue_group) : NULL;
    bool whole = subject_copy != NULL && (queue_group.len == 0 || queue_copy != NULL);

    if (!whole || nbj__map_set(&t->by_sid, t->last_sid + 1, sub) != NBJ_OK) {
        nbj__free_text(t->alloc, subject_copy);
        nbj__free_text(t->alloc, queue_copy);
        return NBJ_E_NOMEM;
    }
    sub->sid = ++t->last_sid;
    sub->subject = subject_copy;
    sub->queue_group = queue_copy;
    sub->state = (nbj__sub_state)0;
    set_state(t, sub, NBJ__SUB_LIVE);
    sub->why = NBJ_OK;
    sub->delivered = sub->delivered_before = sub->dropped = sub->barrier = 0;
    sub->queue_msgs = sub->queue_bytes = 0;
    sub->is_slow = false;
    sub->queue = (nbj__queue){ NULL, NULL };
    nbj__list_push(&t->all, &sub->node);
    return NBJ_OK;
}

void nbj__subs_drain(nbj__subs *t, nbj__sub *sub)
{
    set_state(t, sub, NBJ__SUB_DRAINING);
}

void nbj__subs_remove(nbj__subs *t, nbj__sub *sub)
{
    void *removed = nbj__map_take(&t->by_sid, sub->sid);

    assert(removed == sub);
    (void)removed;
    nbj__list_remove(&sub->node);
    set_state(t, sub, NBJ__SUB_ENDED);
}

void nbj__sub_clear(nbj__subs *t, nbj__sub *sub)
{
    assert(!nbj__node_is_linked(&sub->node));
    if (sub->subject == NULL)
        return;
    nbj__queue_clear(&sub->queue);
    sub->queue_msgs = sub->queue_bytes = 0;
    nbj__free_text(t->alloc, sub->subject);
    nbj__free_text(t->alloc, sub->queue_group);
    sub->subject = sub->queue_group = NULL;
}

static nbj__sub *sub_of(nbj__node *n)
{
    return n != NULL ? NBJ__ITEM(n, nbj__sub, node) : NULL;
}

nbj__sub *nbj__subs_first(const nbj__subs *t)
{
    return sub_of(nbj__list_first(&t->all));
}

nbj__sub *nbj__subs_after(const nbj__subs *t, const nbj__sub *sub)
{
    return sub_of(nbj__list_after(&t->all, &sub->node));
}

/* Whether |quoted|, in which a server has put '\\' before '"' and '\\', is |plain|. */
static bool is_quoted(nbj_bytes quoted, const char *plain)
{
    nbj_bytes rest = nbj_str(plain);

    for (size_t i = 0; i < quoted.len; i++) {
        i += quoted.ptr[i] == '\\' && i + 1 < quoted.len;
        if (rest.len == 0 || rest.ptr[0] != quoted.ptr[i])
            return false;
        rest = nbj_view(rest.ptr + 1, rest.len - 1);
    }
    return rest.len == 0;
}

nbj__sub *nbj__subs_find(const nbj__subs *t, nbj_bytes subject, nbj_bytes queue_group)
{
    for (nbj__sub *s = nbj__subs_first(t); s != NULL; s = nbj__subs_after(t, s)) {
        if (s->state == NBJ__SUB_LIVE && is_quoted(subject, s->subject) && is_quoted(queue_group, s->queue_group))
            return s;
    }
    return NULL;
}

nbj_status nbj__sub_renew(nbj__sub *sub, nbj__buf *out)
{
    nbj_bytes queue = nbj_str(NBJ__CANARY(QUEUE_LOST) ? NULL : sub->queue_group);

    if (NBJ__CANARY(RESUBSCRIBE) && sub->kind == NBJ__SUB_OF_APP)
        return NBJ_OK;
    sub->delivered_before = NBJ__CANARY(MAX_NOT_REDUCED) ? 0 : sub->delivered; /* the server counts from SUB on */
    nbj_status st = nbj__emit_sub(out, nbj_str(sub->subject), queue, sub->sid);
    if (st == NBJ_OK && sub->max > 0)
        st = nbj__emit_unsub(out, sub->sid, sub->max - sub->delivered_before);
    return st;
}

nbj__queue_result nbj__sub_enqueue(nbj__sub *sub, const nbj_msg *msg)
{
    size_t size = nbj__msg_size(msg);
    bool full = sub->queue_msgs >= sub->limit_msgs || sub->queue_bytes + size > sub->limit_bytes;

    if (full || nbj__queue_push(&sub->queue, msg) != NBJ_OK) {
        bool first = !sub->is_slow;
        sub->dropped++;
        sub->is_slow = true;
        return first ? NBJ__DROPPED_FIRST : NBJ__DROPPED;
    }
    sub->is_slow = false;
    sub->queue_bytes += size;
    return sub->queue_msgs++ == 0 ? NBJ__QUEUED_FIRST : NBJ__QUEUED;
}

nbj_msg *nbj__sub_take(nbj__sub *sub)
{
    nbj_msg *m = nbj__queue_take(&sub->queue);

    if (m == NULL)
        return NULL;
    sub->queue_msgs--;
    sub->queue_bytes -= nbj__msg_size(m);
    return m;
}

nbj__queue nbj__sub_take_all(nbj__sub *sub)
{
    nbj__queue all = sub->queue;

    sub->queue = (nbj__queue){ NULL, NULL };
    return all;
}
