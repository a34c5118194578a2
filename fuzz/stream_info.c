/* SPDX-License-Identifier: Apache-2.0 */
/* What a server says of a stream, and what a program wants of one: the document's "config" is read, wanted again, and
 * compared with what it came from; the whole is looked at through every accessor. */
#include "js/stream_info.h"
#include "js/stream_config.h"

#include "support/fuzz.h"

static void look_at(const nbj_stream_info *info)
{
    nbj_stream_cluster c = nbj_stream_info_cluster(info);
    nbj_stream_source_info source;
    nbj_stream_alternate alternate;
    nbj_stream_replica replica;
    nbj_subject_count count;
    uint64_t sequence;

    MUST(c.name != NULL && c.leader != NULL && c.raft_group != NULL);
    MUST(nbj_stream_info_name(info) != NULL && nbj_stream_info_domain(info) != NULL);
    MUST(strlen(nbj_stream_info_json(info)) > 0);
    (void)nbj_stream_info_state(info);
    (void)nbj_stream_info_created_ns(info);
    (void)nbj_stream_info_mirror(info, &source);
    for (size_t i = 0; nbj_stream_info_source(info, i, &source); i++)
        MUST(source.name != NULL && source.error_text != NULL && source.external_api != NULL);
    for (size_t i = 0; nbj_stream_info_replica(info, i, &replica); i++)
        MUST(replica.name != NULL && replica.peer != NULL);
    for (size_t i = 0; nbj_stream_info_alternate(info, i, &alternate); i++)
        MUST(alternate.name != NULL && alternate.domain != NULL && alternate.cluster != NULL);
    for (size_t i = 0; nbj_stream_info_subject(info, i, &count); i++)
        MUST(count.subject != NULL);
    for (size_t i = 0; nbj_stream_info_deleted(info, i, &sequence); i++)
        continue;
}

/* The configuration that was read is wanted: a server that echoes it has everything. */
static void want_it_again(const nbj_stream_info *info)
{
    nbj_stream_config c = { .struct_size = sizeof c };
    nbj__json *want = NULL, *back = NULL;
    char said[400];
    nbj__text t = nbj__text_into(said, sizeof said);
    nbj_error error = { 0 };

    MUST(nbj_stream_info_config(info, &c) == NBJ_OK);
    nbj_status st = nbj__stream_config_want(&nbj__malloc_allocator, &c, &want, &error);
    MUST(st == NBJ_OK || error.text[0] != '\0'); /* a name or a subject may not be legal */
    if (st != NBJ_OK)
        return;
    MUST(nbj__fields_differ(&nbj__stream_fields, want, want, &t) == 0 && t.len == 0);
    back = nbj__json_new();
    MUST(back != NULL && nbj__json_merge(back, want) == NBJ_OK);
    MUST(nbj__fields_differ(&nbj__stream_fields, want, back, &t) == 0);
    nbj__json_free(back);
    nbj__json_free(want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nbj_stream_info *info = NULL;
    nbj__json *doc = NULL;

    if (nbj__json_parse(nbj_view(data, size), &doc) != NBJ_OK)
        return 0;
    nbj_status st = nbj__stream_info_new(&nbj__malloc_allocator, doc, &info);
    MUST(st == NBJ_OK || st == NBJ_E_BAD_REPLY);
    if (st != NBJ_OK)
        return 0;
    look_at(info);
    want_it_again(info);
    nbj_stream_info_release(info);
    return 0;
}
