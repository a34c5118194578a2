/* SPDX-License-Identifier: Apache-2.0 */
/* What needs a server of a certain version. Older ones mostly take such a request and silently leave out what they do not
 * know, so it is refused before it is sent. */
#ifndef NBJ_JS_GATE_H
#define NBJ_JS_GATE_H

#include "js/op.h"

/* name, version, API level (0: before there were any), what it is called in texts */
#define NBJ__FEATURES(X)                                                                          \
    X(PURGE_SOME, 2, 3, 0, 0, "purging by subject, sequence or number")                           \
    X(REPUBLISH, 2, 9, 0, 0, "republish")                                                         \
    X(DIRECT_GET, 2, 9, 0, 0, "direct get")                                                       \
    X(GET_NEXT, 2, 9, 0, 0, "to get the next message of a subject")                               \
    X(DISCARD_NEW_PER_SUBJECT, 2, 9, 1, 0, "discard_new_per_subject")                             \
    X(SUBJECT_TRANSFORM, 2, 10, 0, 0, "subject transforms")                                       \
    X(COMPRESSION, 2, 10, 0, 0, "compression")                                                    \
    X(FIRST_SEQUENCE, 2, 10, 0, 0, "first_seq")                                                   \
    X(CONSUMER_LIMITS, 2, 10, 0, 0, "consumer_limits")                                            \
    X(METADATA, 2, 10, 0, 0, "metadata")                                                          \
    X(MULTI_FILTER, 2, 10, 0, 0, "several filter subjects")                                       \
    X(TERM_REASON, 2, 10, 4, 0, "a reason with term")                                             \
    X(SNAPSHOT_WINDOW, 2, 12, 5, 3, "a snapshot's window_size")                                   \
    X(SNAPSHOT_2, 2, 15, 0, 5, "restoring a snapshot of nats-server 2.15 or newer")               \
    X(PEDANTIC, 2, 11, 0, 1, "pedantic requests")                                                 \
    X(PAUSE, 2, 11, 0, 1, "pausing consumers")                                                    \
    X(PRIORITY_GROUPS, 2, 11, 0, 1, "priority groups")                                            \
    X(STEP_DOWN_PLACEMENT, 2, 11, 0, 1, "naming the next leader")                                 \
    X(MSG_TTL, 2, 11, 0, 1, "a time to live for each message")                                    \
    X(DELETE_MARKERS, 2, 11, 0, 1, "subject_delete_marker_ttl")                                   \
    X(DIRECT_GET_BATCH, 2, 11, 0, 1, "direct get of several messages")                            \
    X(EXPECT_OTHER_SUBJECT, 2, 11, 0, 1, "an expected last sequence of another subject")          \
    X(COUNTERS, 2, 12, 0, 2, "message counters")                                                  \
    X(ATOMIC_BATCH, 2, 12, 0, 2, "atomic batches")                                                \
    X(SCHEDULES, 2, 12, 0, 2, "message schedules")                                                \
    X(PERSIST_MODE, 2, 12, 0, 2, "persist_mode")                                                  \
    X(PRIORITIZED, 2, 12, 0, 2, "the priority policy \"prioritized\"")                            \
    X(SCHEDULE_REPEAT, 2, 14, 0, 4, "repeated schedules, and their source, time zone and rollup") \
    X(FAST_INGEST, 2, 14, 0, 4, "fast ingest")                                                    \
    X(CONSUMER_RESET, 2, 14, 0, 4, "resetting consumers")                                         \
    X(ACK_FLOW_CONTROL, 2, 14, 0, 4, "the acknowledgement policy \"flow_control\"")               \
    X(SOURCE_CONSUMER, 2, 14, 0, 4, "sources with a consumer of their own")

typedef enum nbj__feature {
    NBJ__FEATURE_NONE = 0,
#define NBJ_X(name, major, minor, patch, level, text) NBJ__FEATURE_##name,
    NBJ__FEATURES(NBJ_X)
#undef NBJ_X
} nbj__feature;

/* NBJ_OK: the server has it, or which one it is is not known. NBJ_E_UNSUPPORTED, and |error| names the feature, the
 * version it needs and the server's. */
nbj_status nbj__gate_check(const nbj__js_where *where, nbj__feature feature, nbj_error *error);

/* The same for the server that |session| is connected to, if it is. */
nbj_status nbj__gate_check_server(const nbj__session *session, nbj__feature feature, nbj_error *error);

/* For Nats-Required-Api-Level, by which servers from 2.12 on guard clusters of mixed versions; 0: not needed. */
uint32_t nbj__gate_level(nbj__feature feature);

/* The version it needs, "2.11.0", for texts. */
void nbj__gate_version(nbj__feature feature, char out[16]);

#endif
