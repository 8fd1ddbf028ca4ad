// Fires target:hit(number, string) COUNT times, but only while it is traced, and says how often it fired. Without COUNT
// it does so for each number that it reads, and says its semaphore first.
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <stdlib.h>
#include <sys/sdt.h>

volatile unsigned short target_hit_semaphore __attribute__((section(".probes")));
static long total;

static void fire(long count) {
    char text[32];
    for (; count > 0; count--)
        if (target_hit_semaphore) {
            snprintf(text, sizeof text, "number %ld", ++total);
            STAP_PROBE2(target, hit, total, text);
        }
}

int main(int argc, char **argv) {
    long count;
    if (argc > 1) {
        fire(atol(argv[1]));
        fprintf(stderr, "fired target:hit %ld\n", total);
        return 0;
    }
    setvbuf(stdout, 0, _IOLBF, 0);
    while (scanf("%ld", &count) == 1) {
        fire(count);
        printf("semaphore %d fired %ld\n", target_hit_semaphore, total);
    }
}
