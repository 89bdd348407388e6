/*
 * alone ADDRESS:PORT TOKEN: a program that can't be preloaded, being linked statically, and whose
 * URL was set to a relay's own port instead: it asks for a chat there and prints all that comes.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_to(const char *text) {
    char host[INET_ADDRSTRLEN] = "";
    const char *colon = strchr(text, ':');
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return -1;
    memcpy(host, text, (size_t)(colon - text));
    address.sin_port = htons((in_port_t)strtoul(colon + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    return fd;
}

int main(int argc, char **argv) {
    static const char body[] = "{\"model\": \"gpt-4\", \"messages\": []}";
    char buffer[4096];
    int fd = argc == 3 ? connect_to(argv[1]) : -1;
    if (fd < 0) {
        perror("alone");
        return 1;
    }
    dprintf(fd,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
            "Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
            argv[1], argv[2], sizeof body - 1, body);
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;)
        fwrite(buffer, 1, (size_t)got, stdout);
    return 0;
}
