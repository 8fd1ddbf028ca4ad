/* Mounts a new file system for memory COUNT times in folders of FOLDER. usage: mounter COUNT FOLDER */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3 || chdir(argv[2])) return 2;
    for (int n = 0; n < atoi(argv[1]); n++) {
        char name[16];
        snprintf(name, sizeof name, "%d", n);
        mkdir(name, 0755);
        if (mount("tmpfs", name, "tmpfs", 0, "size=4k")) return 1;
    }
    return 0;
}
