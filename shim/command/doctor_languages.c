#include "shim/command/doctor_languages.h"

#include <stddef.h>
#include <string.h>

/* How each binding was seen to call libcurl decides, see libcurl.h and dlopen.c in shim/curl. */
static const struct language languages[] = {
    {{"php", "php-cgi", "php-fpm"},
     MODULES_REACHED,
     {"curl extension: reached, since Spillway's dlopen hook takes RTLD_DEEPBIND off it",
      "streams (file_get_contents): not through libcurl, http through the relay"}},
    {{"python", "pypy"},
     MODULES_REACHED,
     {"pycurl: reached, bound through its caller",
      "ctypes: not seen as libcurl's, http through the relay",
      "requests, httpx, aiohttp, urllib: not through libcurl, http through the relay"}},
    {{"perl"},
     MODULES_REACHED,
     {"WWW::Curl: reached, bound through its caller",
      "LWP, HTTP::Tiny: not through libcurl, http through the relay"}},
    {{"R", "Rscript"},
     MODULES_REACHED,
     {"curl package, download.file(method = \"libcurl\"): reached, bound through their caller",
      "url() with other methods: not through libcurl, http through the relay"}},
    {{"lua", "luajit"},
     MODULES_REACHED,
     {"lua-curl: reached, bound through its caller",
      "LuaSocket: not through libcurl, http through the relay"}},
    {{"ruby"},
     MODULES_MISSED,
     {"ffi (ethon, typhoeus): not seen as libcurl's, http through the relay",
      "Net::HTTP: not through libcurl, http through the relay"}},
    {{"node", "nodejs"},
     MODULES_MISSED,
     {"fetch, http, https: not through libcurl, http through the relay"}},
    {{"java"}, MODULES_MISSED, {"HttpClient, OkHttp: not through libcurl, http through the relay"}},
    {{"sh", "bash", "dash", "ksh"}, MODULES_STARTED, {NULL}},
    {{"zsh", "fish", "busybox"}, MODULES_STARTED, {NULL}},
};

const struct language *language_of(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++)
        for (size_t j = 0; j < 4 && languages[i].names[j]; j++) {
            size_t length = strlen(languages[i].names[j]);
            if (strncmp(name, languages[i].names[j], length) == 0 &&
                name[length + strspn(name + length, "0123456789.")] == '\0')
                return &languages[i];
        }
    return NULL;
}
