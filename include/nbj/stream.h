/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * JetStream streams: making, changing, finding and emptying them.
 *
 * Calls without "_async" wait for the server; under an event loop they return NBJ_E_WOULD_BLOCK. Those with "_async" return
 * at once, and after NBJ_OK their callback is called once. Both ask the API that nbj_call_options names, and may be made in
 * every callback. Besides what is said at each, all of them may end with: NBJ_E_INVALID; NBJ_E_STREAM_NOT_FOUND;
 * NBJ_E_JS_DISABLED; NBJ_E_NO_RESPONDERS (no JetStream here); NBJ_E_JS_UNAVAILABLE (later perhaps); NBJ_E_UNSUPPORTED (the
 * server is too old; refused before anything is sent); NBJ_E_TIMEOUT; NBJ_E_CLOSED; NBJ_E_BAD_REPLY; NBJ_E_JS with the
 * server's reason. Errors name the stream. Texts that are passed in are copied. */
#ifndef NBJ_STREAM_H
#define NBJ_STREAM_H

#include <nbj/call.h>
#include <nbj/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** When a stream removes messages on its own. */
typedef enum nbj_retention {
    NBJ_RETENTION_LIMITS = 1, /**< When a limit is reached. */
    NBJ_RETENTION_INTEREST,   /**< Also when all consumers have settled them; without consumers at once. */
    NBJ_RETENTION_WORK_QUEUE, /**< Also when their one consumer has settled them. */
} nbj_retention;

/** Where a stream keeps its messages. */
typedef enum nbj_storage {
    NBJ_STORAGE_FILE = 1, /**< Survives the server's process. */
    NBJ_STORAGE_MEMORY,   /**< Dies with it. */
} nbj_storage;

/** What a stream does with a message that is over a limit. */
typedef enum nbj_discard {
    NBJ_DISCARD_OLD = 1, /**< Removes the oldest. */
    NBJ_DISCARD_NEW,     /**< Refuses it. */
} nbj_discard;

/** How a stream in files packs them. */
typedef enum nbj_compression {
    NBJ_COMPRESSION_NONE = 1, /**< Not. */
    NBJ_COMPRESSION_S2,       /**< S2. Since server 2.10. */
} nbj_compression;

/** When a message counts as stored. */
typedef enum nbj_persist_mode {
    NBJ_PERSIST_DEFAULT = 1, /**< When it was handed to the operating system. */
    NBJ_PERSIST_ASYNC,       /**< Before: faster, and may be lost with the server. Since server 2.12. */
} nbj_persist_mode;

#define NBJ_UNLIMITED (-1)       /**< For limits in a configuration: none, and that is wanted. */
#define NBJ_FOREVER (UINT64_MAX) /**< For times in a configuration: without an end, and that is wanted. */

/** A list of C strings. */
typedef struct nbj_list {
    const char *const *items; /**< Borrowed. */
    size_t count;
} nbj_list;
/** A list of its arguments. */
#define NBJ_LIST(...)                                                                                             \
    {                                                                                                             \
        (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) \
    }

/** Two texts that belong together. A frozen layout. */
typedef struct nbj_pair {
    const char *first;
    const char *second;
} nbj_pair;

/** A list of pairs. */
typedef struct nbj_pairs {
    const nbj_pair *items; /**< Borrowed. */
    size_t count;
} nbj_pairs;
/** A list of pairs: NBJ_PAIRS({ "team", "rides" }, { "tier", "1" }). */
#define NBJ_PAIRS(...)                                                                                  \
    {                                                                                                   \
        (const nbj_pair[]){ __VA_ARGS__ }, sizeof((const nbj_pair[]){ __VA_ARGS__ }) / sizeof(nbj_pair) \
    }

