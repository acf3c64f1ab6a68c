/*
 * TLS: what grove's links speak between machines, as an engine of OpenSSL
 * that nng calls.
 *
 * Both ends show a certificate of the one authority that they share; TLS 1.3
 * only. nng 1.5.2 cannot say who the peer is, so the engine does: the first
 * bytes that a connection yields, on either end, are the name in the peer's
 * certificate, put there by the engine before any byte of the peer. No peer
 * can forge them, and who is refused yields none.
 *
 * Always: the engine's functions run under nng's lock of the connection, on
 * threads of nng or of whoever asked nng. Why a peer was refused goes to the
 * log, ten lines a second at most.
 */
#ifndef GV_HOST_TLS_H
#define GV_HOST_TLS_H

#include <stdbool.h>

struct nng_tls_config;
struct gv_tls_files;

/* The first bytes of each connection: the name, and zeros to the end, of which there is at least one. */
#define GV_TLS_NAME_BYTES 64u

/*
 * What a listener (host NULL), or a dialer that wants to reach `host`, is to
 * have: our certificate, our key and the authority, out of these files; where
 * none is named (files may be NULL) out of those that the options tls_cert,
 * tls_key and tls_ca name. They are read anew each time. `host` may be
 * overruled by the option tls_name. Returns 0, and the config is the caller's
 * to free; or -errno and a log line that says what is wrong with which file.
 */
int gv_host_tls_config(const char *host, const struct gv_tls_files *files,
                       struct nng_tls_config **config);

#endif
