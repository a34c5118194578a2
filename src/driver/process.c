/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/process.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
    long n = sysconf(_SC_PAGESIZE);

    return n > 0 ? (size_t)n : 4096;
}

void nbj__process_mark_set(nbj__process_mark *m)
{
    void *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    m->page = NULL;
    if (page == MAP_FAILED)
        return;
    if (madvise(page, page_size(), MADV_WIPEONFORK) != 0) { /* since Linux 4.14 */
        munmap(page, page_size());
        return;
    }
    m->page = page;
    *m->page = 1;
}

void nbj__process_mark_free(nbj__process_mark *m)
{
    if (m->page != NULL)
        munmap((void *)(unsigned char *)m->page, page_size());
    m->page = NULL;
}
