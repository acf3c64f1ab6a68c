/*
 * What streams and listeners need of nng besides its streams: a start that
 * keeps signals off its threads, and its errors in the kernel's numbers.
 */
#include <errno.h>
#include <pthread.h>

#include <nng/nng.h>

#include "runtime/assert.h"
#include "runtime/host.h"

/* nng starts its threads at the first call; a thread is born with the mask of its maker. */
static void start(void)
{
    nng_aio *aio;
    sigset_t old;

    gv_host_signals_block(&old);
    /* If there is no memory now, the next call starts them, and says so if it cannot. */
    if (nng_aio_alloc(&aio, NULL, NULL) == 0)
        nng_aio_free(aio);
    gv_assert(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
}

void gv_host_nng_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    gv_assert(pthread_once(&once, start) == 0);
}

int gv_host_nng_error(int rv)
{
    static const struct {
        int nng;
        int error;
    } table[] = {
        {NNG_EINTR, EINTR},
        {NNG_ENOMEM, ENOMEM},
        {NNG_EINVAL, EINVAL},
        {NNG_EBUSY, EBUSY},
        {NNG_ETIMEDOUT, ETIMEDOUT},
        {NNG_ECONNREFUSED, ECONNREFUSED},
        {NNG_ECLOSED, EPIPE},
        {NNG_EAGAIN, EAGAIN},
        {NNG_ENOTSUP, EOPNOTSUPP},
        {NNG_EADDRINUSE, EADDRINUSE},
        {NNG_ENOENT, ENOENT},
        {NNG_EPROTO, EPROTO},
        {NNG_EUNREACHABLE, EHOSTUNREACH},
        {NNG_EADDRINVAL, EADDRNOTAVAIL},
        {NNG_EPERM, EACCES},
        {NNG_ECONNABORTED, ECONNABORTED},
        {NNG_ECONNRESET, ECONNRESET},
        {NNG_ECANCELED, ECANCELED},
        {NNG_ENOFILES, EMFILE},
        {NNG_ENOSPC, ENOSPC},
        {NNG_EEXIST, EEXIST},
        {NNG_ECONNSHUT, ESHUTDOWN},
        {NNG_EPEERAUTH, EACCES},
        {NNG_ECRYPTO, EPROTO},
    };

    if (rv == 0)
        return 0;
    if ((rv & NNG_ESYSERR) != 0)
        return -(rv & ~NNG_ESYSERR);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].nng == rv)
            return -table[i].error;
    return -EIO;
}
