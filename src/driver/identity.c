/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/identity.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <string.h>

/* The public key where it is wanted, and the signature. */
static nbj_status use_key(const nbj__nkey *key, nbj_bytes nonce, nbj__identity *out)
{
    nbj_status st = out->jwt.len == 0 ? nbj__nkey_public(key, out->nkey_text) : NBJ_OK;

    if (st == NBJ_OK && nonce.len > 0)
        st = nbj__nkey_sign(key, nonce, out->signature_text);
    out->nkey = nbj_str(out->nkey_text);
    out->signature = nbj_str(out->signature_text);
    return st;
}

static nbj_status answer_with_seed(nbj_bytes nonce, nbj__identity *out, const char **why)
{
    nbj__nkey key;
    nbj_status st = nbj__nkey_from_user_seed(out->file.seed, &key, why);

    nbj__creds_drop_seed(&out->file);
    if (st != NBJ_OK)
        return st;
    st = use_key(&key, nonce, out);
    nbj__nkey_wipe(&key);
    if (st != NBJ_OK)
        *why = "OpenSSL could not sign with its seed";
    return st;
}

/* A JWT alone: a server takes it only from a bearer, so anybody else's file has lost its seed. */
static nbj_status answer_as_bearer(nbj__identity *out, const char **why)
{
    bool is_bearer = false;
    nbj_status st = nbj__jwt_is_bearer(out->file.alloc, out->jwt, &is_bearer);

    if (st == NBJ_E_NOMEM)
        *why = nbj_strerror(st);
    else if (st != NBJ_OK)
        *why = "what should be its JWT is none";
    else if (!is_bearer)
        *why = "it has no seed, or is half-written";
    return st == NBJ_OK && !is_bearer ? NBJ_E_CREDENTIALS : st;
}

static nbj_status answer(bool with_jwt, nbj_bytes nonce, nbj__identity *out, const char **why)
{
    if (with_jwt && out->file.jwt.len == 0) {
        *why = "it has no JWT: is it the file of a seed alone (nkey_seed_file)?";
        return NBJ_E_CREDENTIALS;
    }
    if (with_jwt)
        out->jwt = out->file.jwt;
    if (out->file.seed.len > 0)
        return answer_with_seed(nonce, out, why);
    if (with_jwt)
        return answer_as_bearer(out, why);
    *why = "it has no seed";
    return NBJ_E_CREDENTIALS;
}

nbj_status nbj__identity_answer(const nbj__identity_config *cfg, nbj_bytes nonce, nbj__identity *out, nbj_error *error)
{
    const nbj_allocator *alloc = nbj__allocator_or_default(cfg->alloc);
    const char *path = cfg->credentials_file != NULL ? cfg->credentials_file : cfg->nkey_seed_file;
    const char *why = NULL;

    *out = (nbj__identity){ 0 };
    if (path == NULL)
        return NBJ_OK;
    nbj_status st = nbj__creds_read(alloc, path, &out->file, error);
    if (st != NBJ_OK)
        return st;
    st = answer(cfg->credentials_file != NULL, nonce, out, &why);
    if (st == NBJ_OK)
        return NBJ_OK;
    nbj__identity_wipe(out);
    return nbj__creds_error(error, st, path, why);
}

void nbj__identity_wipe(nbj__identity *i)
{
    nbj__creds_wipe(&i->file);
    OPENSSL_cleanse(i, sizeof *i);
}
