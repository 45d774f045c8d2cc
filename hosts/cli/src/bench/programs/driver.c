/* Runs the loads of `nomad86 bench`, natively in a changed root and as the init of a guest. Its argument names the
 * loads, with commas between; /bench/loads has their commands. Before and after each it says so, at which the
 * program that reads its lines takes its stock of CPU time; what the kernel counted of it follows, for the native
 * side, where the kernel's clock is the host's. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/random.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#define OUT "/tmp/out"
#define ERRORS "/tmp/errors"
#define COUNT "/tmp/count"

static void say(const char *text) {
    size_t n = strlen(text);
    if (write(1, text, n) < 0) _exit(1);
    tcdrain(1); /* it is out of the serial port before the load begins */
}

static int named(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *at = list; at; at = strchr(at, ','), at += !!at)
        if (!strncmp(at, name, n) && (at[n] == ',' || !at[n])) return 1;
    return 0;
}

static int run(const char *command, const char *out, struct rusage *usage) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int in = open("/dev/null", O_RDONLY), to = open(out, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        int errors = open(ERRORS, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        if (dup2(in, 0) < 0 || dup2(to, 1) < 0 || dup2(errors, 2) < 0) _exit(126);
        execl("/bin/sh", "sh", "-c", command, (char *)0);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, usage) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static unsigned long microseconds(const struct rusage *usage) {
    return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000ul + usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

/* FNV-1a of a file. */
static uint64_t hash(const char *path) {
    static unsigned char buffer[65536];
    uint64_t all = 0xcbf29ce484222325ull;
    int fd = open(path, O_RDONLY);
    for (ssize_t n; fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0;)
        for (ssize_t i = 0; i < n; i++) all = (all ^ buffer[i]) * 0x100000001b3ull;
    close(fd);
    return all;
}

/* The first line of a short file. */
static const char *first_line(const char *path) {
    static char line[200];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    close(fd);
    line[n > 0 ? n : 0] = 0;
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

static void load(const char *name, const char *setup, const char *command) {
    static char text[512];
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    unlink(COUNT);
    int status = *setup ? run(setup, OUT, &usage) : 0;
    snprintf(text, sizeof text, "bench begin %s\n", name);
    say(text);
    if (status == 0) status = run(command, OUT, &usage);
    snprintf(text, sizeof text, "bench end %s %lu\n", name, microseconds(&usage));
    say(text);
    const char *count = first_line(COUNT);
    snprintf(text, sizeof text, "bench result %s %d %016llx %s\n", name, status, (unsigned long long)hash(OUT), *count ? count : "1");
    say(text);
    if (status != 0) {
        snprintf(text, sizeof text, "bench said %s %s\n", name, first_line(ERRORS));
        say(text);
    }
}

/* A guest that has just booted has no random numbers yet, and Python would wait for them; a host has. */
static void stir(void) {
    /* rand_pool_info: bits, bytes, what they are. */
    int pool[2 + 16] = {512, 64, 86};
    int fd = open("/dev/urandom", O_WRONLY);
    if (fd < 0) return;
    ioctl(fd, RNDADDENTROPY, pool);
    close(fd);
}

int main(int argc, char **argv) {
    static char loads[65536];
    int init = getpid() == 1;
    if (init) {
        mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
        mount("proc", "/proc", "proc", 0, 0);
        mount("tmpfs", "/tmp", "tmpfs", 0, 0);
        stir();
    }
    int fd = open("/bench/loads", O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, loads, sizeof loads - 1);
    loads[n > 0 ? n : 0] = 0;
    close(fd);
    say("bench ready\n");
    /* NAME TAB SETUP TAB COMMAND, and the variables of all: NAME=VALUE. */
    for (char *line = loads, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        char *setup = strchr(line, '\t');
        if (!setup) { putenv(line); continue; }
        *setup++ = 0;
        char *command = strchr(setup, '\t');
        if (!command) continue;
        *command++ = 0;
        if (argc > 1 && named(argv[1], line)) load(line, setup, command);
    }
    say("bench done\n");
    if (init) { sync(); reboot(RB_POWER_OFF); for (;;) pause(); }
    return 0;
}
