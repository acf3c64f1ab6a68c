/*
 * Certs: an authority and certificates of it, to try TLS with.
 *
 * All keys are of the curve P-256. The key of the authority is thrown away
 * once the certificates are made: who wants more of them makes all anew.
 */
#ifndef CERTS_H
#define CERTS_H

/* What to make. */
struct certs {
    const char *directory;    /* is made, 0700, unless it is there */
    const char *const *names; /* one certificate for each: NAME.pem and NAME.key, beside ca.pem */
    unsigned n_names;
    const char *const *hosts; /* names and numbers that all of them may also be reached at */
    unsigned n_hosts;
    int days; /* from yesterday on; a negative number has passed */
};

/* Returns 0, or 1 and a complaint on stderr. Files that exist are not touched: it is one of the complaints. */
int make_certs(const struct certs *certs);

/* grove certs ARGS. Returns the status of the process. */
int run_certs(int argc, char **argv);

#endif
