/* A program that keeps the recorder looking. usage: maps FILE many | hold | rewrite
 *
 * many: maps FILE, to be run, as often as the system lets it, and then once more again and again. hold: only that often. rewrite: maps FILE once, and writes to
 * it again and again what is there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int is_many = !strcmp(argv[2], "many"), is_held = !strcmp(argv[2], "hold");
    int file = open(argv[1], is_held ? O_RDONLY : O_RDWR);
    const int rights = PROT_READ | PROT_EXEC;
    char byte;
    if (file < 0 || pread(file, &byte, 1, 0) != 1 || mmap(0, 4096, rights, MAP_PRIVATE, file, 0) == MAP_FAILED) return 1;
    /* What is next to each other in memory but not in the file stays apart. */
    for (int n = 0; (is_many || is_held) && n < 60000; n++)
        if (mmap(0, 4096, rights, MAP_PRIVATE, file, 0) == MAP_FAILED) break;
    puts("running");
    fflush(stdout);
    for (;;) {
        if (is_held) pause();
        if (is_many) {
            void *again = mmap(0, 4096, rights, MAP_PRIVATE, file, 0);
            if (again != MAP_FAILED) munmap(again, 4096);
        } else {
            if (pwrite(file, &byte, 1, 0) != 1) return 1;
            usleep(500);
        }
    }
}
