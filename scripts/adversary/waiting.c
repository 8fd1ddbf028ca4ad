/* A program with a probe that waits until it is killed. With the name "memory" it first maps its own file where its long last
 * argument is, so that its command line is read from that file. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sdt.h>
#include <unistd.h>

int main(int argc, char **argv) {
    STAP_PROBE1(target, hit, argc);
    if (!strcmp(argv[0], "memory")) {
        uintptr_t page = ((uintptr_t)argv[argc - 1] + 4095) & ~(uintptr_t)4095;
        int file = open("/proc/self/exe", O_RDONLY);
        /* A page of it that nothing has read yet. */
        off_t last = lseek(file, 0, SEEK_END) & ~(off_t)4095;
        if (mmap((void *)page, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, last) == MAP_FAILED) return 1;
    }
    puts("running");
    fflush(stdout);
    for (;;) pause();
}