/** A stream that another one takes its messages from. */
typedef struct nbj_stream_source {
    size_t struct_size;           /**< See nbj/options.h. */
    const char *name;             /**< Required: of the stream. */
    const char *filter_subject;   /**< Only messages of these subjects. NULL: all. */
    uint64_t start_sequence;      /**< From this message on. 0: from the first. */
    uint64_t start_time_ns;       /**< From then on: nanoseconds since 1970, UTC. 0: from the first message. */
    nbj_pairs subject_transforms; /**< Subjects and what they become; "" as the second only filters. Excludes
                                   *   filter_subject. Since server 2.10. */
    const char *external_api;     /**< API prefix under which another account or domain has it. NULL: it is in ours. */
    const char
        *external_deliver;     /**< Prefix of the subjects that deliver it, where the other account's export wants one.
                                   *   NULL: none. */
    const char *domain;        /**< In place of external_api: the domain it is in. */
    const char *consumer_name; /**< A consumer of the other stream that was made for this. NULL: the server makes its
                                   *   own. Since server 2.14. */
    const char *consumer_deliver_subject; /**< Where that one delivers to. */
} nbj_stream_source;
#define NBJ_SOURCE(...) NBJ_OPTIONS_OF(nbj_stream_source, __VA_ARGS__) /**< As designated initialisers. */

/** A list of sources. */
typedef struct nbj_source_list {
    const nbj_stream_source *const *items; /**< Borrowed. */
    size_t count;
} nbj_source_list;
/** A list of sources: NBJ_SOURCES(NBJ_SOURCE(.name = "A"), NBJ_SOURCE(.name = "B")). */
#define NBJ_SOURCES(...)                                                                     \
    {                                                                                        \
        (const nbj_stream_source *const[]){ __VA_ARGS__ },                                   \
            sizeof((const nbj_stream_source *const[]){ __VA_ARGS__ }) / sizeof(const void *) \
    }

/** Configuration of a stream. Zero means the default for a stream that is made, and no opinion on one that exists. What is
 *  newer than server 2.9 names the version. */
