/*
 * TLS files: certificates and keys in PEM, from disk into what OpenSSL asks
 * for. Between host_tls.c and host_tls_file.c.
 */
#ifndef GV_HOST_TLS_FILE_H
#define GV_HOST_TLS_FILE_H

#include <stdbool.h>

struct ssl_ctx_st;

/* Loads OpenSSL and registers the engine with nng, once. Returns 0, or -EOPNOTSUPP and the log says why. Any thread. */
int gv_host_tls_start(void);

/* Peers must be certified by one of these. */
bool gv_host_tls_trust(struct ssl_ctx_st *context, const char *certificates);

/* We show this certificate, and the chain behind it; then, with chain NULL, this is its key. */
bool gv_host_tls_show(struct ssl_ctx_st *context, const char *chain, const char *key);

#endif
