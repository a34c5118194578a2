/* SPDX-License-Identifier: Apache-2.0 */
/* Streams to backups and back, with real servers: everything comes back as it was; what goes wrong leaves neither half a
 * backup nor half a stream. */
#define _GNU_SOURCE

#include "threaded.h"

#include "alloc_fail.h"
#include "proxy.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* --- files --- */

static char dir[64]; /* of one test */

static char *in_dir(const char *name)
{
    static char path[4][128];
    static unsigned turn;
    char *p = path[turn++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static int remove_one(const char *path, const struct stat *what, int kind, struct FTW *at)
{
    (void)what;
    (void)kind;
    (void)at;
    return remove(path);
}

static int begin_test(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/nbj-snapshot-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static void delete_streams(void);

static int finish_test(void **state)
{
    if (ts_server_pid(server) == 0)
        ts_server_restart(server);
    delete_streams();
    end_test(state);
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Names in the test's directory: what a failed snapshot must not leave. */
static unsigned names_in(const char *path)
{
    DIR *d = opendir(path);
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    struct stat st;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    char *text = calloc(1, (size_t)st.st_size + 1);
    assert_non_null(text);
    *len = fread(text, 1, (size_t)st.st_size, f);
    fclose(f);
    return text;
}

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

/* --- JetStream's API by hand --- */

static const char *api(nbj_client *c, const char *verb, const char *body)
{
    static char answer[65536];
    char subject[256];
    nbj_msg *reply = NULL;

    snprintf(subject, sizeof subject, "$JS.API.%s", verb);
    nbj_status st = nbj_request(c, subject, nbj_str(body), NULL, &reply);
    CHECK(subject, st == NBJ_OK);
    snprintf(answer, sizeof answer, "%.*s", NBJ_FMT(nbj_msg_data(reply)));
    nbj_msg_release(reply);
    return answer;
}

static void api_ok(nbj_client *c, const char *verb, const char *body)
{
    const char *answer = api(c, verb, body);

    CHECK(answer, strstr(answer, "\"error\":") == NULL);
}

static bool is_there(nbj_client *c, const char *stream)
{
    char verb[64];

    snprintf(verb, sizeof verb, "STREAM.INFO.%s", stream);
    return strstr(api(c, verb, ""), "10059") == NULL;
}

/* Deletes a stream, and waits until its files are gone: a server that deletes the next one of that name meanwhile keeps
 * those, and finds the old messages in them when it makes a third. */
static void delete_stream(nbj_client *c, const char *stream)
{
    char verb[64], path[512];
    const char *log = ts_server_log(server);

    snprintf(verb, sizeof verb, "STREAM.DELETE.%s", stream);
    (void)api(c, verb, "");
    snprintf(path, sizeof path, "%.*s/store/jetstream/$G/streams/.%s", (int)(strrchr(log, '/') - log), log, stream);
    WAIT_UNTIL(access(path, F_OK) != 0, SOON_MS);
    assert_false(is_there(c, stream));
}

static void delete_streams(void)
{
    static const char *const names[] = { "S", "M" };
    nbj_client *c = open_one();

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        delete_stream(c, names[i]);
    give_back(c);
}

/* The text of |member| in JSON, up to what ends it; |depth| objects in it included. */
static void member(const char *json, const char *name, char *out, size_t size)
{
    char key[64];

    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    CHECK(name, at != NULL);
    at += strlen(key);
    size_t len = strcspn(at, at[0] == '{' ? "}" : ",}");
    snprintf(out, size, "%.*s", (int)len, at);
}

/* --- a stream, and what is in it --- */

static void ignore_outcome(void *user, const nbj_publish_result *result)
{
    (void)user;
    (void)result; /* it is counted afterwards */
}

static void fill(nbj_client *c, const char *stream, unsigned count, size_t size)
{
    char subject[64], number[16];
    uint64_t unfinished = 0;
    char *payload = malloc(size);
    uint32_t random = 1;

    assert_non_null(payload);
    for (unsigned i = 0; i < count; i++) {
        snprintf(subject, sizeof subject, "%s.%u", stream, i % 7);
        snprintf(number, sizeof number, "%u", i);
        nbj_header headers[] = { { nbj_str("Number"), nbj_str(number) }, { nbj_str("Empty"), nbj_str("") } };
        for (size_t k = 0; k < size; k++) {
            random = random * 1664525u + 1013904223u;
            payload[k] = (char)(random >> 24);
        }
        nbj_publish_options *o = i % 3 == 0 ? NBJ_PUBLISH(.headers = headers, .header_count = 2) : NULL;
        nbj_status st;
        while ((st = nbj_publish_async(c, subject, nbj_view(payload, i % 5 == 4 ? 0 : size), o, ignore_outcome,
                                       NULL)) == NBJ_E_WOULD_BLOCK)
            assert_int_equal(nbj_publish_flush(c, SOON, &unfinished), NBJ_OK);
        assert_int_equal(st, NBJ_OK);
    }
    free(payload);
    assert_int_equal(nbj_publish_flush(c, NBJ_SECONDS(60), &unfinished), NBJ_OK);
}

static uint64_t mix(uint64_t h, nbj_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ text.ptr[i]) * 0x100000001b3u;
    return (h ^ text.len) * 0x100000001b3u;
}

/* All of a message: its number and time, subject, headers in their order, payload. */
static uint64_t digest(const nbj_msg *msg, uint64_t *sequence)
{
    nbj_delivery d;
    nbj_header h;
    size_t cursor = 0;
    uint64_t hash = mix(0xcbf29ce484222325u, nbj_msg_subject(msg));

    assert_int_equal(nbj_msg_delivery(msg, &d), NBJ_OK);
    *sequence = d.stream_sequence;
    hash = mix(hash, nbj_view(&d.stream_sequence, sizeof d.stream_sequence));
    hash = mix(hash, nbj_view(&d.stored_at_ns, sizeof d.stored_at_ns));
    while (nbj_msg_header_next(msg, &cursor, &h) == NBJ_OK)
        hash = mix(mix(hash, h.name), h.value);
    return mix(hash, nbj_msg_data(msg));
}

typedef struct content {
    uint64_t *digests;
    uint64_t count;
} content;

/* Reads all of a stream's messages, which are |count|. */
static content read_stream(nbj_client *c, const char *stream, uint64_t count)
{
    content all = { calloc(count + 1, sizeof(uint64_t)), 0 };
    char verb[64], body[256], deliver[64];
    nbj_sub *sub = NULL;
    nbj_msg *batch[256];
    size_t n = 0;
    uint64_t sequence = 0, last = 0;

    assert_non_null(all.digests);
    snprintf(deliver, sizeof deliver, "read.%s.%p", stream, (void *)all.digests);
    assert_int_equal(
        nbj_subscribe(c, deliver, NBJ_SUB(.limit_messages = 1000000, .limit_bytes = NBJ_GIB(1)), NULL, NULL, &sub),
        NBJ_OK);
    snprintf(verb, sizeof verb, "CONSUMER.CREATE.%s", stream);
    snprintf(body, sizeof body,
             "{\"stream_name\":\"%s\",\"config\":{\"deliver_subject\":\"%s\",\"deliver_policy\":\"all\","
             "\"ack_policy\":\"none\"}}",
             stream, deliver);
    char name[64];
    member(api(c, verb, body), "name", name, sizeof name);
    while (all.count < count) {
        assert_int_equal(nbj_sub_next_batch(sub, batch, 256, NBJ_SECONDS(20), &n), NBJ_OK);
        for (size_t i = 0; i < n; i++) {
            all.digests[all.count++] = digest(batch[i], &sequence);
            assert_true(sequence > last);
            last = sequence;
            nbj_msg_release(batch[i]);
        }
    }
    assert_int_equal(nbj_sub_stats_of(sub).dropped, 0);
    nbj_sub_release(sub);
    snprintf(verb, sizeof verb, "CONSUMER.DELETE.%s.%.*s", stream, (int)strlen(name) - 2, name + 1);
    api_ok(c, verb, "");
    return all;
}

static void must_be_equal(content a, content b)
{
    assert_int_equal(a.count, b.count);
    for (uint64_t i = 0; i < a.count; i++)
        assert_true(a.digests[i] == b.digests[i]);
    free(a.digests);
    free(b.digests);
}

static void make_stream(nbj_client *c)
{
    api_ok(c, "STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"S.>\"],\"storage\":\"file\",\"max_msgs\":1000000}");
}

/* Settles |acked| messages of a new consumer and leaves |left| unsettled. */
static void use_consumer(nbj_client *c, const char *name, unsigned acked, unsigned left)
{
    char verb[64], body[256], subject[64];
    nbj_msg *msg = NULL, *confirmed = NULL;

    snprintf(verb, sizeof verb, "CONSUMER.DURABLE.CREATE.S.%s", name);
    snprintf(body, sizeof body,
             "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"%s\",\"ack_policy\":\"explicit\","
             "\"filter_subject\":\"S.1\"}}",
             name);
    api_ok(c, verb, body);
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.S.%s", name);
    for (unsigned i = 0; i < acked + left; i++) {
        char reply[256];
        assert_int_equal(nbj_request(c, subject, nbj_str("1"), NULL, &msg), NBJ_OK);
        snprintf(reply, sizeof reply, "%.*s", NBJ_FMT(nbj_msg_reply(msg)));
        nbj_msg_release(msg);
        if (i >= acked)
            continue;
        assert_int_equal(nbj_request(c, reply, nbj_str("+ACK"), NULL, &confirmed), NBJ_OK);
        nbj_msg_release(confirmed);
    }
}

/* What a consumer is and where it is. */
static void consumer_state(nbj_client *c, const char *name, char *out, size_t size)
{
    static const char *const members[] = { "delivered", "ack_floor", "num_ack_pending", "num_pending", "ack_policy" };
    char verb[64];
    size_t len = 0;

    snprintf(verb, sizeof verb, "CONSUMER.INFO.S.%s", name);
    const char *info = api(c, verb, "");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char text[128];
        member(info, members[i], text, sizeof text);
        char *last = strstr(text, ",\"last_active\""); /* which is not saved */
        if (last != NULL)
            *last = '\0';
        len += (size_t)snprintf(out + len, size - len, "%s;", text);
    }
}

/* --- saving and restoring --- */

static nbj_error error;

/* Servers before 2.15 are busy for a while with a snapshot that nobody takes any more. */
static bool is_busy(nbj_status st)
{
    if (st != NBJ_E_JS || error.err_code != 10064)
        return false;
    ts_breathe();
    return true;
}

static void save(nbj_client *c, const char *path, const nbj_snapshot_options *how, nbj_snapshot_info *info)
{
    nbj_time until = ts_now() + SOON;
    nbj_status st;

    do
        st = nbj_stream_snapshot(c, "S", path, how, NULL, info, &error);
    while (is_busy(st) && ts_now() < until);
    CHECK(nbj_error_text(&error), st == NBJ_OK);
}

static void restore(nbj_client *c, const char *path, const nbj_restore_options *how, nbj_snapshot_info *info)
{
    nbj_status st = nbj_stream_restore(c, path, how, NULL, info, &error);
    CHECK(nbj_error_text(&error), st == NBJ_OK);
}

typedef struct watched {
    unsigned calls;
    uint64_t bytes, total, stop_at; /* 0: never */
    bool worked;
    void (*then)(void); /* at |stop_at|, once; instead of stopping */
} watched;

static bool watch(void *user, const nbj_snapshot_progress *p)
{
    watched *w = user;

    assert_true(w->calls == 0 || p->bytes >= w->bytes);
    w->calls++;
    w->bytes = p->bytes;
    w->total = p->total_bytes;
    w->worked = w->worked || p->is_working;
    if (w->stop_at == 0 || p->bytes < w->stop_at)
        return true;
    w->stop_at = 0;
    if (w->then == NULL)
        return false;
    w->then();
    return true;
}

static void test_round_trip(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_snapshot_info saved, restored, checked;
    char before[2][512], after[2][512];
    watched down = { 0 }, up = { 0 };
    make_stream(c);
    fill(c, "S", 3000, 300);
    use_consumer(c, "A", 5, 3);
    use_consumer(c, "B", 0, 0);
    consumer_state(c, "A", before[0], sizeof before[0]);
    consumer_state(c, "B", before[1], sizeof before[1]);
    api_ok(c, "STREAM.MSG.DELETE.S", "{\"seq\":7,\"no_erase\":true}");
    content was = read_stream(c, "S", 2999);
    save(c, in_dir("b"), NBJ_SNAPSHOT(.on_progress = watch, .user = &down, .chunk_size = 16384), &saved);
    assert_int_equal(names_in(dir), 1);
    assert_int_equal(names_in(in_dir("b")), 2);
    assert_true(down.calls > 10 && down.bytes == saved.bytes);
    assert_string_equal(saved.stream, "S");
    assert_int_equal(saved.messages, 2999);
    assert_int_equal(saved.first_sequence, 1);
    assert_int_equal(saved.last_sequence, 3000);
    assert_int_equal(saved.consumers, 2);
    assert_true(saved.is_checked);
    assert_int_equal(nbj_snapshot_check(in_dir("b"), &checked, &error), NBJ_OK);
    assert_memory_equal(&checked, &saved, sizeof saved);
    delete_stream(c, "S");
    restore(c, in_dir("b"), NBJ_RESTORE(.on_progress = watch, .user = &up, .chunk_size = 8192), &restored);
    assert_memory_equal(&restored, &saved, sizeof saved);
    assert_true(up.calls > 10 && up.bytes == saved.bytes && up.total == saved.bytes && up.worked);
    must_be_equal(was, read_stream(c, "S", 2999));
    consumer_state(c, "A", after[0], sizeof after[0]);
    consumer_state(c, "B", after[1], sizeof after[1]);
    assert_string_equal(after[0], before[0]);
    assert_string_equal(after[1], before[1]);
    assert_non_null(strstr(api(c, "STREAM.INFO.S", ""), "\"max_msgs\":1000000"));
}

static void test_without_consumers(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    make_stream(c);
    fill(c, "S", 100, 100);
    use_consumer(c, "A", 1, 0);
    save(c, in_dir("b/"), NBJ_SNAPSHOT(.no_consumers = true, .check_messages = true), NULL);
    delete_stream(c, "S");
    restore(c, in_dir("b/"), NBJ_RESTORE(.replicas = 1), NULL);
    assert_non_null(strstr(api(c, "STREAM.INFO.S", ""), "\"consumer_count\":0"));
    assert_non_null(strstr(api(c, "CONSUMER.INFO.S.A", ""), "10014"));
}

static void test_empty_stream(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_snapshot_info info;
    make_stream(c);
    assert_int_equal(mkdir(in_dir("b"), 0700), 0); /* an empty directory is as good as none */
    save(c, in_dir("b"), NULL, &info);
    assert_int_equal(info.messages, 0);
    delete_stream(c, "S");
    restore(c, in_dir("b"), NULL, NULL);
    assert_true(is_there(c, "S"));
}

#define MANY 100000u

static void test_many(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_snapshot_info info;
    make_stream(c);
    fill(c, "S", MANY, 120);
    content was = read_stream(c, "S", MANY);
    save(c, in_dir("b"), NULL, &info);
    assert_int_equal(info.messages, MANY);
    delete_stream(c, "S");
    restore(c, in_dir("b"), NULL, NULL);
    must_be_equal(was, read_stream(c, "S", MANY));
}

/* --- what goes wrong --- */

/* A stream and a backup of it; the stream is gone. */
static nbj_snapshot_info make_backup(nbj_client *c, unsigned count, size_t size)
{
    nbj_snapshot_info info;

    make_stream(c);
    fill(c, "S", count, size);
    save(c, in_dir("b"), NULL, &info);
    delete_stream(c, "S");
    return info;
}

static void test_refused_before_anything(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_snapshot_info info;
    assert_int_equal(nbj_stream_snapshot(c, "none", in_dir("b"), NULL, NULL, &info, &error), NBJ_E_STREAM_NOT_FOUND);
    assert_int_equal(names_in(dir), 0);
    assert_int_equal(nbj_stream_snapshot(c, "a.b", in_dir("b"), NULL, NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_stream_snapshot(c, "S", "", NULL, NULL, NULL, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj_stream_snapshot(c, "S", in_dir("b"), NBJ_SNAPSHOT(.chunk_size = 100), NULL, NULL, NULL),
                     NBJ_E_INVALID);
    assert_int_equal(nbj_stream_snapshot(c, "S", in_dir("no/b"), NULL, NULL, NULL, &error), NBJ_E_FILE);
    assert_int_equal(nbj_stream_restore(c, in_dir("b"), NULL, NULL, NULL, &error), NBJ_E_FILE);
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(nbj_snapshot_check(in_dir("b"), &info, NULL), NBJ_E_FILE);
    make_backup(c, 10, 10);
    make_stream(c);
    assert_int_equal(nbj_stream_snapshot(c, "S", in_dir("b"), NULL, NULL, NULL, &error), NBJ_E_FILE);
    assert_non_null(strstr(error.text, "there is something of that name already"));
    assert_int_equal(nbj_snapshot_check(in_dir("b"), &info, &error), NBJ_OK);
    fill(c, "S", 3, 10);
    assert_int_equal(nbj_stream_restore(c, in_dir("b"), NULL, NULL, NULL, &error), NBJ_E_JS);
    assert_int_equal(error.err_code, 10130);
    assert_non_null(strstr(error.text, "delete that one first"));
    assert_non_null(strstr(api(c, "STREAM.INFO.S", ""), "\"messages\":3"));
    assert_int_equal(nbj_stream_restore(c, in_dir("b"), NBJ_RESTORE(.config = "{\"name\":\"T\"}"), NULL, NULL, &error),
                     NBJ_E_INVALID);
}

static void test_configuration(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    make_backup(c, 10, 10);
    restore(c, in_dir("b"),
            NBJ_RESTORE(.config = "{\"name\":\"S\",\"subjects\":[\"S.>\"],\"storage\":\"file\",\"max_msgs\":77}"),
            NULL);
    assert_non_null(strstr(api(c, "STREAM.INFO.S", ""), "\"max_msgs\":77"));
    delete_stream(c, "S");
    assert_int_equal(nbj_stream_restore(c, in_dir("b"), NBJ_RESTORE(.replicas = 3), NULL, NULL, &error), NBJ_E_JS);
    assert_true(error.err_code == 10074 || error.err_code == 10062); /* a single server has no replicas */
    assert_false(is_there(c, "S"));
}

/* A backup with one octet of |file| changed, or cut there. */
static void damage(const char *file, long at, bool cut)
{
    size_t len = 0;
    char name[32];

    snprintf(name, sizeof name, "b/%s", file);
    char *text = read_file(in_dir(name), &len);
    size_t where = at >= 0 ? (size_t)at : len - (size_t)-at;
    text[where] = (char)(text[where] ^ 1);
    snprintf(name, sizeof name, "damaged/%s", file);
    write_file(in_dir(name), text, cut ? where : len);
    free(text);
}

static void copy_file(const char *file)
{
    size_t len = 0;
    char name[32];

    snprintf(name, sizeof name, "b/%s", file);
    char *text = read_file(in_dir(name), &len);
    snprintf(name, sizeof name, "damaged/%s", file);
    write_file(in_dir(name), text, len);
    free(text);
}

static void test_damaged(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        long at;
        bool cut;
    } cases[] = {
        { "stream.tar.s2", 0, false }, { "stream.tar.s2", 5000, false }, { "stream.tar.s2", -1, false },
        { "stream.tar.s2", -1, true }, { "stream.tar.s2", 0, true },     { "backup.json", 0, false },
        { "backup.json", 25, false },  { "backup.json", -5, false },     { "backup.json", -2, true },
        { "backup.json", -3, true },   { "backup.json", 0, true },       { "backup.json", -100, false },
    };
    nbj_client *c = open_one();
    nbj_snapshot_info info;
    make_backup(c, 200, 100);
    nbj_sub *requests = NULL;
    assert_int_equal(nbj_subscribe(c, "$JS.EVENT.ADVISORY.STREAM.RESTORE_CREATE.*", NULL, NULL, NULL, &requests),
                     NBJ_OK);
    assert_int_equal(mkdir(in_dir("damaged"), 0700), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        copy_file("stream.tar.s2");
        copy_file("backup.json");
        assert_int_equal(nbj_snapshot_check(in_dir("damaged"), &info, &error), NBJ_OK);
        damage(cases[i].file, cases[i].at, cases[i].cut);
        CHECK(cases[i].file, nbj_snapshot_check(in_dir("damaged"), &info, &error) == NBJ_E_DAMAGED);
        CHECK(cases[i].file, nbj_stream_restore(c, in_dir("damaged"), NULL, NULL, NULL, &error) == NBJ_E_DAMAGED);
        assert_false(is_there(c, "S"));
    }
    flush(c);
    assert_int_equal(nbj_sub_stats_of(requests).delivered, 0); /* the server was not even asked */
    nbj_sub_release(requests);
}

/* As the command line tool writes it, with blanks and without our member. */
static void test_foreign(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_snapshot_info info;
    size_t len = 0;
    make_backup(c, 50, 100);
    char *text = read_file(in_dir("b/backup.json"), &len);
    char *ours = strstr(text, ",\"nbj\":");
    assert_non_null(ours);
    strcpy(ours, "\n}");
    text[0] = ' ';
    char *foreign = malloc(len + 16);
    assert_non_null(foreign);
    int n = snprintf(foreign, len + 16, "{\n  %s", text);
    write_file(in_dir("b/backup.json"), foreign, (size_t)n);
    free(foreign);
    free(text);
    assert_int_equal(nbj_stream_restore(c, in_dir("b"), NULL, NULL, NULL, &error), NBJ_E_DAMAGED);
    assert_non_null(strstr(error.text, "unchecked"));
    assert_int_equal(nbj_snapshot_check(in_dir("b"), &info, &error), NBJ_OK);
    assert_false(info.is_checked);
    restore(c, in_dir("b"), NBJ_RESTORE(.unchecked = true), NULL);
    assert_non_null(strstr(api(c, "STREAM.INFO.S", ""), "\"messages\":50"));
    delete_stream(c, "S");
}

/* The server finds it damaged when all is sent: nothing stays of what it made of the first part. */
static void test_damaged_unchecked(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    size_t len = 0;
    make_backup(c, 12000, 300);
    char *text = read_file(in_dir("b/backup.json"), &len);
    strcpy(strstr(text, ",\"nbj\":"), "}");
    write_file(in_dir("b/backup.json"), text, strlen(text));
    free(text);
    text = read_file(in_dir("b/stream.tar.s2"), &len);
    text[len * 3 / 4] ^= 1;
    write_file(in_dir("b/stream.tar.s2"), text, len);
    free(text);
    assert_int_equal(nbj_stream_restore(c, in_dir("b"), NBJ_RESTORE(.unchecked = true), NULL, NULL, &error), NBJ_E_JS);
    assert_int_equal(error.err_code, 10062);
    assert_false(is_there(c, "S"));
}

static void test_disk_full(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    struct rlimit before, small;
    make_stream(c);
    fill(c, "S", 2000, 1000);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 300000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    nbj_status st = nbj_stream_snapshot(c, "S", in_dir("b"), NULL, NULL, NULL, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(st, NBJ_E_FILE);
    assert_non_null(strstr(error.text, "stream.tar.s2 cannot be written"));
    assert_int_equal(names_in(dir), 0);
    save(c, in_dir("b"), NULL, NULL); /* the connection does not mind */
}

static void test_no_permission(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    make_stream(c);
    fill(c, "S", 10, 10);
    save(c, in_dir("b"), NULL, NULL);
    bool is_root = geteuid() == 0;
    assert_int_equal(chmod(dir, is_root ? 0755 : 0555), 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    nbj_status st = nbj_stream_snapshot(c, "S", in_dir("b2"), NULL, NULL, NULL, &error);
    nbj_error other = { 0 };
    nbj_status other_st = is_root ? nbj_stream_restore(c, in_dir("b"), NULL, NULL, NULL, &other) : NBJ_E_FILE;
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(st, NBJ_E_FILE);
    assert_non_null(strstr(error.text, "Permission denied"));
    assert_int_equal(other_st, NBJ_E_FILE);
    assert_int_equal(names_in(dir), 1);
}

static void test_cancelled(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    watched at_once = { .stop_at = 1 }, later = { .stop_at = 400000 };
    make_stream(c);
    fill(c, "S", 3000, 300);
    assert_int_equal(nbj_stream_snapshot(c, "S", in_dir("x"), NBJ_SNAPSHOT(.on_progress = watch, .user = &at_once),
                                         NULL, NULL, &error),
                     NBJ_E_CANCELLED);
    assert_int_equal(names_in(dir), 0);
    save(c, in_dir("b"), NULL, NULL);
    delete_stream(c, "S");
    nbj_time begun = ts_now();
    assert_int_equal(
        nbj_stream_restore(c, in_dir("b"), NBJ_RESTORE(.on_progress = watch, .user = &later), NULL, NULL, &error),
        NBJ_E_CANCELLED);
    assert_true(ts_now() - begun < NBJ_SECONDS(5)); /* which is how long the server would wait for more */
    assert_false(is_there(c, "S"));
    restore(c, in_dir("b"), NULL, NULL);
}

static void kill_server(void)
{
    ts_server_kill9(server);
}

static void kill_and_restart(void)
{
    ts_server_kill9(server);
    ts_server_restart(server);
}

static void test_server_dies(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    watched down = { .stop_at = 500000, .then = kill_server }, up = { .stop_at = 500000, .then = kill_and_restart };
    make_stream(c);
    fill(c, "S", 12000, 300);
    save(c, in_dir("b"), NULL, NULL);
    nbj_status st =
        nbj_stream_snapshot(c, "S", in_dir("x"), NBJ_SNAPSHOT(.on_progress = watch, .user = &down), NULL, NULL, &error);
    assert_true(st == NBJ_E_DISCONNECTED || (st == NBJ_OK && names_in(dir) == 2)); /* all may have been on its way */
    if (st != NBJ_OK)
        assert_int_equal(names_in(dir), 1);
    ts_server_restart(server);
    delete_stream(c, "S");
    st = nbj_stream_restore(c, in_dir("b"), NBJ_RESTORE(.on_progress = watch, .user = &up), NULL, NULL, &error);
    CHECK(nbj_error_text(&error), st == NBJ_E_DISCONNECTED);
    CHECK(nbj_error_text(&error), !is_there(c, "S"));
    restore(c, in_dir("b"), NULL, NULL);
    assert_non_null(strstr(api(c, "STREAM.INFO.S", ""), "\"messages\":12000"));
}

/* Killed while it puts the stream together: it is there as a whole, or not at all. */
static void test_server_dies_at_the_end(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_snapshot_info info = make_backup(c, 20000, 300);
    for (unsigned i = 0; i < 4; i++) {
        watched up = { .stop_at = info.bytes, .then = kill_and_restart };
        nbj_status st =
            nbj_stream_restore(c, in_dir("b"), NBJ_RESTORE(.on_progress = watch, .user = &up), NULL, NULL, &error);
        CHECK(nbj_error_text(&error), st == NBJ_OK || st == NBJ_E_DISCONNECTED);
        assert_int_equal(is_there(c, "S"), st == NBJ_OK);
        if (st == NBJ_OK) {
            assert_non_null(strstr(api(c, "STREAM.INFO.S", ""), "\"messages\":20000"));
            delete_stream(c, "S");
        }
    }
}

static ts_proxy *proxy;

static void fall_silent(void)
{
    ts_proxy_black_hole(proxy, TS_TO_CLIENT, true);
}

static int finish_proxy(void **state)
{
    end_test(state);
    ts_proxy_free(proxy);
    return finish_test(state);
}

static void test_stall(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    proxy = ts_proxy_start(ts_server_port(server));
    char url[64];
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(proxy));
    nbj_client *far = open_with(NBJ_CLIENT_OPTIONS(.url = url));
    make_stream(c);
    fill(c, "S", 12000, 300);
    watched down = { .stop_at = 500000, .then = fall_silent };
    ts_proxy_split(proxy, TS_TO_CLIENT, 20000, 100000);
    nbj_time begun = ts_now();
    assert_int_equal(nbj_stream_snapshot(far, "S", in_dir("b"), NBJ_SNAPSHOT(.on_progress = watch, .user = &down),
                                         NBJ_CALL(.timeout_ns = NBJ_MILLIS(600)), NULL, &error),
                     NBJ_E_TIMEOUT);
    assert_true(ts_now() - begun >= NBJ_MILLIS(600) && ts_now() - begun < NBJ_SECONDS(8));
    assert_int_equal(names_in(dir), 0);
}

/* Slowly, but always something: longer than the limit of silence. */
static void test_slow(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_snapshot_info info;
    proxy = ts_proxy_start(ts_server_port(server));
    char url[64];
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", ts_proxy_port(proxy));
    nbj_client *far = open_with(NBJ_CLIENT_OPTIONS(.url = url));
    make_stream(c);
    fill(c, "S", 6000, 300);
    ts_proxy_split(proxy, TS_TO_CLIENT, 16384, NBJ_MILLIS(25));
    nbj_time begun = ts_now();
    assert_int_equal(nbj_stream_snapshot(far, "S", in_dir("b"), NBJ_SNAPSHOT(.chunk_size = 65536),
                                         NBJ_CALL(.timeout_ns = NBJ_SECONDS(2)), &info, &error),
                     NBJ_OK);
    assert_true(ts_now() - begun > NBJ_SECONDS(2));
    assert_int_equal(nbj_snapshot_check(in_dir("b"), &info, &error), NBJ_OK);
}

static void test_window_and_chunks(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    nbj_snapshot_info info;
    bool has_window = ts_server_is_at_least(server, 2, 12, 5);
    make_stream(c);
    fill(c, "S", 3000, 300);
    nbj_status st = nbj_stream_snapshot(c, "S", in_dir("w"), NBJ_SNAPSHOT(.chunk_size = 1024, .window_size = 4096),
                                        NULL, &info, &error);
    assert_int_equal(st, has_window ? NBJ_OK : NBJ_E_UNSUPPORTED);
    if (!has_window)
        assert_non_null(strstr(error.text, "2.12.5"));
    save(c, in_dir("small"), NBJ_SNAPSHOT(.chunk_size = 1024), NULL);
    save(c, in_dir("large"), NBJ_SNAPSHOT(.chunk_size = 1u << 20), NULL);
    content was = read_stream(c, "S", 3000);
    delete_stream(c, "S");
    restore(c, in_dir("small"), NBJ_RESTORE(.chunk_size = 1u << 20), NULL);
    must_be_equal(was, read_stream(c, "S", 3000));
    was = read_stream(c, "S", 3000);
    delete_stream(c, "S");
    restore(c, in_dir("large"), NBJ_RESTORE(.chunk_size = 1024), NULL);
    must_be_equal(was, read_stream(c, "S", 3000));
}

static void test_memory_stream(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    api_ok(c, "STREAM.CREATE.M", "{\"name\":\"M\",\"subjects\":[\"M.>\"],\"storage\":\"memory\"}");
    fill(c, "M", 300, 100);
    nbj_status st = nbj_stream_snapshot(c, "M", in_dir("b"), NULL, NULL, NULL, &error);
    if (!ts_server_is_at_least(server, 2, 15, 0)) {
        assert_int_equal(st, NBJ_E_JS);
        assert_non_null(strstr(error.text, "none of one in memory"));
        assert_int_equal(names_in(dir), 0);
        return;
    }
    assert_int_equal(st, NBJ_OK);
    content was = read_stream(c, "M", 300);
    delete_stream(c, "M");
    restore(c, in_dir("b"), NULL, NULL);
    must_be_equal(was, read_stream(c, "M", 300));
}

/* Backups of 20 messages, of which consumer C has settled 5 and holds 3, made by servers of each version. */
static void test_other_versions(void **state)
{
    (void)state;
    static const char *const versions[] = { "2.9.10", "2.10.27", "2.15.1" };
    nbj_client *c = open_one();
    char path[512], was[256], number[32];
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        bool is_new = strcmp(versions[i], "2.15.1") == 0;
        snprintf(path, sizeof path, "%s/%s", BACKUPS, versions[i]);
        if (is_new && !ts_server_is_at_least(server, 2, 15, 0)) {
            assert_int_equal(nbj_stream_restore(c, path, NULL, NULL, NULL, &error), NBJ_E_UNSUPPORTED);
            assert_non_null(strstr(error.text, "needs nats-server 2.15.0"));
            assert_false(is_there(c, "S"));
            continue;
        }
        restore(c, path, NULL, NULL);
        consumer_state(c, "C", was, sizeof was);
        CHECK(was, strstr(was, "\"stream_seq\":8") != NULL && strstr(was, "\"stream_seq\":5") != NULL);
        CHECK(was, strstr(was, ";3;12;") != NULL);
        const char *ninth = api(c, "STREAM.MSG.GET.S", "{\"seq\":9}");
        CHECK(ninth, strstr(ninth, "\"data\":\"bWVzc2FnZSA5\"") != NULL);           /* message 9 */
        CHECK(ninth, strstr(ninth, "\"hdrs\":\"TkFUUy8xLjANCk51bWJlcjog") != NULL); /* NATS/1.0, Number: */
        member(api(c, "STREAM.INFO.S", ""), "messages", number, sizeof number);
        assert_string_equal(number, "20");
        delete_stream(c, "S");
    }
}

/* The first messages, asked for one by one. */
static content get_messages(nbj_client *c, uint64_t count)
{
    content all = { calloc(count, sizeof(uint64_t)), count };
    char body[32];

    assert_non_null(all.digests);
    for (uint64_t i = 0; i < count; i++) {
        snprintf(body, sizeof body, "{\"seq\":%" PRIu64 "}", i + 1);
        const char *answer = api(c, "STREAM.MSG.GET.S", body);
        CHECK(answer, strstr(answer, "\"message\":") != NULL);
        all.digests[i] = mix(0, nbj_str(answer));
    }
    return all;
}

static void test_cluster(void **state)
{
    (void)state;
    ts_cluster cluster = ts_cluster_start(3, &(ts_server_options){ .jetstream = true });
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(cluster.server[0])));
    nbj_client *d = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(cluster.server[1])));
    api_ok(c, "STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"S.>\"],\"num_replicas\":3}");
    fill(c, "S", 3000, 300);
    content was = get_messages(c, 300);
    save(c, in_dir("b"), NULL, NULL);
    api_ok(c, "STREAM.DELETE.S", "");
    restore(d, in_dir("b"), NULL, NULL);
    must_be_equal(was, get_messages(c, 300));
    assert_non_null(strstr(api(c, "STREAM.INFO.S", ""), "\"num_replicas\":3"));
    give_back(c);
    give_back(d);
    ts_cluster_free(&cluster);
}

