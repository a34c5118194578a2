/* SPDX-License-Identifier: Apache-2.0 */
/* A stream to a backup on disk, and back. docs/guide/streams.md explains it.
 *
 *     backup save STREAM FOLDER [URL]
 *     backup restore FOLDER [URL]
 *     backup check FOLDER */
#include <inttypes.h>
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>

static bool on_progress(void *user, const nbj_snapshot_progress *p)
{
    (void)user;
    if (!p->is_working)
        fprintf(stderr, "%" PRIu64 " octets so far\n", p->bytes);
    return true; /* go on */
}

/* There is a whole backup at |folder| afterwards, or nothing. */
static nbj_status save(nbj_client *client, const char *stream, const char *folder, nbj_snapshot_info *info,
                       nbj_error *error)
{
    const nbj_snapshot_options *how = NBJ_SNAPSHOT(.on_progress = on_progress);
    nbj_status st = nbj_stream_snapshot(client, stream, folder, how, NULL, info, error);

    return st == NBJ_E_DISCONNECTED ? nbj_stream_snapshot(client, stream, folder, how, NULL, info, error) : st;
}

/* There is a whole stream afterwards, or none. One of that name must not exist. */
static nbj_status restore(nbj_client *client, const char *folder, nbj_snapshot_info *info, nbj_error *error)
{
    nbj_status st = nbj_snapshot_check(folder, info, error);

    if (st == NBJ_OK && !info->is_checked)
        fprintf(stderr, "%s has no checksum: \"nats\" has made it\n", folder);
    if (st == NBJ_OK)
        st = nbj_stream_restore(client, folder, NBJ_RESTORE(.unchecked = !info->is_checked), NULL, info, error);
    return st;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    bool saves = strcmp(verb, "save") == 0 && argc > 3;
    bool checks = strcmp(verb, "check") == 0;
    if (!saves && !checks && strcmp(verb, "restore") != 0) {
        fprintf(stderr, "usage: backup save STREAM FOLDER [URL] | restore FOLDER [URL] | check FOLDER\n");
        return EXIT_FAILURE;
    }

    const char *url = argc > (saves ? 4 : 3) ? argv[saves ? 4 : 3] : NULL;
    nbj_client *client = NULL;
    nbj_snapshot_info info = { 0 };
    nbj_error error = { 0 };
    nbj_status st = NBJ_OK;

    if (!checks)
        st = nbj_client_open(&client, NBJ_CLIENT_OPTIONS(.url = url, .name = "backup"), &error);
    if (st == NBJ_OK && checks)
        st = nbj_snapshot_check(argv[2], &info, &error);
    else if (st == NBJ_OK)
        st = saves ? save(client, argv[2], argv[3], &info, &error) : restore(client, argv[2], &info, &error);
    if (st == NBJ_OK)
        printf("%s: %" PRIu64 " messages\n", info.stream, info.messages);
    else
        fprintf(stderr, "backup: %s\n", nbj_error_text(&error));
    nbj_client_release(client);
    return st == NBJ_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