typedef struct nbj_stream_config {
    size_t struct_size;           /**< See nbj/options.h. */
    const char *name;             /**< Required: without blanks, '.', '*', '>', '/' and '\'. */
    nbj_list subjects;            /**< What it takes. Empty: its name, or nothing where it has a mirror or sources. */
    nbj_retention retention;      /**< 0: limits. */
    nbj_storage storage;          /**< 0: file. */
    int64_t max_messages;         /**< 0: without a limit. */
    int64_t max_bytes;            /**< 0: without a limit. */
    uint64_t max_age_ns;          /**< At least 100 ms. 0: without a limit. */
    uint64_t duplicate_window_ns; /**< 0: the server's, 2 minutes or max_age. */
    uint32_t replicas;            /**< 1 to 5. 0: 1. */
    uint32_t reserved;            /**< 0. */

    const char *description;                 /**< NULL: none. */
    int64_t max_consumers;                   /**< 0: without a limit. */
    int64_t max_messages_per_subject;        /**< 0: without a limit. */
    int32_t max_message_bytes;               /**< Headers and payload. 0: without a limit. */
    nbj_discard discard;                     /**< 0: old. */
    nbj_compression compression;             /**< 0: none. Since server 2.10. */
    nbj_persist_mode persist_mode;           /**< 0: default. Since server 2.12. */
    uint64_t first_sequence;                 /**< Of the first message. 0: 1. Since server 2.10. */
    uint64_t subject_delete_marker_ttl_ns;   /**< When the last message of a subject expires, a marker is stored, for so
                                              *   long; at least 1 s. 0: none. Since server 2.11. */
    const char *placement_cluster;           /**< The cluster that has to hold it. NULL: any. */
    nbj_list placement_tags;                 /**< Tags that its servers have to have. */
    const nbj_stream_source *mirror;         /**< It is a copy of that stream, and takes nothing else. */
    nbj_source_list sources;                 /**< Streams whose messages it takes too. */
    const char *republish_source;            /**< Messages of these subjects are published again when they are stored.
                                              *   NULL: all. */
    const char *republish_destination;       /**< Under this subject. NULL: they are not. */
    const char *transform_source;            /**< Messages of these subjects. NULL: all. Since server 2.10. */
    const char *transform_destination;       /**< Are stored under this one. NULL: under their own. */
    uint64_t consumer_inactive_threshold_ns; /**< Most, and default, for its consumers. 0: none. Since server 2.10. */
    int64_t consumer_max_ack_pending;        /**< Likewise. */
    nbj_pairs metadata;                      /**< For programs. An update leaves keys that are not named. Since server
                                              *   2.10. */
    nbj_list reset;        /**< Names of fields, as in the server's JSON ("max_age"), that go back to their default. */
    const char *more_json; /**< A JSON object with fields that this library does not know. It is laid over the others
                             *   (RFC 7396). NULL: none. */
    bool republish_headers_only;  /**< With the size in place of the payload. */
    bool no_ack;                  /**< Publishes are not acknowledged: use nbj_send(). */
    bool discard_new_per_subject; /**< With discard new and max_messages_per_subject. Since server 2.9.1. */
    bool sealed;                  /**< Nothing can be stored or removed any more; see nbj_stream_seal(). */
    bool deny_delete;             /**< Messages cannot be deleted. For ever. */
    bool deny_purge;              /**< Nor purged. For ever. */
    bool allow_rollup;            /**< Messages may take the place of all before them (nbj/publish.h). */
    bool allow_direct;            /**< Replicas may answer reads. */
    bool mirror_direct;           /**< A mirror may too. The server sets it to its origin's allow_direct if
                                   *   that is in the same domain. */
    bool allow_msg_ttl;           /**< Messages may have a time to live of their own. For ever. Since server 2.11. */
    bool allow_msg_counter;       /**< Messages are numbers that are added up. Since server 2.12. */
    bool allow_atomic;            /**< Atomic batches may be published. Since server 2.12. */
    bool allow_msg_schedules;     /**< Messages may be scheduled. For ever. Since server 2.12. */
    bool allow_batched;           /**< Fast ingest. Since server 2.14. */
    bool pedantic;                /**< Of this call: a value that the server would adjust is an error. Since server
                                   *   2.11. */
    bool reserved_bool;           /**< 0. */
} nbj_stream_config;
#define NBJ_STREAM_CONFIG(...) NBJ_OPTIONS_OF(nbj_stream_config, __VA_ARGS__) /**< As designated initialisers. */

/* --- what a stream is --- */

typedef struct nbj_stream_info nbj_stream_info; /**< What a server said of a stream. Opaque; it does not change. */

/** What a stream holds. A frozen layout. */
typedef struct nbj_stream_state {
    uint64_t messages;
    uint64_t bytes;
    uint64_t first_sequence; /**< Without messages: the one that the next will have, or 0. */
    uint64_t last_sequence;
    uint64_t first_time_ns; /**< When that message was stored: nanoseconds since 1970, UTC; 0: there is none. */
    uint64_t last_time_ns;
    uint64_t deleted;   /**< Messages missing between the first and the last. */
    uint64_t lost;      /**< Messages that the server had and can read no more. */
    uint64_t subjects;  /**< Different ones. */
    uint64_t consumers; /**< Of it. */
} nbj_stream_state;

/** Messages of a subject. A frozen layout. */
typedef struct nbj_subject_count {
    const char *subject;
    uint64_t messages;
} nbj_subject_count;

/** Who keeps a stream. A frozen layout; texts are "" where the server says nothing. */
typedef struct nbj_stream_cluster {
    const char *name;
    const char *leader; /**< "": there is none at the moment. */
    const char *raft_group;
    uint64_t leader_since_ns; /**< Since 1970, UTC; 0: not said. */
} nbj_stream_cluster;

