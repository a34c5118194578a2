/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a subscription in a loop of its own, many messages at a time, without callbacks: COUNT messages of SUBJECT, as
 * lines.
 *
 *     reader SUBJECT COUNT [URL] */
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 64

static bool is_fine(const char *what, nbj_status st, const nbj_error *error)
{
    if (st != NBJ_OK)
        fprintf(stderr, "reader: %s: %s\n", what, error != NULL ? nbj_error_text(error) : nbj_strerror(st));
    return st == NBJ_OK;
}

static void print(nbj_msg *const *batch, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%.*s\n", NBJ_FMT(nbj_msg_data(batch[i])));
}

static bool read_all(nbj_sub *sub)
{
    nbj_msg *batch[BATCH];
    size_t count = 0;
    nbj_status st;

    while ((st = nbj_sub_next_batch(sub, batch, BATCH, NBJ_SECONDS(30), &count)) == NBJ_OK) {
        print(batch, count);
        for (size_t i = 0; i < count; i++)
            nbj_msg_release(batch[i]); /* whoever takes messages gives them back */
    }
    return st == NBJ_E_ENDED || is_fine("read", st, NULL);
}

int main(int argc, char **argv)
{
    nbj_client *client = NULL;
    nbj_sub *sub = NULL;
    nbj_error error = { 0 };

    if (argc < 3) {
        fprintf(stderr, "usage: reader SUBJECT COUNT [URL]\n");
        return EXIT_FAILURE;
    }
    const nbj_client_options *options = NBJ_CLIENT_OPTIONS(.url = argv[3], .name = "reader");
    const nbj_sub_options *so = NBJ_SUB(.max_messages = strtoull(argv[2], NULL, 10)); /* ends after so many */
    if (!is_fine("open", nbj_client_open(&client, options, &error), &error))
        return EXIT_FAILURE;
    bool fine = is_fine("subscribe", nbj_subscribe(client, argv[1], so, NULL, NULL, &sub), NULL) &&
                is_fine("subscribe", nbj_flush(client, 0), NULL); /* from here on it misses nothing */
    if (fine) {
        fprintf(stderr, "ready\n");
        fine = read_all(sub);
    }
    nbj_sub_release(sub);
    nbj_client_release(client);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
