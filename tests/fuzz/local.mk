# fuzz: one target a parser. `make check` replays each corpus with some mutations; `make fuzz SECONDS=60` builds the
# library with clang's libFuzzer and sanitizers in ./fuzz-build and runs every target; `make fuzz-coverage` shows what
# the corpora alone reach of the parsers, and fails below 90 % of the lines of any. To add a target NAME: its file
# tests/fuzz/fuzz_NAME.c (fuzz.h), seeds in tests/fuzz/corpus/NAME, its name in FUZZ_TARGETS, and eight lines here.
FUZZ_TARGETS = gguf safetensors tokenizer text picture config model
FUZZ_LIBS = libtsr_quant.la libtsr_kernels.la $(JANSSON_LIBS) $(ZLIB_LIBS) -lm
FUZZ_TEXT_LIBS = libtsr_text.la $(FUZZ_LIBS) $(PCRE2_LIBS)
FUZZ_PICTURE_LIBS = libtsr_picture.la $(FUZZ_LIBS) $(PNG_LIBS) $(JPEG_LIBS)
FUZZ_MODEL_LIBS = libtsr_all.la $(JANSSON_LIBS) $(ZLIB_LIBS) -lm
REPLAY_SOURCES = tests/fuzz/fuzz.h tests/fuzz/replay.c tests/conditions.h

REPLAY = tests/fuzz/replay_gguf tests/fuzz/replay_safetensors tests/fuzz/replay_tokenizer tests/fuzz/replay_text \
	tests/fuzz/replay_picture tests/fuzz/replay_config tests/fuzz/replay_model
check_PROGRAMS += $(REPLAY)
TESTS += $(REPLAY)
tests_fuzz_replay_gguf_SOURCES = tests/fuzz/fuzz_gguf.c tests/fuzz/gguf_walk.h tests/fuzz/gguf_walk.c $(REPLAY_SOURCES)
tests_fuzz_replay_gguf_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_replay_gguf_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c $(REPLAY_SOURCES)
tests_fuzz_replay_safetensors_CFLAGS = $(AM_CFLAGS)
tests_fuzz_replay_safetensors_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c tests/fuzz/json_mutate.c $(REPLAY_SOURCES)
tests_fuzz_replay_tokenizer_CFLAGS = $(AM_CFLAGS)
tests_fuzz_replay_tokenizer_LDADD = $(FUZZ_TEXT_LIBS)
tests_fuzz_replay_text_SOURCES = tests/fuzz/fuzz_text.c $(REPLAY_SOURCES)
tests_fuzz_replay_text_CFLAGS = $(AM_CFLAGS)
tests_fuzz_replay_text_LDADD = $(FUZZ_TEXT_LIBS)
tests_fuzz_replay_picture_SOURCES = tests/fuzz/fuzz_picture.c $(REPLAY_SOURCES)
tests_fuzz_replay_picture_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_replay_picture_LDADD = $(FUZZ_PICTURE_LIBS)
tests_fuzz_replay_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/json_mutate.c $(REPLAY_SOURCES)
tests_fuzz_replay_config_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_replay_config_LDADD = $(FUZZ_MODEL_LIBS)
tests_fuzz_replay_model_SOURCES = tests/fuzz/fuzz_model.c tests/fuzz/gguf_walk.h tests/fuzz/gguf_walk.c $(REPLAY_SOURCES)
tests_fuzz_replay_model_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_replay_model_LDADD = $(FUZZ_MODEL_LIBS)

# Built only in ./fuzz-build, by clang.
EXTRA_PROGRAMS += tests/fuzz/fuzz_gguf tests/fuzz/fuzz_safetensors tests/fuzz/fuzz_tokenizer tests/fuzz/fuzz_text \
	tests/fuzz/fuzz_picture tests/fuzz/fuzz_config tests/fuzz/fuzz_model
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz_gguf.c tests/fuzz/gguf_walk.h tests/fuzz/gguf_walk.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_gguf_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_fuzz_gguf_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_gguf_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_safetensors_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_safetensors_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_safetensors_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c tests/fuzz/json_mutate.c tests/fuzz/fuzz.h
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
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/json_mutate.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_config_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_config_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_config_LDADD = $(FUZZ_MODEL_LIBS)
tests_fuzz_fuzz_model_SOURCES = tests/fuzz/fuzz_model.c tests/fuzz/gguf_walk.h tests/fuzz/gguf_walk.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_model_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
tests_fuzz_fuzz_model_LDFLAGS = -fsanitize=fuzzer
tests_fuzz_fuzz_model_LDADD = $(FUZZ_MODEL_LIBS)

