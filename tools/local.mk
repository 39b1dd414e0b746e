# tools: the program tessera, one file per subcommand.
bin_PROGRAMS += tessera
tessera_SOURCES = tools/main.c tools/program.h tools/program.c tools/options.h tools/options.c tools/session.c tools/profile.c \
	tools/npy.c tools/json.c tools/convert.c tools/info.c tools/describe.c tools/draw.c tools/chat.c tools/probe.c \
	tools/bench.c
tessera_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tessera_LDADD = $(BENCH_LIBS) libtessera.la $(JANSSON_LIBS) -lm

# Man pages and bash completion are printed by the program itself and kept in the repository, so that cross builds
# have them; tests/test_program.sh compares. After a change of flags: make update-docs.
MAN_COMMANDS = convert info describe draw chat probe bench
dist_man1_MANS += man/tessera.1 man/tessera-convert.1 man/tessera-info.1 man/tessera-describe.1 man/tessera-draw.1 \
	man/tessera-chat.1 man/tessera-probe.1 man/tessera-bench.1
bashcompletiondir = @bashcompletiondir@
dist_bashcompletion_DATA = tools/completion/tessera

.PHONY: update-docs
update-docs: tessera
	./tessera help --man >$(srcdir)/man/tessera.1
	for command in $(MAN_COMMANDS); do ./tessera help --man $$command >$(srcdir)/man/tessera-$$command.1; done
	./tessera help --completion >$(srcdir)/tools/completion/tessera
