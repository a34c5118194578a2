/* SPDX-License-Identifier: Apache-2.0 */
/* The servers accept the identities that tests/support/jwt.h makes, and refuse those that it makes wrong. */
#define _GNU_SOURCE

#include "check.h"
#include "jwt.h"
#include "raw.h"
#include "server.h"

#include <stdio.h>

static ts_raw *greet(const ts_server *s)
{
    ts_raw *r = ts_raw_dial(ts_server_port(s));

    ts_raw_read_info(r);
    return r;
}

/* CONNECT with |members| and, unless |signer| is NULL, its signature of the nonce. What the server says to that. */
static const char *answer_to(ts_raw *r, const char *members, const ts_nkey *signer)
{
    nbj_bytes nonce = ts_raw_info_member(r, "nonce");
    char signature[87] = "";

    if (signer != NULL)
        ts_nkey_sign(signer, nonce.ptr, nonce.len, signature);
    ts_raw_printf(r, "CONNECT {\"verbose\":false,\"sig\":\"%s\",%s}\r\nPING\r\n", signature, members);
    return ts_raw_expect(r, "\r\n", TS_RAW_MS);
}

static void check_jwt(const ts_server *s, const char *jwt, const ts_nkey *signer, const char *want)
{
    char members[TS_JWT_MAX + 32];
    ts_raw *r = greet(s);

    snprintf(members, sizeof members, "\"jwt\":\"%s\"", jwt);
    const char *got = answer_to(r, members, signer);
    CHECK(got, strstr(got, want) != NULL);
    ts_raw_close(r);
}

static void test_users_of_an_account(void **state)
{
    ts_authority a = ts_authority_new(), stranger = ts_authority_new();
    ts_nkey user = ts_nkey_new('U'), other = ts_nkey_new('U');
    ts_server *s = ts_server_start(&(ts_server_options){ .config = ts_authority_config(&a) });
    char jwt[TS_JWT_MAX];

    (void)state;
    ts_user_jwt(&a, &user, NULL, jwt);
    check_jwt(s, jwt, &user, "PONG");
    check_jwt(s, jwt, &other, "Authorization Violation");
    check_jwt(s, jwt, NULL, "Authorization Violation");
    ts_user_jwt(&a, &user, &(ts_user_claims){ .lifetime_s = 60 }, jwt);
    check_jwt(s, jwt, &user, "PONG");
    ts_user_jwt(&a, &user, &(ts_user_claims){ .lifetime_s = -60 }, jwt);
    check_jwt(s, jwt, &user, "-ERR");
    ts_user_jwt(&a, &user, &(ts_user_claims){ .bearer = true }, jwt);
    check_jwt(s, jwt, NULL, "PONG");
    ts_user_jwt(&stranger, &user, NULL, jwt);
    check_jwt(s, jwt, &user, "Authorization Violation");
    ts_server_free(s);
}

static void test_permissions(void **state)
{
    ts_authority a = ts_authority_new();
    ts_nkey user = ts_nkey_new('U');
    ts_server *s = ts_server_start(&(ts_server_options){ .config = ts_authority_config(&a) });
    char jwt[TS_JWT_MAX], members[TS_JWT_MAX + 32];
    ts_raw *r = greet(s);

    (void)state;
    ts_user_jwt(&a, &user, &(ts_user_claims){ .permissions = "\"pub\":{\"allow\":[\"may.>\"]}" }, jwt);
    snprintf(members, sizeof members, "\"jwt\":\"%s\"", jwt);
    CHECK("let in", strstr(answer_to(r, members, &user), "PONG") != NULL);
    ts_raw_send(r, "PUB may.it 0\r\n\r\nPUB not 0\r\n\r\n");
    (void)ts_raw_expect(r, "Permissions Violation for Publish to \"not\"", TS_RAW_MS);
    ts_raw_close(r);
    ts_server_free(s);
}

static void test_expiry_and_revocation(void **state)
{
    ts_authority a = ts_authority_new();
    ts_nkey user = ts_nkey_new('U');
    ts_server *s = ts_server_start(&(ts_server_options){ .config = ts_authority_config(&a) });
    char jwt[TS_JWT_MAX], members[TS_JWT_MAX + 32];
    ts_raw *r = greet(s);

    (void)state;
    ts_user_jwt(&a, &user, &(ts_user_claims){ .lifetime_s = 2 }, jwt);
    snprintf(members, sizeof members, "\"jwt\":\"%s\"", jwt);
    CHECK("let in", strstr(answer_to(r, members, &user), "PONG") != NULL);
    (void)ts_raw_expect(r, "User Authentication Expired", TS_RAW_MS);
    ts_raw_expect_end(r, TS_RAW_MS);
    ts_raw_close(r);

    ts_user_jwt(&a, &user, NULL, jwt);
    ts_authority_revoke(&a, user.public_key);
    ts_server_reload(s, ts_authority_config(&a));
    check_jwt(s, jwt, &user, "-ERR");
    ts_server_free(s);
}

static void test_lone_nkey(void **state)
{
    ts_nkey user = ts_nkey_new('U'), other = ts_nkey_new('U');
    char config[128], members[80];

    (void)state;
    snprintf(config, sizeof config, "authorization { users: [ { nkey: %s } ] }", user.public_key);
    ts_server *s = ts_server_start(&(ts_server_options){ .config = config });
    snprintf(members, sizeof members, "\"nkey\":\"%s\"", user.public_key);
    ts_raw *r = greet(s);
    CHECK("let in", strstr(answer_to(r, members, &user), "PONG") != NULL);
    ts_raw_close(r);
    r = greet(s);
    CHECK("another key's signature", strstr(answer_to(r, members, &other), "Authorization Violation") != NULL);
    ts_raw_close(r);
    ts_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users_of_an_account),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_expiry_and_revocation),
        cmocka_unit_test(test_lone_nkey),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
