/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/tls_error.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <time.h>

#define NAMES_LISTED 8
#define DATE_CAP 32

/* --- OpenSSL's queue --- */

nbj__tls_cause nbj__tls_take_cause(void)
{
    nbj__tls_cause cause = { 0 };

    for (unsigned long code; (code = ERR_get_error()) != 0; cause.last = code) {
        if (cause.first == 0)
            cause.first = code;
        cause.no_memory = cause.no_memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    }
    return cause;
}

const char *nbj__tls_reason_text(unsigned long code)
{
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

    return text != NULL ? text : "OpenSSL does not say why";
}

bool nbj__tls_is_reason(unsigned long code, int reason)
{
    return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == reason;
}

/* --- the server's certificate --- */

static void date_text(const ASN1_TIME *when, char out[DATE_CAP])
{
    struct tm tm = { 0 };
    nbj__text unknown = nbj__text_into(out, DATE_CAP);

    if (when == NULL || ASN1_TIME_to_tm(when, &tm) != 1 || strftime(out, DATE_CAP, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        nbj__text_add(&unknown, "an unknown time");
}

/* False: not a name of a server. */
static bool name_text(const GENERAL_NAME *name, char *out, size_t cap)
{
    nbj__text t = nbj__text_into(out, cap);
    char ip[INET6_ADDRSTRLEN];

    if (name->type == GEN_DNS) {
        nbj__text_add_clean(
            &t, nbj_view(ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName)));
        return true;
    }
    if (name->type != GEN_IPADD)
        return false;
    int len = ASN1_STRING_length(name->d.iPAddress);
    if (len != 4 && len != 16)
        return false;
    nbj__text_add(&t,
                  inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), ip, sizeof ip));
    return true;
}

/* The names that |cert| is for, as a list to read. */
static void names_text(const X509 *cert, char *out, size_t cap)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    nbj__text t = nbj__text_into(out, cap);
    char one[64];
    int listed = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) { /* -1 for NULL */
        if (!name_text(sk_GENERAL_NAME_value(names, i), one, sizeof one))
            continue;
        if (listed < NAMES_LISTED)
            nbj__text_add(&t, listed > 0 ? ", " : "");
        nbj__text_add(&t, listed < NAMES_LISTED ? one : listed == NAMES_LISTED ? ", …" : "");
        listed++;
    }
    if (listed == 0)
        nbj__text_add(&t, "no name (a common name does not count)");
    GENERAL_NAMES_free(names);
}

static void explain_name(nbj_error *error, const X509 *cert, const char *name)
{
    char names[300];

    names_text(cert, names, sizeof names);
    nbj__error_set(error, NBJ_E_TLS_CERTIFICATE, "the server's certificate is not for ", name, " but for ", names,
                   ": connect by such a name, or set the TLS server name", (char *)NULL);
}

static void explain_time(nbj_error *error, const X509 *cert, const char *whose, bool is_over)
{
    char date[DATE_CAP];

    date_text(is_over ? X509_get0_notAfter(cert) : X509_get0_notBefore(cert), date);
    nbj__error_set(error, NBJ_E_TLS_CERTIFICATE, whose, is_over ? " expired at " : " is not valid before ", date,
                   is_over ? ": renew it" : "", "; if that is wrong, set this machine's clock", (char *)NULL);
}

static void explain_issuer(nbj_error *error, const X509 *cert)
{
    char issuer[200];

    X509_NAME_oneline(X509_get_issuer_name(cert), issuer, (int)sizeof issuer);
    nbj__error_set(error, NBJ_E_TLS_CERTIFICATE, "the server's certificate comes from an unknown authority (", issuer,
                   "): set the TLS CA file to one that holds this authority's certificate", (char *)NULL);
}

