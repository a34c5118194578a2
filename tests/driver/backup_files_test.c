/* SPDX-License-Identifier: Apache-2.0 */
/* A backup's files: there as a whole or not at all, and read back only as they were written. */
#define _GNU_SOURCE
#include "driver/backup_files.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT "{\"config\":{\"name\":\"S\"},\"state\":{\"messages\":1}"

static char dir[64];
static nbj_error error;

static const char *in_dir(const char *name)
{
    static char path[2][128];
    static unsigned turn;

    snprintf(path[++turn % 2], sizeof path[0], "%s/%s", dir, name);
    return path[turn % 2];
}

static int begin_test(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/nbj-backup-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static void remove_backup(const char *name)
{
    char path[160];

    snprintf(path, sizeof path, "%s/%s/backup.json", dir, name);
    unlink(path);
    snprintf(path, sizeof path, "%s/%s/stream.tar.s2", dir, name);
    unlink(path);
    rmdir(in_dir(name));
}

static int end_test(void **state)
{
    (void)state;
    remove_backup("b");
    return rmdir(dir); /* which says that nothing else is left */
}

static void append_text(nbj__buf *b, const char *text)
{
    assert_int_equal(nbj__buf_append(b, text, strlen(text)), NBJ_OK);
}

/* A backup of |data| at |path|, put in pieces of |piece| octets. */
static nbj_status write_backup(const nbj_allocator *alloc, const char *path, nbj_bytes data, size_t piece)
{
    nbj__backup_writer w;
    nbj__buf text;
    char sha256[NBJ__SHA256_TEXT];

    nbj__buf_init(&text, &nbj__malloc_allocator, NBJ__BACKUP_MAX);
    append_text(&text, TEXT);
    nbj_status st = nbj__backup_writer_begin(&w, alloc, path, &error);
    if (st == NBJ_OK)
        st = nbj__backup_writer_describe(&w, nbj__buf_view(&text), &error);
    for (size_t i = 0; i < data.len && st == NBJ_OK; i += piece)
        st = nbj__backup_writer_put(&w, nbj_view(data.ptr + i, data.len - i < piece ? data.len - i : piece), &error);
    if (st == NBJ_OK)
        st = nbj__backup_writer_sum(&w, sha256, &error);
    if (st == NBJ_OK)
        st = nbj__backup_seal(&text, w.bytes, sha256);
    if (st == NBJ_OK)
        st = nbj__backup_writer_finish(&w, nbj__buf_view(&text), &error);
    nbj__backup_writer_end(&w);
    nbj__backup_writer_end(&w);
    nbj__buf_free(&text);
    return st;
}

/* Reads it twice, |cap| octets at a time; the data to |at|. */
static nbj_status read_backup(const nbj_allocator *alloc, const char *path, uint8_t *at, size_t cap, size_t *total)
{
    nbj__backup_reader r;
    nbj_status st = nbj__backup_reader_begin(&r, alloc, path, &error);

    for (int i = 0; i < 2 && st == NBJ_OK; i++) {
        size_t len = 1;
        *total = 0;
        st = nbj__backup_reader_rewind(&r, &error);
        while (st == NBJ_OK && len > 0) {
            st = nbj__backup_reader_next(&r, at + *total, cap, &len, &error);
            *total += len;
        }
    }
    nbj__backup_reader_end(&r);
    nbj__backup_reader_end(&r);
    return st;
}

static void test_there_and_back(void **state)
{
    (void)state;
    static uint8_t data[10000], back[20000];
    size_t len = 0;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    assert_int_equal(write_backup(&nbj__malloc_allocator, in_dir("b///"), nbj_view(data, sizeof data), 999), NBJ_OK);
    for (size_t cap = 1; cap <= 10000; cap = cap * 7 + 3) {
        assert_int_equal(read_backup(&nbj__malloc_allocator, in_dir("b/"), back, cap, &len), NBJ_OK);
        assert_int_equal(len, sizeof data);
        assert_memory_equal(back, data, len);
    }
    struct stat st;
    assert_int_equal(stat(in_dir("b"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(in_dir("b/stream.tar.s2"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_in_the_working_directory(void **state)
{
    (void)state;
    char before[512];
    uint8_t back[16];
    size_t len = 0;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(dir), 0);
    nbj_status written = write_backup(&nbj__malloc_allocator, "b", nbj_str("data"), 4);
    nbj_status read = read_backup(&nbj__malloc_allocator, "b", back, 4, &len);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(written, NBJ_OK);
    assert_int_equal(read, NBJ_OK);
}

static void test_nothing_is_replaced(void **state)
{
    (void)state;
    uint8_t back[16];
    size_t len = 0;
    nbj__backup_writer w;
    assert_int_equal(write_backup(&nbj__malloc_allocator, in_dir("b"), nbj_str("one"), 4), NBJ_OK);
    assert_int_equal(write_backup(&nbj__malloc_allocator, in_dir("b"), nbj_str("two"), 4), NBJ_E_FILE);
    assert_int_equal(write_backup(&nbj__malloc_allocator, in_dir("b/backup.json"), nbj_str("two"), 4), NBJ_E_FILE);
    assert_int_equal(symlink("nowhere", in_dir("link")), 0);
    assert_int_equal(write_backup(&nbj__malloc_allocator, in_dir("link"), nbj_str("two"), 4), NBJ_E_FILE);
    assert_int_equal(unlink(in_dir("link")), 0);
    assert_int_equal(read_backup(&nbj__malloc_allocator, in_dir("b"), back, 4, &len), NBJ_OK);
    assert_memory_equal(back, "one", 3);
    remove_backup("b");
    /* it comes into being while another is written */
    char sha256[NBJ__SHA256_TEXT];
    assert_int_equal(nbj__backup_writer_begin(&w, &nbj__malloc_allocator, in_dir("b"), &error), NBJ_OK);
    assert_int_equal(write_backup(&nbj__malloc_allocator, in_dir("b"), nbj_str("one"), 4), NBJ_OK);
    assert_int_equal(nbj__backup_writer_sum(&w, sha256, &error), NBJ_OK);
    assert_int_equal(nbj__backup_writer_finish(&w, nbj_str(TEXT "}"), &error), NBJ_E_FILE);
    assert_non_null(strstr(error.text, "cannot get its name"));
    nbj__backup_writer_end(&w);
    assert_int_equal(read_backup(&nbj__malloc_allocator, in_dir("b"), back, 4, &len), NBJ_OK);
}

static void test_what_is_no_backup(void **state)
{
    (void)state;
    uint8_t back[16];
    size_t len = 0;
    assert_int_equal(read_backup(&nbj__malloc_allocator, in_dir("b"), back, 4, &len), NBJ_E_FILE);
    assert_int_equal(mkdir(in_dir("b"), 0700), 0);
    assert_int_equal(read_backup(&nbj__malloc_allocator, in_dir("b"), back, 4, &len), NBJ_E_FILE);
    assert_non_null(strstr(error.text, "backup.json cannot be read"));
    FILE *f = fopen(in_dir("b/backup.json"), "w");
    assert_non_null(f);
    fputs(TEXT "}", f);
    fclose(f);
    assert_int_equal(read_backup(&nbj__malloc_allocator, in_dir("b"), back, 4, &len), NBJ_E_FILE);
    assert_non_null(strstr(error.text, "stream.tar.s2 cannot be read"));
    assert_int_equal(mkfifo(in_dir("b/stream.tar.s2"), 0600), 0); /* which must not hold us up */
    assert_int_equal(read_backup(&nbj__malloc_allocator, in_dir("b"), back, 4, &len), NBJ_E_DAMAGED);
    assert_int_equal(truncate(in_dir("b/backup.json"), (off_t)NBJ__BACKUP_MAX + 1), 0);
    assert_int_equal(read_backup(&nbj__malloc_allocator, in_dir("b"), back, 4, &len), NBJ_E_DAMAGED);
    assert_non_null(strstr(error.text, "too large"));
}

/* It changes between being checked and being sent. */
static void test_changed_meanwhile(void **state)
{
    (void)state;
    static const char *const changes[] = { "datA", "dat", "data+" };
    for (size_t i = 0; i < 3; i++) {
        nbj__backup_reader r;
        uint8_t back[16];
        size_t len = 1;
        nbj_status st = NBJ_OK;
        assert_int_equal(write_backup(&nbj__malloc_allocator, in_dir("b"), nbj_str("data"), 4), NBJ_OK);
        assert_int_equal(nbj__backup_reader_begin(&r, &nbj__malloc_allocator, in_dir("b"), &error), NBJ_OK);
        FILE *f = fopen(in_dir("b/stream.tar.s2"), "w");
        assert_non_null(f);
        fputs(changes[i], f);
        fclose(f);
        assert_int_equal(nbj__backup_reader_rewind(&r, &error), NBJ_OK);
        while (st == NBJ_OK && len > 0)
            st = nbj__backup_reader_next(&r, back, 3, &len, &error);
        assert_int_equal(st, NBJ_E_DAMAGED);
        nbj__backup_reader_end(&r);
        remove_backup("b");
    }
}

static nbj_status write_once(const nbj_allocator *alloc, void *ctx)
{
    (void)ctx;
    nbj_status st = write_backup(alloc, in_dir("b"), nbj_str("data"), 2);
    assert_int_equal(access(in_dir("b"), F_OK) == 0, st == NBJ_OK);
    if (st == NBJ_OK)
        remove_backup("b");
    return st == NBJ_E_FILE ? NBJ_E_NOMEM : st; /* the directory above could not be named */
}

static nbj_status read_once(const nbj_allocator *alloc, void *ctx)
{
    uint8_t back[16];
    size_t len = 0;

    (void)ctx;
    return read_backup(alloc, in_dir("b"), back, 4, &len);
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(alloc_sweep(write_once, NULL) >= 3);
    assert_int_equal(write_backup(&nbj__malloc_allocator, in_dir("b"), nbj_str("data"), 4), NBJ_OK);
    assert_true(alloc_sweep(read_once, NULL) >= 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_there_and_back),    TEST(test_in_the_working_directory), TEST(test_nothing_is_replaced),
        TEST(test_what_is_no_backup), TEST(test_changed_meanwhile),        TEST(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