# The kernels are not instrumented: none runs here but in libtsr_all.la, and clang takes minutes over them.
# Limits of a run: twice what the largest honest input of 64 KiB takes under AddressSanitizer. The sanitizer's own
# quarantine of freed memory counts in the process, so it is kept small.
SECONDS = 60
FUZZ_FLAGS = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_LIMITS = -timeout=2 -max_len=65536 -rss_limit_mb=256 -malloc_limit_mb=64
.PHONY: fuzz fuzz-coverage $(FUZZ_TARGETS:%=fuzz-%)
fuzz:
	$(MKDIR_P) fuzz-build
	test -f fuzz-build/Makefile || (cd fuzz-build && '$(abs_srcdir)/configure' CC=clang CFLAGS='$(FUZZ_FLAGS)' \
	  --disable-shared --disable-tests)
	$(MAKE) -C fuzz-build $(KERNEL_LIBS) CFLAGS='-O1 -g'
	$(MAKE) -C fuzz-build $(FUZZ_TARGETS:%=tests/fuzz/fuzz_%)
	$(MAKE) $(FUZZ_TARGETS:%=fuzz-%)

# One target, once `make fuzz` has built it.
$(FUZZ_TARGETS:%=fuzz-%):
	target=$(@:fuzz-%=%) && $(MKDIR_P) fuzz-build/found/$$target && \
	TSR_SRCDIR='$(abs_srcdir)' ASAN_OPTIONS=quarantine_size_mb=16 ./fuzz-build/tests/fuzz/fuzz_$$target \
	  -max_total_time=$(SECONDS) $(FUZZ_LIMITS) -dict='$(abs_srcdir)/tests/fuzz/'$$target.dict -print_final_stats=1 \
	  -artifact_prefix=fuzz-build/$$target- fuzz-build/found/$$target '$(abs_srcdir)/tests/fuzz/corpus/'$$target

# The files whose lines are counted; what is left uncovered is mostly memory that ran out and reads that failed,
# which other tests force.
FUZZ_PARSERS = quant/gguf_parse.c quant/gguf_meta.c quant/gguf_read.c quant/safetensors.c quant/json.c \
	model/text/regex.c model/text/tokenizer.c model/text/tokenizer_json.c model/text/tokenizer_gguf.c \
	model/text/encode.c model/text/utf8.c model/text/template.c model/picture/picture.c model/picture/read.c model/picture/png_read.c \
	model/picture/jpeg_read.c model/run/config.c model/run/source.c model/run/model.c
fuzz-coverage:
	$(MKDIR_P) cover-build
	test -f cover-build/Makefile || (cd cover-build && '$(abs_srcdir)/configure' CC=clang \
	  CFLAGS='-O1 -g -fprofile-instr-generate -fcoverage-mapping' --disable-shared --disable-tests)
	rm -f cover-build/*.profraw
	$(MAKE) -C cover-build $(KERNEL_LIBS) CFLAGS='-O1 -g'
	$(MAKE) -C cover-build $(REPLAY)
	for target in $(FUZZ_TARGETS); do \
	  TSR_SRCDIR='$(abs_srcdir)' LLVM_PROFILE_FILE=cover-build/$$target.profraw \
	    cover-build/tests/fuzz/replay_$$target --corpus-only || exit 1; \
	done
	llvm-profdata merge -o cover-build/all.profdata cover-build/*.profraw
	'$(srcdir)/tests/fuzz/coverage' cover-build '$(abs_srcdir)' $(FUZZ_PARSERS)

EXTRA_DIST += tests/fuzz/corpus tests/fuzz/coverage $(FUZZ_TARGETS:%=tests/fuzz/%.dict)
