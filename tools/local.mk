# tools: the program tessera, one file per subcommand.
bin_PROGRAMS += tessera
tessera_SOURCES = tools/main.c tools/program.h tools/program.c tools/options.h tools/options.c tools/session.c \
	tools/npy.c tools/convert.c tools/info.c tools/describe.c tools/draw.c tools/chat.c tools/probe.c \
	tools/bench.c
tessera_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tessera_LDADD = $(BENCH_LIBS) libtessera.la $(JANSSON_LIBS) -lm
