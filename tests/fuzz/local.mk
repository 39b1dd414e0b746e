# fuzz: one target a parser. `make check` replays each corpus with some mutations; `make fuzz SECONDS=60` builds the
# library with clang's libFuzzer and sanitizers in ./fuzz-build and runs every target. To add a target NAME: its file
# tests/fuzz/fuzz_NAME.c (fuzz.h), seeds in tests/fuzz/corpus/NAME, its name in FUZZ_TARGETS, and eight lines here.
FUZZ_TARGETS = gguf safetensors tokenizer text picture
FUZZ_LIBS = libtsr_quant.la libtsr_kernels.la $(JANSSON_LIBS) $(ZLIB_LIBS) -lm
FUZZ_TEXT_LIBS = libtsr_text.la $(FUZZ_LIBS) $(PCRE2_LIBS)
FUZZ_PICTURE_LIBS = libtsr_picture.la $(FUZZ_LIBS) $(PNG_LIBS) $(JPEG_LIBS)
REPLAY_SOURCES = tests/fuzz/fuzz.h tests/fuzz/replay.c

REPLAY = tests/fuzz/replay_gguf tests/fuzz/replay_safetensors tests/fuzz/replay_tokenizer tests/fuzz/replay_text \
	tests/fuzz/replay_picture
check_PROGRAMS += $(REPLAY)
TESTS += $(REPLAY)
tests_fuzz_replay_gguf_SOURCES = tests/fuzz/fuzz_gguf.c $(REPLAY_SOURCES)
tests_fuzz_replay_gguf_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_replay_gguf_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c $(REPLAY_SOURCES)
tests_fuzz_replay_safetensors_CFLAGS = $(AM_CFLAGS)
tests_fuzz_replay_safetensors_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c $(REPLAY_SOURCES)
tests_fuzz_replay_tokenizer_CFLAGS = $(AM_CFLAGS)
tests_fuzz_replay_tokenizer_LDADD = $(FUZZ_TEXT_LIBS)
tests_fuzz_replay_text_SOURCES = tests/fuzz/fuzz_text.c $(REPLAY_SOURCES)
tests_fuzz_replay_text_CFLAGS = $(AM_CFLAGS)
tests_fuzz_replay_text_LDADD = $(FUZZ_TEXT_LIBS)
tests_fuzz_replay_picture_SOURCES = tests/fuzz/fuzz_picture.c $(REPLAY_SOURCES)
tests_fuzz_replay_picture_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_replay_picture_LDADD = $(FUZZ_PICTURE_LIBS)

# Built only in ./fuzz-build, by clang.
EXTRA_PROGRAMS += tests/fuzz/fuzz_gguf tests/fuzz/fuzz_safetensors tests/fuzz/fuzz_tokenizer tests/fuzz/fuzz_text \
	tests/fuzz/fuzz_picture
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz_gguf.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_gguf_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_fuzz_gguf_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_gguf_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_safetensors_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_safetensors_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_safetensors_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_tokenizer_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_tokenizer_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_tokenizer_LDADD = $(FUZZ_TEXT_LIBS)
tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz_text.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_text_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_text_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_text_LDADD = $(FUZZ_TEXT_LIBS)
tests_fuzz_fuzz_picture_SOURCES = tests/fuzz/fuzz_picture.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_picture_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_fuzz_picture_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_picture_LDADD = $(FUZZ_PICTURE_LIBS)

SECONDS = 60
FUZZ_FLAGS = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
.PHONY: fuzz
fuzz:
	$(MKDIR_P) fuzz-build
	test -f fuzz-build/Makefile || (cd fuzz-build && '$(abs_srcdir)/configure' CC=clang CFLAGS='$(FUZZ_FLAGS)' \
	  --disable-shared --disable-tests)
	for target in $(FUZZ_TARGETS); do \
	  $(MAKE) -C fuzz-build tests/fuzz/fuzz_$$target && $(MKDIR_P) fuzz-build/found/$$target && \
	  ./fuzz-build/tests/fuzz/fuzz_$$target -max_total_time=$(SECONDS) -timeout=2 -max_len=65536 \
	    -rss_limit_mb=512 -malloc_limit_mb=64 -print_final_stats=1 -artifact_prefix=fuzz-build/$$target- \
	    fuzz-build/found/$$target '$(abs_srcdir)/tests/fuzz/corpus/'$$target || exit 1; \
	done

EXTRA_DIST += tests/fuzz/corpus
