/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials from the program's on_credentials. With a loop it is asked where the question comes up; with threads on the
 * callback thread, and since connections come and go meanwhile, questions are numbered: an answer is for the connection
 * that asked, or for nobody. All memory is there from the beginning. */
#include "client/client_int.h"

#include "base/text.h"
#include "driver/identity.h"
#include "driver/os.h"
#include "driver/registers.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>

struct nbj__login {
    nbj__task task;
    nbj_client *client;
    nbj_credentials_fn *ask;
    uint64_t number; /* of the last question */
    uint8_t nonce[NBJ__INFO_TEXT_MAX];
    size_t nonce_len;
    nbj_credentials answer; /* of whoever asks the program; wiped when it was given */
};

static void run_login(nbj__task *task);

nbj_status nbj__client_login_new(nbj_client *c, nbj_credentials_fn *ask)
{
    c->login = nbj__alloc0(c->alloc, sizeof *c->login);
    if (c->login == NULL)
        return NBJ_E_NOMEM;
    c->login->client = c;
    c->login->ask = ask;
    c->login->task.run = run_login;
    return NBJ_OK;
}

void nbj__client_login_free(nbj_client *c)
{
    nbj__free(c->alloc, c->login, sizeof *c->login);
}

/* --- asking the program: without the lock --- */

/* A field of the answer, which the program may have filled to its end. */
static nbj_bytes text_of(const char *array, size_t size)
{
    const char *end = memchr(array, '\0', size);

    return nbj_view(array, end != NULL ? (size_t)(end - array) : size);
}

#define TEXT(array) text_of((array), sizeof(array))

/* Puts the seed's work in its place. */
static nbj_status use_seed(nbj_credentials *a, nbj_bytes nonce, const char **why)
{
    nbj__nkey key;
    nbj_status st = nbj__nkey_from_user_seed(TEXT(a->nkey_seed), &key, why);

    if (st != NBJ_OK)
        return st;
    static_assert(sizeof a->nkey > NBJ__NKEY_PUBLIC_LEN && sizeof a->signature > NBJ__NKEY_SIGNATURE_LEN, "room");
    if (a->jwt[0] == '\0')
        st = nbj__nkey_public(&key, a->nkey);
    if (st == NBJ_OK && nonce.len > 0)
        st = nbj__nkey_sign(&key, nonce, a->signature);
    nbj__nkey_wipe(&key);
    *why = nbj_strerror(st);
    return st;
}

static nbj_status ask(nbj__login *l, nbj_bytes nonce, nbj_error *error)
{
    nbj_status st = l->ask(l->client->user_data, nonce, &l->answer);

    if (st > 0) /* neither success nor failure */
        st = NBJ_E_CREDENTIALS;
    const char *why = nbj_strerror(st);
    if (st == NBJ_OK && l->answer.nkey_seed[0] != '\0')
        st = use_seed(&l->answer, nonce, &why);
    return st == NBJ_OK ? st : nbj__error_set(error, st, "credentials from on_credentials: ", why, (char *)NULL);
}

/* --- telling the session: with the lock --- */

static void give_up(nbj_client *c, const nbj_error *error, nbj_time now)
{
    if (nbj__session_no_credentials(c->session, error, now) == NBJ_OK)
        nbj__client_tell_failed_attempt(c, error);
}

static void give(nbj__login *l, nbj_time now)
{
    const nbj_credentials *a = &l->answer;
    const nbj__credentials who = { .user = TEXT(a->user),
                                   .password = TEXT(a->password),
                                   .token = TEXT(a->token),
                                   .jwt = TEXT(a->jwt),
                                   .nkey = TEXT(a->nkey),
                                   .signature = TEXT(a->signature) };

    (void)nbj__session_credentials(l->client->session, &who, now); /* what is wrong with it, the session's events say */
}

/* --- one question --- */

/* Nobody is asked for a connection that has ended meanwhile. */
static bool is_open(const nbj__login *l, uint64_t number)
{
    return number == l->number && nbj__session_phase(l->client->session) == NBJ__PHASE_SHAKING;
}

static void answer(nbj__login *l)
{
    nbj_client *c = l->client;
    uint64_t number = l->number;
    uint8_t nonce[NBJ__INFO_TEXT_MAX];
    size_t nonce_len = l->nonce_len;
    nbj_error error;

    if (!is_open(l, number) || c->released)
        return;
    memcpy(nonce, l->nonce, nonce_len);
    nbj__client_let_go(c);
    nbj_status st = ask(l, nbj_view(nonce, nonce_len), &error);
    nbj__client_come_back(c);
    if (is_open(l, number) && st == NBJ_OK)
        give(l, nbj__os_now());
    else if (is_open(l, number))
        give_up(c, &error, nbj__os_now());
    OPENSSL_cleanse(&l->answer, sizeof l->answer);
    nbj__registers_forget();
}

static void run_login(nbj__task *task)
{
    nbj__login *l = NBJ__ITEM(task, nbj__login, task);

    answer(l);
    nbj__runtime_wake(l->client->runtime);
}

void nbj__client_on_credentials(nbj_client *c, const nbj__event *ev)
{
    nbj__login *l = c->login;

    l->number++;
    assert(ev->nonce.len <= sizeof l->nonce);
    if (ev->nonce.len > 0)
        memcpy(l->nonce, ev->nonce.ptr, ev->nonce.len);
    l->nonce_len = ev->nonce.len;
    if (nbj__client_has_threads(c))
        nbj__callbacks_post(&c->callbacks, &l->task);
    else
        answer(l);
}
