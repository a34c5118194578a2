/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an -ERR: what it names lies inside it between quotes, and letters' cases do not change what it means. */
#include "wire/server_error.h"

#include "support/fuzz.h"

#include <ctype.h>

/* Whether every '"' in it is escaped, and its own end is not. */
static int is_escaped(nbj_bytes view)
{
    int escaped = 0;

    for (size_t i = 0; i < view.len; i++) {
        if (view.ptr[i] == '"' && !escaped)
            return 0;
        escaped = view.ptr[i] == '\\' && !escaped;
    }
    return !escaped;
}

static int is_quoted_in(nbj_bytes view, const uint8_t *data, size_t size)
{
    return view.len == 0 || (fuzz_is_within(view, data, size) && view.ptr > data && view.ptr[-1] == '"' &&
                             view.ptr + view.len < data + size && view.ptr[view.len] == '"' && is_escaped(view));
}

static int names_subject(nbj_status status)
{
    return status == NBJ_E_PERMISSION_PUBLISH || status == NBJ_E_PERMISSION_REPLY ||
           status == NBJ_E_PERMISSION_SUBSCRIBE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nbj__server_error e = nbj__server_error_read(nbj_view(data, size));
    uint8_t *other_case = fuzz_alloc(size);

    MUST(e.status <= NBJ_E_SERVER && e.status >= NBJ_E_SERVER_PUBLISH_SUBJECT);
    MUST(!e.is_auth || e.closes);
    MUST(is_quoted_in(e.subject, data, size) && is_quoted_in(e.queue, data, size));
    MUST(e.queue.len == 0 || e.queue.ptr > e.subject.ptr);
    MUST(names_subject(e.status) ? !e.closes : e.subject.len == 0 && e.queue.len == 0);

    for (size_t i = 0; i < size; i++)
        other_case[i] = data[i] >= 0x80 ? data[i] : (uint8_t)(islower(data[i]) ? toupper(data[i]) : tolower(data[i]));
    nbj__server_error same = nbj__server_error_read(nbj_view(other_case, size));
    MUST(same.status == e.status && same.closes == e.closes && same.is_auth == e.is_auth);
    MUST(same.subject.len == e.subject.len && same.queue.len == e.queue.len);
    free(other_case);
    return 0;
}
