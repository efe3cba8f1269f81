/* The main of a fuzz harness in ordinary builds: feeds it every file of the folders that are named, so that
 * what fuzzing found once stays found. Fails when a folder has no file. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static int replay_file(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");

    if (!file || fstat(fileno(file), &status)) {
        perror(path);
        return -1;
    }
    /* Of exactly the file's size, so that a sanitizer sees a read beyond. */
    size_t count = (size_t)status.st_size;
    uint8_t *bytes = malloc(count ? count : 1);
    count = bytes ? fread(bytes, 1, count, file) : 0;
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, count);
    free(bytes);
    return 0;
}

static int replay_folder(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort), n_files = 0, rc = 0;

    for (int i = 0; i < n; i++) {
        char path[4096];

        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
            rc |= replay_file(path);
            n_files++;
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    printf("%s: %d files\n", folder, n_files);
    return n_files ? rc : -1;
}

int main(int argc, char **argv)
{
    int rc = argc < 2;

    for (int i = 1; i < argc; i++)
        rc |= replay_folder(argv[i]) != 0;
    return rc;
}
