/* Keeps what looks into it waiting. usage: page KIND FILE OTHER
 *
 * probe  fires a probe whose argument is in a page of FILE, which nothing has read yet
 * lock   maps OTHER, and has its memory locked for as long as FILE does not answer: a second process reads that page by way of the first
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int file = open(argv[2], O_RDONLY), other = open(argv[3], O_RDONLY);
    struct stat facts;
    if (file < 0 || other < 0 || fstat(file, &facts)) return 1;
    /* Nothing reads ahead from there. */
    char *place = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, (facts.st_size - 1) & ~4095L);
    mmap(0, 1 << 16, PROT_READ | PROT_EXEC, MAP_PRIVATE, other, 0);
    puts("running");
    fflush(stdout);
    /* Until FILE does not answer any more. */
    while (access("go", F_OK)) usleep(10000);
    if (!strcmp(argv[1], "lock")) {
        char path[64], byte;
        snprintf(path, sizeof path, "/proc/%d/mem", getpid());
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            int memory = open(path, O_RDONLY);
            return pread(memory, &byte, 1, (long)place) < 0;
        }
        for (;;) pause();
    }
    __asm__ volatile("990: nop\n.pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n"
                     ".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"
                     "993: .8byte 990b, 0, 0\n.asciz \"target\"\n.asciz \"page\"\n.asciz \"-8@(%%rdi)\"\n"
                     "994: .balign 4\n.popsection\n" ::"D"(place));
    for (;;) pause();
}