void nbj__tls_explain_certificate(nbj_error *error, X509_STORE_CTX *ctx, const char *name)
{
    int code = X509_STORE_CTX_get_error(ctx);
    bool is_servers = X509_STORE_CTX_get_error_depth(ctx) == 0;
    const X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
    const char *whose = is_servers ? "the server's certificate" : "the certificate of the server's authority";

    if (cert == NULL)
        code = code == X509_V_OK ? X509_V_ERR_UNSPECIFIED : -code; /* none of the cases that look at it */
    switch (code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        explain_name(error, cert, name);
        return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        explain_time(error, cert, whose, code == X509_V_ERR_CERT_HAS_EXPIRED);
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        nbj__error_set(error, NBJ_E_TLS_CERTIFICATE,
                       "the server's certificate is self-signed and not trusted: set the "
                       "TLS CA file to a copy of it, obtained in a way that can be trusted",
                       (char *)NULL);
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        explain_issuer(error, cert);
        return;
    default:
        nbj__error_set(error, NBJ_E_TLS_CERTIFICATE, whose,
                       " was not accepted: ", X509_verify_cert_error_string(code < 0 ? -code : code), (char *)NULL);
        return;
    }
}

/* --- the end of TLS --- */

/* The alert that |code| says came from the server; -1: none did. */
static int alert_of(unsigned long code)
{
    int reason = ERR_GET_REASON(code);

    return ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256
               ? reason - SSL_AD_REASON_OFFSET
               : -1;
}

static bool is_about_our_certificate(int alert, const nbj__tls_story *story)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return true;
    case SSL_AD_HANDSHAKE_FAILURE: /* how TLS 1.2 says "required" */
        return story->was_asked && !story->has_cert;
    default:
        return false;
    }
}

static void explain_alert(nbj_error *error, int alert, const nbj__tls_story *story)
{
    const char *said = SSL_alert_desc_string_long(alert);

    if (is_about_our_certificate(alert, story))
        nbj__error_set(error, NBJ_E_TLS_CLIENT_CERTIFICATE,
                       story->has_cert ? "the server did not accept our certificate (alert: "
                                       : "the server wants a certificate of ours (alert: ",
                       said,
                       story->has_cert ? "): it must be valid and come from an authority that the server trusts"
                                       : "): set the TLS certificate file and key file",
                       (char *)NULL);
    else if (alert == SSL_AD_UNRECOGNIZED_NAME)
        nbj__error_set(error, NBJ_E_TLS, "the server does not know the name ", story->name, " (alert: ", said, ")",
                       (char *)NULL);
    else if (alert == SSL_AD_PROTOCOL_VERSION)
        nbj__error_set(error, NBJ_E_TLS, "the server does not do TLS 1.2 or later (alert: ", said, ")", (char *)NULL);
    else
        nbj__error_set(error, NBJ_E_TLS, "the server ended TLS with the alert: ", said, (char *)NULL);
}

/* Whether what came first cannot have been TLS: a record begins with its type, 20 to 24. */
static bool began_in_clear(const nbj__tls_story *story)
{
    return story->began.len > 0 && (story->began.ptr[0] < 20 || story->began.ptr[0] > 24);
}

void nbj__tls_explain(nbj_error *error, const nbj__tls_cause *cause, const nbj__tls_story *story)
{
    unsigned long code = cause->first;

    if (cause->no_memory)
        nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    else if (code == 0 || nbj__tls_is_reason(code, SSL_R_UNEXPECTED_EOF_WHILE_READING))
        nbj__error_set(error, NBJ_E_EOF,
                       story->is_open ? nbj_strerror(NBJ_E_EOF)
                                      : "the server closed the connection in the TLS handshake",
                       (char *)NULL);
    else if (!story->is_open && began_in_clear(story))
        nbj__error_set(error, NBJ_E_TLS,
                       nbj_bytes_equal(story->began, nbj_str("INFO"))
                           ? "the server begins in clear: it does not expect TLS first, so leave that option out"
                           : "the server answers the TLS handshake with something that is not TLS",
                       (char *)NULL);
    else if (alert_of(code) >= 0)
        explain_alert(error, alert_of(code), story);
    else if (nbj__tls_is_reason(code, SSL_R_UNSUPPORTED_PROTOCOL))
        nbj__error_set(error, NBJ_E_TLS, "the server does not do TLS 1.2 or later", (char *)NULL);
    else
        nbj__error_set(error, NBJ_E_TLS,
                       story->is_open ? "TLS failed: " : "the TLS handshake failed: ", nbj__tls_reason_text(code),
                       (char *)NULL);
}