/** A server that keeps a copy of a stream. A frozen layout. */
typedef struct nbj_stream_replica {
    const char *name;
    const char *peer;   /**< Its id in the cluster. */
    uint64_t active_ns; /**< So long ago the leader heard of it. */
    uint64_t lag;       /**< Operations that it is behind. */
    bool current;       /**< It has everything. */
    bool offline;
} nbj_stream_replica;

/** How far a mirror or source is. A frozen layout. */
typedef struct nbj_stream_source_info {
    const char *name;
    const char *filter_subject; /**< "": none. */
    const char *external_api;   /**< "": it is in the same account and domain. */
    uint64_t lag;               /**< Messages that are not copied yet. */
    uint64_t active_ns;         /**< So long ago something came from it; NBJ_FOREVER: nothing has. */
    int32_t error_code;         /**< JetStream's err_code, 0: nothing is wrong. */
    const char *error_text;     /**< "". */
} nbj_stream_source_info;

/** Another stream that has the same messages and may be nearer. A frozen layout. */
typedef struct nbj_stream_alternate {
    const char *name;
    const char *domain; /**< "": none. */
    const char *cluster;
} nbj_stream_alternate;

/** Keeps it beyond the callback that got it, or for another owner. */
NBJ_API nbj_stream_info *nbj_stream_info_retain(const nbj_stream_info *info);
/** Gives it back. From any thread, also after its client was released. NULL is allowed. */
NBJ_API void nbj_stream_info_release(nbj_stream_info *info);

NBJ_API const char *nbj_stream_info_name(const nbj_stream_info *info); /**< The stream's name. */

/** Its configuration, in @p out, whose struct_size says what is wanted of it. What it points to lives as long as @p info.
 *  Limits that are not set are NBJ_UNLIMITED, times 0. What the server leaves out is 0, as is a value of an enumeration that
 *  this library does not know.
 *  NBJ_E_INVALID: struct_size is no size. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_info_config(const nbj_stream_info *info, nbj_stream_config *out);

NBJ_API nbj_stream_state nbj_stream_info_state(const nbj_stream_info *info); /**< What it holds. */
/** When it was made, and when the server said so (0 before server 2.10): nanoseconds since 1970, UTC. */
NBJ_API uint64_t nbj_stream_info_created_ns(const nbj_stream_info *info);
NBJ_API uint64_t nbj_stream_info_time_ns(const nbj_stream_info *info);           /**< As the above. */
NBJ_API const char *nbj_stream_info_domain(const nbj_stream_info *info);         /**< "": none. */
NBJ_API nbj_stream_cluster nbj_stream_info_cluster(const nbj_stream_info *info); /**< Who keeps it. */

/** Item @p i (from 0) of what nbj_stream_info_of() was asked for, of the leader's replicas, of the sources, of the
 *  alternatives. False: there are not so many, and @p out is zeroed. What it points to lives as long as @p info. */
NBJ_API bool nbj_stream_info_subject(const nbj_stream_info *info, size_t i, nbj_subject_count *out);
NBJ_API bool nbj_stream_info_deleted(const nbj_stream_info *info, size_t i, uint64_t *sequence);      /**< Likewise. */
NBJ_API bool nbj_stream_info_replica(const nbj_stream_info *info, size_t i, nbj_stream_replica *out); /**< Likewise. */
NBJ_API bool nbj_stream_info_source(const nbj_stream_info *info, size_t i,
                                    nbj_stream_source_info *out); /**< Likewise. */
NBJ_API bool nbj_stream_info_alternate(const nbj_stream_info *info, size_t i,
                                       nbj_stream_alternate *out); /**< Likewise. */
/** How far a mirror is. False: it is none. */
NBJ_API bool nbj_stream_info_mirror(const nbj_stream_info *info, nbj_stream_source_info *out);

/** All that the server said, as JSON; lives as long as @p info. */
NBJ_API const char *nbj_stream_info_json(const nbj_stream_info *info);