/* Other threads publish and subscribe over the same client meanwhile. */
typedef struct bystander {
    nbj_client *client;
    atomic_bool stop;
} bystander;

static nbj_status stand_by(void *arg)
{
    bystander *b = arg;
    nbj_status st = NBJ_OK;

    while (!b->stop && st == NBJ_OK)
        st = nbj_flush(b->client, SOON);
    return st;
}

static void test_among_others(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    make_stream(c);
    fill(c, "S", 3000, 300);
    bystander b = { .client = c };
    worker w[2];
    for (int i = 0; i < 2; i++)
        start(&w[i], stand_by, &b);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%d", i);
        save(c, in_dir(name), NULL, NULL);
        delete_stream(c, "S");
        restore(c, in_dir(name), NULL, NULL);
    }
    b.stop = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(finish(&w[i]), NBJ_OK);
}

static void test_loop_client(void **state)
{
    (void)state;
    nbj_client *loop = NULL;
    assert_int_equal(nbj_loop_open(&loop, NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)), NULL), NBJ_OK);
    assert_int_equal(nbj_stream_snapshot(loop, "S", in_dir("b"), NULL, NULL, NULL, &error), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_stream_restore(loop, in_dir("b"), NULL, NULL, NULL, &error), NBJ_E_WOULD_BLOCK);
    assert_int_equal(names_in(dir), 0);
    nbj_client_release(loop);
}

