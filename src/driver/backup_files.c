/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/backup_files.h"

#include "base/mem.h"
#include "base/text.h"
#include "driver/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_NAME "stream.tar.s2"
#define TEXT_NAME "backup.json"
#define PARTIAL ".partial-XXXXXX"
#define PATH_SHOWN 300u /* its end, so that an error has room for the cause */

/* --- errors --- */

static nbj_status fail(nbj_error *error, nbj_status status, const char *path, const char *what, const char *why)
{
    size_t len = strlen(path);
    size_t hidden = len > PATH_SHOWN ? len - PATH_SHOWN : 0;

    return nbj__error_set(error, status, "backup ", hidden > 0 ? "..." : "", path + hidden, ": ", what, why,
                          (char *)NULL);
}

/* What |errno| says. */
static nbj_status fail_with_errno(nbj_error *error, const char *path, const char *what)
{
    char room[NBJ__OS_ERROR_MAX];

    return fail(error, NBJ_E_FILE, path, what, nbj__os_error(errno, room, sizeof room));
}

static nbj_status out_of_memory(nbj_error *error)
{
    return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
}

/* --- both --- */

/* |path| without slashes at its end, and |more| behind it. */
static char *copy_path(const nbj_allocator *alloc, const char *path, const char *more)
{
    size_t len = strlen(path), added = strlen(more);

    while (len > 1 && path[len - 1] == '/')
        len--;
    char *copy = nbj__alloc(alloc, len + added + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, path, len);
    memcpy(copy + len, more, added + 1);
    return copy;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool sum_begin(EVP_MD_CTX **sum)
{
    if (*sum == NULL)
        *sum = EVP_MD_CTX_new();
    return *sum != NULL && EVP_DigestInit_ex(*sum, EVP_sha256(), NULL) == 1;
}

static bool sum_end(EVP_MD_CTX *sum, char out[NBJ__SHA256_TEXT])
{
    static const char hex[16] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (EVP_DigestFinal_ex(sum, digest, &len) != 1 || len * 2 + 1 != NBJ__SHA256_TEXT)
        return false;
    for (unsigned i = 0; i < len; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[len * 2] = '\0';
    return true;
}

/* --- writing --- */

/* Whether nothing is lost when |path| is put there. */
static bool is_free(const char *path)
{
    struct stat st;
    bool is_empty = true;

    if (lstat(path, &st) != 0)
        return errno == ENOENT;
    DIR *d = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    if (d == NULL)
        return false;
    for (const struct dirent *e; is_empty && (e = readdir(d)) != NULL;)
        is_empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(d);
    return is_empty;
}

static nbj_status make_partial(nbj__backup_writer *w, nbj_error *error)
{
    nbj_status st = NBJ_OK;

    if (mkdtemp(w->partial) == NULL)
        return fail_with_errno(error, w->path, "its directory cannot be made: ");
    w->dir = open(w->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->dir >= 0)
        w->data = openat(w->dir, DATA_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->data < 0)
        st = fail_with_errno(error, w->path, DATA_NAME " cannot be made: ");
    if (w->dir < 0)
        (void)rmdir(w->partial);
    return st;
}

nbj_status nbj__backup_writer_begin(nbj__backup_writer *w, const nbj_allocator *alloc, const char *path,
                                    nbj_error *error)
{
    *w = (nbj__backup_writer){ .alloc = alloc, .dir = -1, .data = -1 };
    w->path = copy_path(alloc, path, "");
    if (w->path == NULL)
        return out_of_memory(error);
    if (!is_free(w->path))
        return fail(error, NBJ_E_FILE, w->path, "there is something of that name already", "");
    w->partial = copy_path(alloc, path, PARTIAL);
    if (w->partial == NULL || !sum_begin(&w->sum))
        return out_of_memory(error);
    return make_partial(w, error);
}

nbj_status nbj__backup_writer_describe(nbj__backup_writer *w, nbj_bytes description, nbj_error *error)
{
    return EVP_DigestUpdate(w->sum, description.ptr, description.len) == 1 ? NBJ_OK : out_of_memory(error);
}

static bool write_all(int fd, nbj_bytes data)
{
    while (data.len > 0) {
        ssize_t n = write(fd, data.ptr, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data = nbj_view(data.ptr + n, data.len - (size_t)n);
    }
    return true;
}

nbj_status nbj__backup_writer_put(nbj__backup_writer *w, nbj_bytes data, nbj_error *error)
{
    if (!write_all(w->data, data))
        return fail_with_errno(error, w->path, DATA_NAME " cannot be written: ");
    w->bytes += data.len;
    return EVP_DigestUpdate(w->sum, data.ptr, data.len) == 1 ? NBJ_OK : out_of_memory(error);
}

nbj_status nbj__backup_writer_sum(nbj__backup_writer *w, char sha256[NBJ__SHA256_TEXT], nbj_error *error)
{
    if (fsync(w->data) != 0)
        return fail_with_errno(error, w->path, DATA_NAME " cannot be written: ");
    close_one(&w->data);
    return sum_end(w->sum, sha256) ? NBJ_OK : out_of_memory(error);
}

/* The directory that |path| lies in reaches the disk. Where a file system cannot do that there is nothing to be done. */
static bool sync_above(const char *path, const nbj_allocator *alloc)
{
    char *above = nbj__copy_text(alloc, nbj_str(path));
    if (above == NULL)
        return false;
    char *slash = strrchr(above, '/');
    if (slash != NULL)
        slash[slash == above ? 1 : 0] = '\0';
    int fd = open(slash != NULL ? above : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    close_one(&fd);
    memcpy(above, path, strlen(path) + 1); /* it is given back with its length */
    nbj__free_text(alloc, above);
    return done;
}

static nbj_status write_text(nbj__backup_writer *w, nbj_bytes text, nbj_error *error)
{
    w->data = openat(w->dir, TEXT_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->data < 0 || !write_all(w->data, text) || fsync(w->data) != 0 || fsync(w->dir) != 0)
        return fail_with_errno(error, w->path, TEXT_NAME " cannot be written: ");
    close_one(&w->data);
    return NBJ_OK;
}

nbj_status nbj__backup_writer_finish(nbj__backup_writer *w, nbj_bytes text, nbj_error *error)
{
    nbj_status st = write_text(w, text, error);

    if (st != NBJ_OK)
        return st;
    if (rename(w->partial, w->path) != 0)
        return fail_with_errno(error, w->path, "its directory cannot get its name: ");
    if (!sync_above(w->path, w->alloc)) {
        st = fail_with_errno(error, w->path, "its directory cannot be written: ");
        if (rename(w->path, w->partial) == 0)
            return st;
    }
    close_one(&w->dir);
    return st;
}

void nbj__backup_writer_end(nbj__backup_writer *w)
{
    if (w->alloc == NULL)
        return;
    close_one(&w->data);
    if (w->dir >= 0) {
        (void)unlinkat(w->dir, DATA_NAME, 0);
        (void)unlinkat(w->dir, TEXT_NAME, 0);
        (void)rmdir(w->partial);
    }
    close_one(&w->dir);
    EVP_MD_CTX_free(w->sum);
    nbj__free_text(w->alloc, w->partial);
    nbj__free_text(w->alloc, w->path);
    *w = (nbj__backup_writer){ 0 };
}

/* --- reading --- */

/* The next octets of |fd|, 0 at its end; less than 0: it failed. */
static ssize_t read_some(int fd, void *at, size_t cap)
{
    ssize_t n;

    do
        n = read(fd, at, cap);
    while (n < 0 && errno == EINTR);
    return n;
}

static nbj_status read_text(nbj__backup_reader *r, nbj_error *error)
{
    nbj_status st = NBJ_OK;
    uint8_t *at = NULL;
    ssize_t n = 1;

    int fd = openat(r->dir, TEXT_NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (fd >= 0 && n > 0 && st == NBJ_OK) {
        st = nbj__buf_reserve(&r->text, 4096, &at);
        if (st == NBJ_OK && (n = read_some(fd, at, 4096)) > 0)
            nbj__buf_commit(&r->text, (size_t)n);
    }
    if (st == NBJ_E_FULL)
        st = fail(error, NBJ_E_DAMAGED, r->path, TEXT_NAME ": it is too large", "");
    else if (st != NBJ_OK)
        st = out_of_memory(error);
    else if (fd < 0 || n < 0)
        st = fail_with_errno(error, r->path, TEXT_NAME " cannot be read: ");
    close_one(&fd);
    return st;
}

static nbj_status open_data(nbj__backup_reader *r, nbj_error *error)
{
    struct stat st;

    r->data = openat(r->dir, DATA_NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (r->data < 0 || fstat(r->data, &st) != 0)
        return fail_with_errno(error, r->path, DATA_NAME " cannot be read: ");
    r->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    if (r->size == 0 || (r->about.has_sum && r->size != r->about.bytes))
        return fail(error, NBJ_E_DAMAGED, r->path, DATA_NAME " is not as long as it was", "");
    return NBJ_OK;
}

nbj_status nbj__backup_reader_begin(nbj__backup_reader *r, const nbj_allocator *alloc, const char *path,
                                    nbj_error *error)
{
    const char *why = NULL;

    *r = (nbj__backup_reader){ .alloc = alloc, .dir = -1, .data = -1 };
    nbj__buf_init(&r->text, alloc, NBJ__BACKUP_MAX);
    r->path = copy_path(alloc, path, "");
    if (r->path == NULL)
        return out_of_memory(error);
    r->dir = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dir < 0)
        return fail_with_errno(error, r->path, "its directory cannot be opened: ");
    nbj_status st = read_text(r, error);
    if (st != NBJ_OK)
        return st;
    st = nbj__backup_read(nbj__buf_view(&r->text), &r->about, &why);
    if (st != NBJ_OK)
        return why != NULL ? fail(error, st, r->path, TEXT_NAME ": ", why) : out_of_memory(error);
    return open_data(r, error);
}

nbj_status nbj__backup_reader_rewind(nbj__backup_reader *r, nbj_error *error)
{
    r->read = 0;
    if (lseek(r->data, 0, SEEK_SET) != 0)
        return fail_with_errno(error, r->path, DATA_NAME " cannot be read: ");
    return sum_begin(&r->sum) && EVP_DigestUpdate(r->sum, nbj__buf_view(&r->text).ptr, r->about.described) == 1
               ? NBJ_OK
               : out_of_memory(error);
}

static nbj_status check(nbj__backup_reader *r, nbj_error *error)
{
    char sha256[NBJ__SHA256_TEXT];

    if (r->read != r->size)
        return fail(error, NBJ_E_DAMAGED, r->path, DATA_NAME " is not as long as it was", "");
    if (!r->about.has_sum)
        return NBJ_OK;
    if (!sum_end(r->sum, sha256))
        return out_of_memory(error);
    return strcmp(sha256, r->about.sha256) == 0
               ? NBJ_OK
               : fail(error, NBJ_E_DAMAGED, r->path, "its checksum is wrong: it is not what was written", "");
}

nbj_status nbj__backup_reader_next(nbj__backup_reader *r, uint8_t *at, size_t cap, size_t *len, nbj_error *error)
{
    ssize_t n = read_some(r->data, at, cap);

    *len = n > 0 ? (size_t)n : 0;
    if (n < 0)
        return fail_with_errno(error, r->path, DATA_NAME " cannot be read: ");
    r->read += *len;
    if (n == 0 || r->read > r->size)
        return check(r, error);
    return EVP_DigestUpdate(r->sum, at, *len) == 1 ? NBJ_OK : out_of_memory(error);
}

void nbj__backup_reader_end(nbj__backup_reader *r)
{
    if (r->alloc == NULL)
        return;
    close_one(&r->data);
    close_one(&r->dir);
    EVP_MD_CTX_free(r->sum);
    nbj__backup_free(&r->about);
    nbj__buf_free(&r->text);
    nbj__free_text(r->alloc, r->path);
    *r = (nbj__backup_reader){ 0 };
}
