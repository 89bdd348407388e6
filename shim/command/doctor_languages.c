#include "shim/command/doctor_languages.h"

#include <stddef.h>
#include <string.h>

/* How each binding was seen to call libcurl decides, see libcurl.h and dlopen.c in shim/curl. */
static const struct language languages[] = {
    {{"php", "php-cgi", "php-fpm"},
     MODULES_REACHED,
     {"curl extension: reached, since Spillway's dlopen hook takes RTLD_DEEPBIND off it",
      "streams (file_get_contents): not through libcurl, not reached"}},
    {{"python", "pypy"},
     MODULES_REACHED,
     {"pycurl: reached, bound through its caller",
      "ctypes: not reached, it fetches libcurl's functions by dlsym",
      "requests, httpx, aiohttp, urllib: not through libcurl, not reached"}},
    {{"perl"},
     MODULES_REACHED,
     {"WWW::Curl: reached, bound through its caller",
      "LWP, HTTP::Tiny: not through libcurl, not reached"}},
    {{"R", "Rscript"},
     MODULES_REACHED,
     {"curl package, download.file(method = \"libcurl\"): reached, bound through their caller",
      "url() with other methods: not through libcurl, not reached"}},
    {{"lua", "luajit"},
     MODULES_REACHED,
     {"lua-curl: reached, bound through its caller",
      "LuaSocket: not through libcurl, not reached"}},
    {{"ruby"},
     MODULES_MISSED,
     {"ffi (ethon, typhoeus): not reached, it fetches libcurl's functions by dlsym",
      "Net::HTTP: not through libcurl, not reached"}},
    {{"node", "nodejs"}, MODULES_MISSED, {"fetch, http, https: not through libcurl, not reached"}},
    {{"java"}, MODULES_MISSED, {"HttpClient, OkHttp: not through libcurl, not reached"}},
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
