/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of the folders given: what a crash once needed stays tested without libFuzzer.
 * A folder without files is a failure, so that a target cannot be without seeds. */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATH_BYTES = 4096 };

/* Reads exactly |size| octets into a block of that size, so that a sanitizer sees one octet too far. */
static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size > 0 ? size : 1);
    int ok = file != NULL && data != NULL && fread(data, 1, size, file) == size;

    if (ok)
        (void)LLVMFuzzerTestOneInput(data, size);
    else
        fprintf(stderr, "cannot read %s\n", path);
    free(data);
    if (file != NULL)
        fclose(file);
    return ok;
}

/* Replays every file of |folder| and returns how many, or -1 when one could not be read. */
static long replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    long count = 0;

    if (dir == NULL)
        return 0;
    while (count >= 0 && (entry = readdir(dir)) != NULL) {
        char path[PATH_BYTES];
        struct stat about;
        int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof path || stat(path, &about) != 0)
            count = -1;
        else if (S_ISREG(about.st_mode))
            count = replay_file(path, (size_t)about.st_size) ? count + 1 : -1;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        long count = replay_folder(argv[i]);
        if (count <= 0) {
            fprintf(stderr, "%s: %s\n", argv[i], count == 0 ? "no files" : "not readable");
            return 1;
        }
        printf("%s: %ld files\n", argv[i], count);
    }
    return argc > 1 ? 0 : 2;
}
