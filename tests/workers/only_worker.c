/*
 * A program that is only a worker, with the functions of jobs.c.
 */
#include <grove.h>
#include <grove/pool.h>

int main(int argc, char **argv)
{
    return grove_worker_main(argc, argv);
}
