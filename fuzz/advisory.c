/* SPDX-License-Identifier: Apache-2.0 */
/* An advisory's JSON: it is read or kept as it is, nothing points elsewhere, and reading it again gives the same. */
#include "js/advisory.h"

#include "support/fuzz.h"

static void check_peers(const nbj_advisory *a)
{
    for (size_t i = 0; i < a->replica_count && i < 16; i++) {
        nbj_advisory_peer peer = nbj_advisory_replica(a, i);
        MUST(peer.name.len == 0 || peer.name.ptr != NULL);
    }
    MUST(nbj_advisory_replica(a, a->replica_count).name.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nbj__advisory_filter filter = { .stream = "S", .domain = fuzz_hash(data, size) % 2 == 0 ? NULL : "D" };
    nbj__advisory a, again;
    nbj_status st = nbj__advisory_read(nbj_view(data, size), &a);

    MUST(st == NBJ_OK || st == NBJ_E_BAD_REPLY);
    MUST(a.data.json.ptr == data && a.data.json.len == size);
    MUST((unsigned)a.data.kind < NBJ__ADVISORY_KINDS);
    MUST(st == NBJ_OK || (a.data.kind == NBJ_ADVISORY_UNKNOWN && a.data.type.len == 0 && a.data.replica_count == 0));
    check_peers(&a.data);
    MUST(nbj__advisory_filter_check(&filter));
    bool is_wanted = nbj__advisory_is_wanted(&filter, &a.data);
    MUST(nbj__advisory_read(nbj_view(data, size), &again) == st);
    MUST(again.data.kind == a.data.kind && again.data.time_ns == a.data.time_ns);
    MUST(nbj__advisory_is_wanted(&filter, &again.data) == is_wanted);
    nbj__advisory_clear(&a);
    nbj__advisory_clear(&again);
    return 0;
}
