/*
 * grove-worker: a machine's workers for a pool that is elsewhere.
 *
 *     grove-worker --connect tls+tcp://HOST:PORT --cert FILE --key FILE --ca FILE --program FILE
 *
 * It has no functions of its own: FILE is a program that has, such as the
 * one that opens the pool. A program whose main is grove_worker_main needs
 * no grove-worker; it understands the same arguments.
 */
#include <grove/pool.h>

int main(int argc, char **argv)
{
    return grove_worker_main(argc, argv);
}
