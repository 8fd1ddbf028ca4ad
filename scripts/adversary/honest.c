/* A program with a guarded probe: for each line N of its input it waits until it is traced, fires N times, and says so. */
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <sys/sdt.h>
#include <unistd.h>

volatile unsigned short target_hit_semaphore __attribute__((section(".probes")));

int main(void) {
    long n, total = 0;
    setvbuf(stdout, 0, _IOLBF, 0);
    puts("running");
    while (scanf("%ld", &n) == 1) {
        while (!target_hit_semaphore) usleep(1000);
        for (; n > 0; n--) STAP_PROBE1(target, hit, total++);
        puts("fired");
    }
}
