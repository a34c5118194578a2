/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "remains.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_ONCE ((size_t)1 << 20)
#define SHADOW ((size_t)1 << 28) /* larger ones are not memory but a sanitizer's shadow of it */

static unsigned slot_of(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof v);
    return (v * 2654435761u) >> 12;
}

void ts_remains_of(ts_remains *r, const char *name, const void *octets, size_t len)
{
    assert_true(len >= TS_PIECE && r->count < TS_SECRETS_MAX);
    ts_secret *s = &r->secret[r->count++];
    *s = (ts_secret){ .name = name, .octets = malloc(len), .len = len };
    assert_non_null(s->octets);
    memcpy(s->octets, octets, len);
    for (size_t i = 0; i + TS_PIECE <= len; i++) {
        unsigned slot = slot_of(s->octets + i);
        r->filter[slot / 8] |= (uint8_t)(1u << slot % 8);
    }
}

void ts_remains_forget(ts_remains *r)
{
    for (size_t i = 0; i < r->count; i++)
        r->secret[i].found = 0;
    r->report[0] = '\0';
    r->last = 0;
}

void ts_remains_free(ts_remains *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->secret[i].octets);
    *r = (ts_remains){ 0 };
}

unsigned ts_remains_found(const ts_remains *r, const char *name)
{
    unsigned found = 0;

    for (size_t i = 0; i < r->count; i++)
        found += name == NULL || strcmp(name, r->secret[i].name) == 0 ? r->secret[i].found : 0;
    return found;
}

/* --- searching --- */

static void report(ts_remains *r, const ts_secret *s, size_t offset, const char *where, uint64_t address)
{
    size_t used = strlen(r->report);

    snprintf(r->report + used, sizeof r->report - used, "\n  %s, from octet %zu, at %#llx of %s", s->name, offset,
             (unsigned long long)address, where);
}

static void look_closely(ts_remains *r, const char *where, const uint8_t *at, uint64_t address)
{
    for (size_t i = 0; i < r->count; i++) {
        ts_secret *s = &r->secret[i];
        const uint8_t *hit = memmem(s->octets, s->len, at, TS_PIECE);
        if (hit == NULL)
            continue;
        s->found++;
        if (address != r->last + 1)
            report(r, s, (size_t)(hit - s->octets), where, address);
        r->last = address;
        return; /* other secrets with this piece are forms of this one */
    }
}

static void search(ts_remains *r, const char *where, const uint8_t *octets, size_t len, uint64_t address)
{
    for (size_t i = 0; i + TS_PIECE <= len; i++) {
        unsigned slot = slot_of(octets + i);
        if (((unsigned)r->filter[slot / 8] >> slot % 8 & 1u) != 0)
            look_closely(r, where, octets + i, address + i);
    }
}

void ts_remains_in(ts_remains *r, const char *where, const void *octets, size_t len)
{
    search(r, where, octets, len, 0);
}

static void search_region(ts_remains *r, int mem, const char *where, uint64_t from, uint64_t to)
{
    uint8_t *piece = malloc(AT_ONCE);

    assert_non_null(piece);
    while (from + TS_PIECE <= to) {
        size_t want = to - from < AT_ONCE ? (size_t)(to - from) : AT_ONCE;
        ssize_t got = pread(mem, piece, want, (off_t)from);
        if (got < TS_PIECE)
            break; /* no memory behind it */
        search(r, where, piece, (size_t)got, from);
        from += (size_t)got - (TS_PIECE - 1);
    }
    free(piece);
}

void ts_remains_in_process(ts_remains *r, pid_t pid)
{
    char path[64], line[512], rights[8], name[128];
    unsigned long long from = 0, to = 0;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    if (maps == NULL || mem < 0)
        TS_FAIL("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, maps) != NULL) {
        name[0] = '\0';
        if (sscanf(line, "%llx-%llx %7s %*s %*s %*s %127s", &from, &to, rights, name) >= 3 && rights[0] == 'r' &&
            rights[1] == 'w' && to - from < SHADOW)
            search_region(r, mem, name[0] != '\0' ? name : "anonymous memory", from, to);
    }
    fclose(maps);
    close(mem);
}

void ts_remains_in_file(ts_remains *r, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        TS_FAIL("%s: %s", path, strerror(errno));
    for (off_t from = 0; from < st.st_size;) {
        off_t data = lseek(fd, from, SEEK_DATA); /* cores have holes */
        off_t hole = data >= 0 ? lseek(fd, data, SEEK_HOLE) : -1;
        if (data < 0 || hole < 0)
            break;
        search_region(r, fd, "the core", (uint64_t)data, (uint64_t)hole);
        from = hole;
    }
    close(fd);
}
