/* Programs in a state that makes them hard to look at. usage: tricks KIND PROGRAM
 *
 * named      has a name of control characters, and a command line without an end
 * hidden     may not be looked into by its own user, and maps PROGRAM again and again
 * borrowed   200 processes that wait for a child that has their memory, which runs nothing
 * traced     200 processes that a debugger has stopped before the first instruction of PROGRAM
 * sealed     PROGRAM, from memory that nothing can change, run 500 times
 * dumping    processes that map PROGRAM and end with a core file, one after the other
 * storm      20 processes that run PROGRAM again and again
 * ended      has PROGRAM open, and processes that map it and have ended before it is looked at
 * renaming   PROGRAM and a copy change names all the time, and are run meanwhile
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *program;
static char *const environment[] = {NULL};

static void say(void) {
    puts("running");
    fflush(stdout);
}

static void hold(void) {
    for (;;) pause();
}

/* Forks a child that ends with this process. */
static pid_t child(void) {
    pid_t pid = fork();
    if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void run(char *path) {
    char *words[] = {path, NULL};
    /* It reads no more than that. */
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    execve(path, words, environment);
    _exit(1);
}

static void *map_program(void) {
    int file = open(program, O_RDONLY);
    void *place = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    close(file);
    return place;
}

static void named(char **argv) {
    prctl(PR_SET_NAME, "\033[2J\n\xe2\x80\xae) R 1");
    memset(argv[0], '\033', strlen(argv[0]));
    map_program();
    say();
    hold();
}

static void hidden(void) {
    prctl(PR_SET_DUMPABLE, 0);
    say();
    for (;;) {
        void *place = map_program();
        usleep(500);
        munmap(place, 4096);
    }
}

static void borrowed(void) {
    for (volatile int n = 0; n < 200; n++)
        if (child() == 0) {
            map_program();
            if (vfork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                hold();
            }
        }
    say();
    hold();
}

static void traced(void) {
    for (int n = 0; n < 200; n++)
        if (child() == 0) {
            ptrace(PTRACE_TRACEME, 0, 0, 0);
            run(program);
        }
    say();
    hold();
}

static void sealed(void) {
    static char bytes[1 << 20];
    int file = open(program, O_RDONLY);
    ssize_t len = read(file, bytes, sizeof bytes);
    say();
    for (int n = 0; n < 500; n++) {
        int memory = memfd_create("\033[2Jhonest", MFD_ALLOW_SEALING | MFD_CLOEXEC);
        if (write(memory, bytes, len) != len) exit(1);
        fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        pid_t pid = child();
        if (pid == 0) {
            char *words[] = {"memory", NULL};
            int null = open("/dev/null", O_RDWR);
            dup2(null, 0);
            dup2(null, 1);
            fexecve(memory, words, environment);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
        close(memory);
    }
    hold();
}

static void dumping(void) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(RLIMIT_CORE, &all);
    all.rlim_cur = all.rlim_max;
    setrlimit(RLIMIT_CORE, &all);
    say();
    for (;;) {
        pid_t pid = child();
        if (pid == 0) {
            map_program();
            char *place = mmap(0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            memset(place, 1, 64 << 20);
            abort();
        }
        waitpid(pid, NULL, 0);
    }
}

static void storm(void) {
    for (int n = 0; n < 20; n++)
        if (child() == 0)
            for (;;) {
                pid_t pid = child();
                if (pid == 0) run(program);
                waitpid(pid, NULL, 0);
            }
    say();
    hold();
}

static void renaming(void) {
    char other[4096], spare[4096];
    snprintf(other, sizeof other, "%s.other", program);
    snprintf(spare, sizeof spare, "%s.spare", program);
    if (child() == 0)
        for (;;) {
            rename(program, spare);
            rename(other, program);
            rename(spare, other);
        }
    say();
    for (;;) {
        pid_t pid = child();
        if (pid == 0) run(program);
        waitpid(pid, NULL, 0);
    }
}

static void ended(void) {
    int file = open(program, O_RDONLY);
    /* The first to close it. */
    if (child() == 0) _exit(0);
    say();
    for (;;) {
        if (child() == 0) {
            mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
            usleep(100000);
            _exit(0);
        }
        usleep(20000);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    const char *kind = argv[1];
    program = strdup(argv[2]);
    if (!strcmp(kind, "named")) named(argv);
    if (!strcmp(kind, "hidden")) hidden();
    if (!strcmp(kind, "borrowed")) borrowed();
    if (!strcmp(kind, "traced")) traced();
    if (!strcmp(kind, "sealed")) sealed();
    if (!strcmp(kind, "dumping")) dumping();
    if (!strcmp(kind, "storm")) storm();
    if (!strcmp(kind, "ended")) ended();
    if (!strcmp(kind, "renaming")) renaming();
    return 2;
}