/* --- making and changing --- */

/** The outcome of a call about streams or consumers; @p error is NULL on success. */
typedef void nbj_done_fn(void *user, nbj_status status, const nbj_error *error);

/** The outcome of a call that tells about a stream. @p info is valid until the callback returns, unless it is retained;
 *  NULL on failure. */
typedef void nbj_stream_info_fn(void *user, nbj_status status, const nbj_stream_info *info, const nbj_error *error);

/** Makes a stream. One that exists with the same configuration is success too.
 *
 *  The server's answer is compared with what was asked for. A field that it left out, as an old server in a cluster of
 *  several versions does, is NBJ_E_UNSUPPORTED, and the stream is deleted again if it did not exist before.
 *  @param options  NULL: all defaults.
 *  @param out      Given back with nbj_stream_info_release(); NULL on failure. May be NULL: not wanted.
 *  @param error    May be NULL.
 *  @return         NBJ_E_EXISTS_DIFFERENT, and as is said at the top. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_create(nbj_client *client, const nbj_stream_config *config,
                                                 const nbj_call_options *options, nbj_stream_info **out,
                                                 nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_create_async(nbj_client *client, const nbj_stream_config *config,
                                                       const nbj_call_options *options, nbj_stream_info_fn *on_done,
                                                       void *user); /**< As nbj_stream_create(), without waiting. */

