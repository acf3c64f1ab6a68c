/*
 * Main of a fuzz target without a fuzzer: runs the entry on each file of
 * the folders named as arguments, so that inputs once found stay tested.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

/* A corpus file is small; more is a mistake. */
#define FILE_BYTES_MAX (1 << 20)

static int replay(const char *path)
{
    static uint8_t room[FILE_BYTES_MAX];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t n_bytes = fread(room, 1, sizeof room, file);
    (void)fclose(file); /* only read */

    /* In memory of exactly its size, so that the sanitizer sees a read too far. */
    uint8_t *bytes = malloc(n_bytes + (n_bytes == 0));
    if (bytes == NULL)
        return 1;
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = room[i];
    int rc = LLVMFuzzerTestOneInput(bytes, n_bytes);
    free(bytes);
    return rc;
}

int main(int argc, char **argv)
{
    unsigned n_files = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);

        if (folder == NULL) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
            char path[4096];
            struct stat info;

            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
                continue;
            if (replay(path) != 0)
                return 1;
            n_files++;
        }
        (void)closedir(folder); /* only read */
    }
    printf("%u inputs replayed\n", n_files);
    return n_files == 0;
}
