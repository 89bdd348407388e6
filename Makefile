# make                 build/libspillway.so and build/spillway
# make SANITIZE=1      the same with AddressSanitizer and UBSan, in build/asan
# make TSAN=1          the same with ThreadSanitizer, in build/tsan: see scripts/tsan
# make unit            the unit tests of the chosen variant, as OUT/unit-tests
# make lint            formatting, static analysis, every warning as an error
# make install PREFIX=/usr/local DESTDIR=
CC       ?= cc
PREFIX   ?= /usr/local
LIBDIR   ?= $(PREFIX)/lib
BINDIR   ?= $(PREFIX)/bin
MANDIR   ?= $(PREFIX)/share/man
UNITDIR  ?= $(PREFIX)/lib/systemd/user
SANITIZE ?=
TSAN     ?=

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wcast-qual \
            -Wstrict-prototypes -Wformat=2 -Wundef
CFLAGS   ?= -O2 -g
# The shim is loaded into musl programs as well; fortified entry points exist in glibc alone.
BASE     := -std=gnu11 $(WARNINGS) -I. -fPIC -fvisibility=hidden -D_GNU_SOURCE -MMD -MP \
            -U_FORTIFY_SOURCE -fno-strict-aliasing -ftls-model=initial-exec
ifdef SANITIZE
OUT      := build/asan
BASE     += -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LINK     := -fsanitize=address,undefined
else ifdef TSAN
OUT      := build/tsan
BASE     += -O1 -g -fsanitize=thread -fno-omit-frame-pointer
LINK     := -fsanitize=thread
else
OUT      := build
LINK     :=
endif
# make WERROR=1, as scripts/test and `make lint` do: a warning is an error
ifdef WERROR
BASE     += -Werror
endif

CORE     := $(wildcard config/*.c shim/*.c shim/fault/*.c shim/pool/*.c shim/request/*.c)
CURL     := $(wildcard shim/curl/*.c)
RELAY    := $(wildcard shim/relay/*.c)
SOCKET   := $(wildcard shim/socket/*.c)
COMMAND  := $(wildcard shim/command/*.c)
UNIT     := $(wildcard tests/unit/*.c)
PROGRAMS := $(wildcard tests/programs/*.c)
object    = $(patsubst %.c,$(OUT)/obj/%.o,$(1))

all: $(OUT)/libspillway.so $(OUT)/spillway

$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

# libc is all that a preloaded object may bring along; libyaml's code comes in from its archive.
# Every program that is started pays for the loading: symbols are bound when they are first used,
# and code and constants share a segment.
$(OUT)/libspillway.so: $(call object,$(CORE) $(CURL) $(SOCKET)) shim/libspillway.map
	$(CC) -shared $(LINK) $(LDFLAGS) -Wl,-z,defs -Wl,-z,lazy -Wl,-z,noseparate-code -Wl,--as-needed -Wl,--exclude-libs,ALL \
	  -Wl,--version-script=shim/libspillway.map -o $@ $(call object,$(CORE) $(CURL) $(SOCKET)) -l:libyaml.a

$(OUT)/spillway: $(call object,$(CORE) $(RELAY) $(COMMAND))
	$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -l:libyaml.a -lmicrohttpd -lgnutls -lcurl -lnettle -lncurses -ltinfo -lm

# What the hooks call is tested in the runner; the hooks themselves only in programs that it starts.
HOOKS    := $(call object,shim/curl/easy.c shim/curl/multi.c shim/curl/mime.c shim/curl/dlopen.c \
                         shim/socket/resolve.c shim/socket/connect.c)
$(OUT)/unit-tests: $(call object,$(UNIT) $(CORE) $(RELAY)) $(filter-out $(HOOKS),$(call object,$(CURL) $(SOCKET))) \
                   $(filter-out $(OUT)/obj/shim/command/main.o,$(call object,$(COMMAND)))
	$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -l:libyaml.a -lmicrohttpd -lgnutls -lcurl -lnettle -lncurses -ltinfo -lcriterion -lm

# What threads share, used by threads, without libcurl: for scripts/tsan.
$(OUT)/shared: $(call object,tests/tsan/shared.c $(CORE))
	$(CC) $(LINK) $(LDFLAGS) -o $@ $^ -l:libyaml.a -lpthread

# Clients of libcurl for the integration tests: programs as users have them, so never sanitized.
build/programs/%: tests/programs/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARNINGS) -D_GNU_SOURCE -O1 -g -o $@ $< -lcurl -lpthread

unit: $(OUT)/unit-tests
programs: $(patsubst tests/programs/%.c,build/programs/%,$(PROGRAMS))

lint:
	scripts/lint

install: all
	install -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(UNITDIR)
	install -m 644 $(OUT)/libspillway.so $(DESTDIR)$(LIBDIR)/libspillway.so
	install -m 755 $(OUT)/spillway $(DESTDIR)$(BINDIR)/spillway
	install -m 644 config/man/*.1 $(DESTDIR)$(MANDIR)/man1/
	install -m 644 config/man/*.5 $(DESTDIR)$(MANDIR)/man5/
	install -m 644 config/spillway-relay.service $(DESTDIR)$(UNITDIR)/spillway-relay.service

clean:
	rm -rf build

.PHONY: all unit programs lint install clean
-include $(shell find build -name '*.d' 2>/dev/null)
