/*
 * A program as users write it: prints what grove_init has left of its
 * arguments. "--begin-worker" as the last one begins a worker's main instead.
 */
#include <stdio.h>
#include <string.h>

#include <grove.h>
#include <grove/pool.h>

int main(int argc, char **argv)
{
    if (strcmp(argv[argc - 1], "--begin-worker") == 0)
        return grove_worker_main(argc, argv);
    if (grove_init(&argc, &argv) != 0)
        return 1;
    for (int i = 1; i < argc; i++)
        printf("%s\n", argv[i]);
    printf("loops=%u end=%d\n", grove_loops(), argv[argc] == NULL);
    return grove_deinit();
}
