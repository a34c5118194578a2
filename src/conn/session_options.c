/* SPDX-License-Identifier: Apache-2.0 */
/* A session's options: their defaults, what is not legal, and our own copies of their texts. */
#include "conn/session_int.h"

#include "base/text.h"
#include "wire/subject.h"

static void default_u64(uint64_t *field, uint64_t value)
{
    if (*field == 0)
        *field = value;
}

void nbj__session_options_default(nbj__session_options *o)
{
    o->alloc = nbj__allocator_or_default(o->alloc);
    if (o->urls.len == 0)
        o->urls = nbj_str("nats://127.0.0.1:4222");
    if (o->inbox_prefix.len == 0)
        o->inbox_prefix = nbj_str("_INBOX");
    default_u64(&o->connect_timeout_ns, NBJ_SECONDS(5));
    default_u64(&o->ping_interval_ns, NBJ_SECONDS(30));
    default_u64(&o->write_timeout_ns, NBJ_SECONDS(10));
    default_u64(&o->reconnect_first_ns, NBJ_MILLIS(100));
    default_u64(&o->reconnect_max_ns, NBJ_SECONDS(8));
    if (o->max_pings_out == 0)
        o->max_pings_out = 2;
    if (o->max_outgoing_bytes == 0)
        o->max_outgoing_bytes = (size_t)NBJ_MIB(8);
}

nbj_status nbj__session_options_check(const nbj__session_options *o, nbj_error *error)
{
    if (o->inbox_prefix.len > NBJ__INBOX_MAX || !nbj__subject_is_literal(o->inbox_prefix))
        return nbj__error_set(error, NBJ_E_INVALID, "the inbox prefix must be a subject without wildcards, such as ",
                              "_INBOX", (char *)NULL);
    if (o->tls_first && !o->tls_possible)
        return nbj__error_set(error, NBJ_E_NO_TLS, "TLS first is wanted, but this client cannot do TLS", (char *)NULL);
    if (o->max_outgoing_bytes > SIZE_MAX / 8)
        return nbj__error_set(error, NBJ_E_INVALID, "max_outgoing_bytes is too large", (char *)NULL);
    return NBJ_OK;
}

static bool own(const nbj_allocator *a, nbj_bytes *text)
{
    char *copy = nbj__copy_text(a, *text);

    *text = nbj_view(copy, copy != NULL ? text->len : 0);
    return copy != NULL;
}

static void wipe(const nbj_allocator *a, nbj_bytes *text)
{
    if (text->ptr != NULL)
        nbj__wipe_text(a, (char *)(uintptr_t)text->ptr);
    *text = nbj_view(NULL, 0);
}

nbj_status nbj__session_options_own(nbj__session_options *o)
{
    nbj_bytes *texts[] = { &o->name, &o->user, &o->password, &o->token, &o->inbox_prefix };
    bool whole = true;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        whole = own(o->alloc, texts[i]) && whole;
    return whole ? NBJ_OK : NBJ_E_NOMEM;
}

void nbj__session_options_wipe(nbj__session_options *o)
{
    nbj_bytes *texts[] = { &o->name, &o->user, &o->password, &o->token, &o->inbox_prefix };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        wipe(o->alloc, texts[i]);
}
