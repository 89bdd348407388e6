/*
 * Whether a program has children that it did not make, and how many open files.
 *
 *   alone                      prints "alone with N files"; exit status 3 if it has a child
 *   alone --adopt PROGRAM...   becomes PROGRAM, as a process that adopts orphans of its descendants
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_files(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    if (!directory)
        return -1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count - 1; /* the directory is one */
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--adopt") == 0) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        execvp(argv[2], argv + 2);
        return 2;
    }
    pid_t child = waitpid(-1, NULL, WNOHANG);
    if (child >= 0 || errno != ECHILD) {
        printf("a child: %ld\n", (long)child);
        return 3;
    }
    printf("alone with %d files\n", open_files());
    return 0;
}
