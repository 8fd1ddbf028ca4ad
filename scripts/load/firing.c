// Fires probes from many threads or processes, and says how often: what scripts/load.sh records.
// usage: firing threads|processes|wide WORKERS RATE SECONDS [WORK]
//   RATE   hits per second of each worker; 0: as many as it can
//   WORK   turns of a loop between two hits, for a program that does something
// `wide` is processes that fire 20 probes with six numbers and two strings in turn. Output: hits, seconds, CPU seconds.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sdt.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Shared by all workers.
static struct shared {
    volatile int stop;
    struct { volatile uint64_t hits; uint64_t pad[7]; } workers[];
} *shared;
static uint64_t rate, work;
static int is_wide;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

#define WIDE(n) case n: STAP_PROBE8(load, wide##n, hit, hit + 1, hit * 3, n, hit >> 3, ~hit, name, text); break;

static void fire_wide(uint64_t hit) {
    static const char *name = "a name of some length", *text = "what a query may look like: select * from t";
    switch (hit % 20) {
        WIDE(0) WIDE(1) WIDE(2) WIDE(3) WIDE(4) WIDE(5) WIDE(6) WIDE(7) WIDE(8) WIDE(9)
        WIDE(10) WIDE(11) WIDE(12) WIDE(13) WIDE(14) WIDE(15) WIDE(16) WIDE(17) WIDE(18) WIDE(19)
    }
}

static void *run(void *argument) {
    uint64_t hit = 0, worker = (uintptr_t)argument;
    // Of this thread alone; what is negative needs a right to begin with.
    setpriority(PRIO_PROCESS, 0, 0);
    double begun = now();
    while (!shared->stop) {
        for (volatile uint64_t turn = 0; turn < work; turn++) {}
        if (rate) {
            double wait = begun + hit / (double)rate - now();
            if (wait > 0) usleep(wait * 1e6);
            if (shared->stop) break;
        }
        if (is_wide) fire_wide(hit); else STAP_PROBE1(load, hit, hit);
        shared->workers[worker].hits = ++hit;
    }
    return 0;
}

int main(int count, char **words) {
    if (count < 5) return 2;
    int is_threads = !strcmp(words[1], "threads"), workers = atoi(words[2]);
    is_wide = !strcmp(words[1], "wide");
    rate = atoi(words[3]);
    work = count > 5 ? atoi(words[5]) : 0;
    size_t bytes = sizeof *shared + workers * sizeof shared->workers[0];
    shared = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_t *threads = calloc(workers, sizeof *threads);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    // Its own turn to say stop comes whatever the workers do.
    setpriority(PRIO_PROCESS, 0, -20);
    double begun = now();
    for (int i = 0; i < workers; i++) {
        if (is_threads) {
            pthread_create(&threads[i], &small, run, (void *)(uintptr_t)i);
        } else if (!fork()) {
            run((void *)(uintptr_t)i);
            _exit(0);
        }
    }
    usleep(atof(words[4]) * 1e6);
    shared->stop = 1;
    double seconds = now() - begun;
    for (int i = 0; i < workers; i++)
        if (is_threads) pthread_join(threads[i], 0); else wait(0);
    uint64_t hits = 0;
    for (int i = 0; i < workers; i++) hits += shared->workers[i].hits;
    struct rusage own, others;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &others);
    double cpu = own.ru_utime.tv_sec + own.ru_stime.tv_sec + others.ru_utime.tv_sec + others.ru_stime.tv_sec
               + (own.ru_utime.tv_usec + own.ru_stime.tv_usec + others.ru_utime.tv_usec + others.ru_stime.tv_usec) / 1e6;
    printf("%lu %.3f %.3f\n", hits, seconds, cpu);
}