/* One allocation after the other is refused: what comes of it is an error that leaves nothing, or success. */
static bool without_memory(size_t n, bool restores)
{
    static ts_alloc mem; /* outlives a failed test */
    nbj_time until = ts_now() + SOON;
    nbj_status st;
    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.alloc = &mem.allocator));
    nbj_call_options *soon = NBJ_CALL(.timeout_ns = NBJ_MILLIS(300));
    do {
        mem.fail_at = mem.calls + n;
        if (restores)
            st = nbj_stream_restore(c, in_dir("b"), NULL, soon, NULL, &error);
        else
            st = nbj_stream_snapshot(c, "S", in_dir("x"), NULL, soon, NULL, &error);
    } while (mem.failed == 0 && is_busy(st) && ts_now() < until);
    bool failed = mem.failed > 0;
    mem.fail_at = TS_NEVER_FAIL;
    CHECK(nbj_error_text(&error), failed || st == NBJ_OK);
    CHECK(nbj_error_text(&error), st == NBJ_OK || error.status == st);
    if (!restores)
        assert_int_equal(names_in(dir), st == NBJ_OK ? 2 : 1);
    if (!restores && st == NBJ_OK)
        nftw(in_dir("x"), remove_one, 8, FTW_DEPTH | FTW_PHYS);
    give_back(c);
    ts_alloc_done(&mem);
    return failed;
}

