/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of one run (workdir.h). */
#define _GNU_SOURCE
#include "workdir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_DIRECTORIES = 16 };

bool workdir_create(char path[WORKDIR_PATH_MAX], problem *why)
{
    const char *parent = getenv("TMPDIR");
    int length =
        snprintf(path, WORKDIR_PATH_MAX, "%s/nbj-ride-XXXXXX", parent == NULL || *parent == '\0' ? "/tmp" : parent);

    if (length < WORKDIR_PATH_MAX && mkdtemp(path) != NULL)
        return true;
    problem_set(why, "cannot create a directory like %.300s: %s", path,
                strerror(length < WORKDIR_PATH_MAX ? errno : ENAMETOOLONG));
    path[0] = '\0';
    return false;
}

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about;
    (void)type;
    (void)place;
    remove(path); /* what cannot be removed stays; the rest goes */
    return 0;
}

void workdir_remove(const char *path)
{
    nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}
