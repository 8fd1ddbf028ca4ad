/* A file system that stops answering.
 *
 * usage: silent DEVICE FOLDER FILE KIND [ARGUMENT...]
 *
 * Serves FILE as FOLDER/app through the FUSE device DEVICE, runs it with the ARGUMENTs, and answers until it gets SIGUSR1. After
 * that it answers nothing, so that whatever asks for the file waits until this process ends; with SLOW_MS=N in the environment,
 * it answers one question after the other, each N ms late. KIND: exe runs FOLDER/app itself;
 * overlay runs it from an overlay above FOLDER; memory runs it as exe, and app is expected to map the file where its arguments were
 * (see waiting.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t silent;
static int device;
static char *bytes;
static size_t size;

static void hush(int signal) {
    (void)signal;
    silent = 1;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void answer(const struct fuse_in_header *in, int error, const void *body, size_t len) {
    static char out[1 << 18];
    struct fuse_out_header head = {.len = sizeof head + len, .error = -error, .unique = in->unique};
    memcpy(out, &head, sizeof head);
    if (len) memcpy(out + sizeof head, body, len);
    /* What asked may be gone. */
    if (write(device, out, sizeof head + len) < 0 && errno != ENOENT) perror("answer");
}

static struct fuse_attr attributes(__u64 node) {
    struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = 4096};
    attr.mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0755;
    attr.size = node == 1 ? 0 : size;
    attr.mtime = attr.ctime = 1000000000;
    return attr;
}

static void serve(const struct fuse_in_header *in, const char *body) {
    switch (in->opcode) {
    case FUSE_INIT: {
        const struct fuse_init_in *init = (const void *)body;
        struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = init->minor, .max_write = 1 << 17,
                                    .max_readahead = 1 << 17};
        return answer(in, 0, &out, sizeof out);
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out out = {.nodeid = 2, .attr = attributes(2)};
        int is_there = in->nodeid == 1 && !strcmp(body, "app");
        return answer(in, is_there ? 0 : ENOENT, &out, is_there ? sizeof out : 0);
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
        return answer(in, 0, &out, sizeof out);
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
        struct fuse_open_out out = {.fh = 1};
        return answer(in, 0, &out, sizeof out);
    }
    case FUSE_READ: {
        const struct fuse_read_in *read = (const void *)body;
        size_t len = read->offset >= size ? 0 : size - read->offset;
        if (len > read->size) len = read->size;
        return answer(in, 0, bytes + (read->offset > size ? size : read->offset), len);
    }
    case FUSE_STATFS: {
        struct fuse_statfs_out out = {.st = {.bsize = 4096, .namelen = 255}};
        return answer(in, 0, &out, sizeof out);
    }
    case FUSE_FLUSH:
        /* The kernel asks no more, and what has the file open can end. */
        return answer(in, ENOSYS, NULL, 0);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_READDIR:
        return answer(in, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return;
    default:
        return answer(in, ENOSYS, NULL, 0);
    }
}

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat facts;
    if (!file || fstat(fileno(file), &facts)) fail(path);
    size = facts.st_size;
    bytes = malloc(size);
    if (fread(bytes, 1, size, file) != size) fail(path);
    fclose(file);
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    const char *folder = argv[2], *slow = getenv("SLOW_MS");
    load(argv[3]);
    device = open(argv[1], O_RDWR | O_CLOEXEC);
    if (device < 0) fail(argv[1]);
    char options[128], program[8200];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other", device, getuid(), getgid());
    if (mount("silent", folder, "fuse", MS_NOSUID | MS_NODEV, options)) fail("mount");
    struct sigaction action = {.sa_handler = hush};
    sigaction(SIGUSR1, &action, NULL);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(program, sizeof program, "%s/app", folder);
        if (!strcmp(argv[4], "overlay")) {
            char layers[8400], above[4100], empty[4100];
            snprintf(above, sizeof above, "%s.above", folder);
            snprintf(empty, sizeof empty, "%s.empty", folder);
            mkdir(above, 0755);
            mkdir(empty, 0755);
            snprintf(layers, sizeof layers, "lowerdir=%s:%s", folder, empty);
            if (mount("overlay", above, "overlay", 0, layers)) fail("overlay");
            snprintf(program, sizeof program, "%s/app", above);
        }
        execv(program, argv + 4);
        fail(program);
    }
    static char request[1 << 18];
    for (;;) {
        ssize_t len = read(device, request, sizeof request);
        if (len < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN) return 0;
        if (len <= 0 || (silent && !slow)) continue;
        if (silent) usleep(1000 * atoi(slow));
        serve((void *)request, request + sizeof(struct fuse_in_header));
    }
}