static void test_memory(void **state)
{
    (void)state;
    nbj_client *c = open_one();
    size_t n = 0;
    make_stream(c);
    fill(c, "S", 10, 100);
    save(c, in_dir("b"), NULL, NULL);
    while (without_memory(n, false))
        n++;
    assert_true(n > 10);
    delete_stream(c, "S");
    for (n = 0; without_memory(n, true); n++) {
        if (is_there(c, "S")) /* restored all the same; or nobody had the memory to delete it */
            delete_stream(c, "S");
    }
    assert_true(n > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, finish_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_without_consumers),
        TEST(test_empty_stream),
        TEST(test_many),
        TEST(test_refused_before_anything),
        TEST(test_configuration),
        TEST(test_damaged),
        TEST(test_foreign),
        TEST(test_damaged_unchecked),
        TEST(test_disk_full),
        TEST(test_no_permission),
        TEST(test_cancelled),
        TEST(test_server_dies),
        TEST(test_server_dies_at_the_end),
        cmocka_unit_test_setup_teardown(test_stall, begin_test, finish_proxy),
        cmocka_unit_test_setup_teardown(test_slow, begin_test, finish_proxy),
        TEST(test_window_and_chunks),
        TEST(test_memory_stream),
        TEST(test_other_versions),
        TEST(test_cluster),
        TEST(test_among_others),
        TEST(test_loop_client),
        TEST(test_memory),
    };
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
