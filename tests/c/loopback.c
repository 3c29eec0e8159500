/* For LD_PRELOAD: makes a server listen on 127.0.0.1 only. Used for `openssl ocsp`, which has no option for the address. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int socket, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
    struct sockaddr_in four;
    struct sockaddr_in6 mapped;
    if (address->sa_family == AF_INET && length >= sizeof four) {
        memcpy(&four, address, sizeof four);
        four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return real(socket, (struct sockaddr *)&four, sizeof four);
    }
    if (address->sa_family == AF_INET6 && length >= sizeof mapped) {
        /* A socket for IPv6 and IPv4 needs the IPv4 address in IPv6 form. */
        memcpy(&mapped, address, sizeof mapped);
        inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
        return real(socket, (struct sockaddr *)&mapped, sizeof mapped);
    }
    return real(socket, address, length);
}