/** Changes a stream: what is set in @p config, what @p config->reset names, and nothing else. What the server has is read,
 *  changed and written back whole, so that fields which this library does not know stay. Two updates at the same time: the
 *  later one may undo the other. Some fields cannot be changed, which the server says with NBJ_E_JS. A smaller limit removes
 *  messages at once. Otherwise as nbj_stream_create(). */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_update(nbj_client *client, const nbj_stream_config *config,
                                                 const nbj_call_options *options, nbj_stream_info **out,
                                                 nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_update_async(nbj_client *client, const nbj_stream_config *config,
                                                       const nbj_call_options *options, nbj_stream_info_fn *on_done,
                                                       void *user); /**< As nbj_stream_update(), without waiting. */

/** Sees to it that the stream exists with that configuration: makes it where there is none, and changes nothing where there
 *  is one. Several programs may do so at once.
 *  @param options  NULL: all defaults.
 *  @param error    May be NULL.
 *  @return  NBJ_E_EXISTS_DIFFERENT: the error names the fields that differ, with both values; nbj_stream_update() changes
 *           them. Otherwise as nbj_stream_create(). */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_ensure(nbj_client *client, const nbj_stream_config *config,
                                                 const nbj_call_options *options, nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_ensure_async(nbj_client *client, const nbj_stream_config *config,
                                                       const nbj_call_options *options, nbj_done_fn *on_done,
                                                       void *user); /**< As nbj_stream_ensure(), without waiting. */

/** Deletes a stream with its messages and consumers. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_delete(nbj_client *client, const char *name, const nbj_call_options *options,
                                                 nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_delete_async(nbj_client *client, const char *name,
                                                       const nbj_call_options *options, nbj_done_fn *on_done,
                                                       void *user); /**< As nbj_stream_delete(), without waiting. */

/* --- looking --- */

/** What to tell of a stream besides the usual. */
typedef struct nbj_stream_info_options {
    size_t struct_size;          /**< See nbj/options.h. */
    const char *subjects_filter; /**< Count the messages of each subject that this covers. NULL: of none. */
    bool deleted_details;        /**< Name each message that is missing. */
    char reserved[7];            /**< 0. */
} nbj_stream_info_options;
#define NBJ_STREAM_INFO(...) NBJ_OPTIONS_OF(nbj_stream_info_options, __VA_ARGS__) /**< As designated initialisers. */

/** Tells about a stream. Many subjects are several requests, of which all answers are put together.
 *  @param what  NULL: the usual.
 *  @param out   Given back with nbj_stream_info_release(); NULL on failure. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_info_of(nbj_client *client, const char *name,
                                                  const nbj_stream_info_options *what, const nbj_call_options *options,
                                                  nbj_stream_info **out, nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_info_of_async(nbj_client *client, const char *name,
                                                        const nbj_stream_info_options *what,
                                                        const nbj_call_options *options, nbj_stream_info_fn *on_done,
                                                        void *user); /**< As nbj_stream_info_of(), without waiting. */

typedef struct nbj_names nbj_names; /**< Names that a server told. Opaque. */

NBJ_API nbj_list nbj_names_list(const nbj_names *names); /**< All of them; lives as long as @p names. */
NBJ_API void nbj_names_release(nbj_names *names);        /**< Gives them back. NULL is allowed. */

/** The outcome of nbj_stream_names_async(). @p names is valid until the callback returns; NULL on failure. */
typedef void nbj_names_fn(void *user, nbj_status status, const nbj_names *names, const nbj_error *error);

/** Names all streams, or those that take messages which @p subject covers.
 *  @param subject  May have wildcards. NULL: all.
 *  @param out      Given back with nbj_names_release(); NULL on failure. None is no failure. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_names(nbj_client *client, const char *subject,
                                                const nbj_call_options *options, nbj_names **out, nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_names_async(nbj_client *client, const char *subject,
                                                      const nbj_call_options *options, nbj_names_fn *on_done,
                                                      void *user); /**< As nbj_stream_names(), without waiting. */

/** The outcome of nbj_stream_by_subject_async(). @p name is valid until the callback returns; NULL on failure. */
typedef void nbj_stream_name_fn(void *user, nbj_status status, const char *name, const nbj_error *error);

/** Finds the stream that takes messages to @p subject, which has no wildcards.
 *  @param out      Room for its name: @p size octets with the NUL; 256 are always enough.
 *  @retval NBJ_E_NO_STREAM  There is none.
 *  @retval NBJ_E_FULL       It did not fit and was cut. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_by_subject(nbj_client *client, const char *subject,
                                                     const nbj_call_options *options, char *out, size_t size,
                                                     nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_by_subject_async(nbj_client *client, const char *subject,
                                                           const nbj_call_options *options, nbj_stream_name_fn *on_done,
                                                           void *user); /**< As the above, without waiting. */

typedef struct nbj_stream_iter nbj_stream_iter; /**< Goes through streams. Opaque; for one thread at a time. */

/** A stream that a server has, and does not tell about. A frozen layout. */
typedef struct nbj_stream_unavailable {
    const char *name;
    const char *reason; /**< "": those that keep it did not answer. */
} nbj_stream_unavailable;

/** Begins to go through all streams, or those that take messages which @p subject covers; nothing is asked yet. What fails
 *  is told at the end.
 *  @param options  Of each of the requests, one for 256 streams. Copied.
 *  @return         To be given back with nbj_stream_iter_end(), before its client. NULL: no memory. */
NBJ_API nbj_stream_iter *nbj_stream_list(nbj_client *client, const char *subject, const nbj_call_options *options);
/** The next stream; waits for the server at every 256th. Valid until the next call, unless it is retained. NULL: there are
 *  no more, or something failed, or @p it is NULL. */
NBJ_API const nbj_stream_info *nbj_stream_next(nbj_stream_iter *it);
/** Item @p i (from 0) of the streams that were passed over so far because nothing is known of them. False: there are not so
 *  many. What it points to lives as long as @p it. */
NBJ_API bool nbj_stream_iter_unavailable(const nbj_stream_iter *it, size_t i, nbj_stream_unavailable *out);
/** Ends it, at the end or before. NBJ_OK: nothing failed so far. NBJ_E_NOMEM for NULL. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_iter_end(nbj_stream_iter *it, nbj_error *error);

/** The outcome of nbj_stream_list_async(). @p streams, all of them, is for nbj_stream_next() and
 *  nbj_stream_iter_unavailable(), until the callback returns; it is not to be ended. NULL on failure. */
typedef void nbj_stream_list_fn(void *user, nbj_status status, nbj_stream_iter *streams, const nbj_error *error);

/** As nbj_stream_list() without waiting; the callback gets all streams at once. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_list_async(nbj_client *client, const char *subject,
                                                     const nbj_call_options *options, nbj_stream_list_fn *on_done,
                                                     void *user);

/* --- removing --- */

/** Which messages to remove. */
typedef struct nbj_purge_options {
    size_t struct_size;      /**< See nbj/options.h. */
    const char *filter;      /**< Only of subjects that this covers. NULL: of all. */
    uint64_t below_sequence; /**< Only before this one. 0: all. Excludes @c keep. */
    uint64_t keep;           /**< All but the newest so many. 0: all. Without @c filter a server 2.9 counts missing
                              *   messages too. */
} nbj_purge_options;
#define NBJ_PURGE(...) NBJ_OPTIONS_OF(nbj_purge_options, __VA_ARGS__) /**< As designated initialisers. */

/** The outcome of nbj_stream_purge_async(). */
typedef void nbj_purge_fn(void *user, nbj_status status, uint64_t purged, const nbj_error *error);

/** Removes messages at once.
 *  @param what    NULL: all messages.
 *  @param purged  How many; 0 on failure. May be NULL. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_purge(nbj_client *client, const char *name, const nbj_purge_options *what,
                                                const nbj_call_options *options, uint64_t *purged, nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_purge_async(nbj_client *client, const char *name,
                                                      const nbj_purge_options *what, const nbj_call_options *options,
                                                      nbj_purge_fn *on_done,
                                                      void *user); /**< As nbj_stream_purge(), without waiting. */

/** Seals a stream for ever: nothing is stored or removed any more, not even by limits. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_seal(nbj_client *client, const char *name, const nbj_call_options *options,
                                               nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_seal_async(nbj_client *client, const char *name,
                                                     const nbj_call_options *options, nbj_done_fn *on_done,
                                                     void *user); /**< As nbj_stream_seal(), without waiting. */

/* --- in a cluster --- */

/** Who is to lead next. Since server 2.11. */
typedef struct nbj_step_down_options {
    size_t struct_size;    /**< See nbj/options.h. */
    const char *preferred; /**< A server's name. NULL: any. */
    const char *cluster;   /**< NULL: any. */
    nbj_list tags;         /**< That the server has to have. */
} nbj_step_down_options;
#define NBJ_STEP_DOWN(...) NBJ_OPTIONS_OF(nbj_step_down_options, __VA_ARGS__) /**< As designated initialisers. */

/** Has a stream's leader step down, so that another replica leads. It returns when the leader has agreed, maybe before there
 *  is another one.
 *  @param who  NULL: any. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_step_down(nbj_client *client, const char *name,
                                                    const nbj_step_down_options *who, const nbj_call_options *options,
                                                    nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_step_down_async(nbj_client *client, const char *name,
                                                          const nbj_step_down_options *who,
                                                          const nbj_call_options *options, nbj_done_fn *on_done,
                                                          void *user); /**< As the above, without waiting. */

/** Takes a stream away from server @p peer; the cluster finds another one for it. */
NBJ_API NBJ_CHECKED nbj_status nbj_stream_peer_remove(nbj_client *client, const char *name, const char *peer,
                                                      const nbj_call_options *options, nbj_error *error);
NBJ_API NBJ_CHECKED nbj_status nbj_stream_peer_remove_async(nbj_client *client, const char *name, const char *peer,
                                                            const nbj_call_options *options, nbj_done_fn *on_done,
                                                            void *user); /**< As the above, without waiting. */

#ifdef __cplusplus
}
#endif
#endif
