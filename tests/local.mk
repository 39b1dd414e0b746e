# tests: Criterion programs, one per room; they see the private headers of the room they test.
# Class of shapes: TSR_CLASS=small (default; sanitizers, emulators, CI) or real (make check-full).
AM_TESTS_ENVIRONMENT = TSR_SRCDIR='$(abs_srcdir)'; TSR_BUILDDIR='$(abs_builddir)'; export TSR_SRCDIR TSR_BUILDDIR;
TEST_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
TEST_LIBS = libtsr_all.la $(CRITERION_LIBS) -lm

.PHONY: check-full
check-full:
	TSR_CLASS=real $(MAKE) $(AM_MAKEFLAGS) check

if TESTS_BUILT
check_PROGRAMS += tests/test_kernels
TESTS += tests/test_kernels
tests_test_kernels_SOURCES = tests/test_kernels.c tests/kernels/harness.h tests/kernels/harness.c \
	tests/kernels/fill.c tests/kernels/matmul_cases.c tests/kernels/conv2d_cases.c \
	tests/kernels/attention_cases.c tests/kernels/row_cases.c tests/kernels/map_cases.c tests/kernels/sample_cases.c \
	tests/planted/planted.h tests/planted/planted.c
tests_test_kernels_CFLAGS = $(TEST_CFLAGS)
tests_test_kernels_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_extremes
TESTS += tests/test_extremes
tests_test_extremes_SOURCES = tests/test_extremes.c
tests_test_extremes_CFLAGS = $(TEST_CFLAGS)
tests_test_extremes_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_par
TESTS += tests/test_par
tests_test_par_SOURCES = tests/test_par.c
tests_test_par_CFLAGS = $(TEST_CFLAGS)
tests_test_par_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_devices
TESTS += tests/test_devices
tests_test_devices_SOURCES = tests/test_devices.c
tests_test_devices_CFLAGS = $(TEST_CFLAGS)
tests_test_devices_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_quant
TESTS += tests/test_quant
tests_test_quant_SOURCES = tests/test_quant.c tests/quant_gguf.c tests/quant_safetensors.c \
	tests/quant_files.h tests/quant_files.c
tests_test_quant_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(ZLIB_CFLAGS)
tests_test_quant_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

check_PROGRAMS += tests/test_text
TESTS += tests/test_text
tests_test_text_SOURCES = tests/test_text.c tests/conditions.h
tests_test_text_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_test_text_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_picture
TESTS += tests/test_picture
tests_test_picture_SOURCES = tests/test_picture.c
tests_test_picture_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(PNG_CFLAGS) $(JPEG_CFLAGS) $(ZLIB_CFLAGS)
tests_test_picture_LDADD = $(TEST_LIBS) $(JANSSON_LIBS) $(PNG_LIBS) $(JPEG_LIBS) $(ZLIB_LIBS)

check_PROGRAMS += tests/test_model
TESTS += tests/test_model
tests_test_model_SOURCES = tests/test_model.c tests/models.h tests/models.c tests/npy.h tests/npy.c
tests_test_model_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_test_model_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_context
TESTS += tests/test_context
tests_test_context_SOURCES = tests/test_context.c tests/conditions.h tests/models.h tests/models.c tests/npy.h tests/npy.c
tests_test_context_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_test_context_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_steady
TESTS += tests/test_steady
tests_test_steady_SOURCES = tests/test_steady.c tests/conditions.h tests/models.h tests/models.c tests/npy.h tests/npy.c
tests_test_steady_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_test_steady_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_maps
TESTS += tests/test_maps
tests_test_maps_SOURCES = tests/test_maps.c tests/conditions.h
tests_test_maps_CFLAGS = $(TEST_CFLAGS)
tests_test_maps_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_plan
TESTS += tests/test_plan
tests_test_plan_SOURCES = tests/test_plan.c tests/conditions.h
tests_test_plan_CFLAGS = $(TEST_CFLAGS)
tests_test_plan_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_convert
TESTS += tests/test_convert
tests_test_convert_SOURCES = tests/test_convert.c tests/models.h tests/models.c tests/npy.h tests/npy.c
tests_test_convert_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_test_convert_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

# The catalogue of malformed inputs, against the program itself.
check_PROGRAMS += tests/test_hostile
TESTS += tests/test_hostile
tests_test_hostile_SOURCES = tests/test_hostile.c tests/conditions.h tests/hostile/hostile.h tests/hostile/make.c \
	tests/hostile/gguf.c tests/hostile/folder.c tests/hostile/tokenizer.c tests/hostile/picture.c \
	tests/hostile/flags.c tests/quant_files.h tests/quant_files.c
tests_test_hostile_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(ZLIB_CFLAGS)
tests_test_hostile_LDADD = $(TEST_LIBS) $(JANSSON_LIBS) $(ZLIB_LIBS)

check_PROGRAMS += tests/test_oracle
TESTS += tests/test_oracle
tests_test_oracle_SOURCES = tests/test_oracle.c tests/oracle.h tests/oracle.c
tests_test_oracle_CFLAGS = $(TEST_CFLAGS)
tests_test_oracle_LDADD = $(TEST_LIBS)

endif

EXTRA_DIST += tests/topologies tests/armhf

# The program as its users meet it, and its benchmarks: shell tests, which need no Criterion.
TESTS += tests/test_program.sh tests/test_bench.sh
EXTRA_DIST += tests/test_program.sh tests/test_bench.sh

# Many contexts on one model; a plain program, for ThreadSanitizer (configure --enable-sanitize=thread).
check_PROGRAMS += tests/threads
TESTS += tests/threads
tests_threads_SOURCES = tests/threads.c tests/conditions.h
tests_threads_CFLAGS = $(AM_CFLAGS)
tests_threads_LDADD = libtsr_all.la -lm

# All 50 prompts; make check and CI run a few.
.PHONY: check-threads
check-threads: tests/threads
	TSR_SRCDIR='$(abs_srcdir)' tests/threads '$(abs_srcdir)/model/mini/mini-janus-Q8_0.gguf' 8 50

# The program on a pseudo-terminal.
check_PROGRAMS += tests/test_terminal
TESTS += tests/test_terminal
tests_test_terminal_SOURCES = tests/test_terminal.c tests/conditions.h
tests_test_terminal_CFLAGS = $(AM_CFLAGS)

# The shipped model's results, as hashes. After a change of contract, on purpose: make update-golden.
check_PROGRAMS += tests/pixels
tests_pixels_SOURCES = tests/pixels.c
tests_pixels_LDADD = libtessera.la
TESTS += tests/test_golden.sh
EXTRA_DIST += tests/test_golden.sh tests/golden.txt

.PHONY: update-golden
update-golden: tessera tests/pixels
	$(AM_TESTS_ENVIRONMENT) $(srcdir)/tests/test_golden.sh --make >golden.new
	mv golden.new $(srcdir)/tests/golden.txt

# Instructions per tile line of the matmul kernels, from the disassembly, against the table beside them.
TESTS += tests/count_instructions.sh
EXTRA_DIST += tests/count_instructions.sh kernels/instructions.tsv

# make eval: scores the shipped model on its held-out set, in four formats made from its checkpoint.
EXTRA_PROGRAMS += tests/eval
CLEANFILES += tests/eval
tests_eval_SOURCES = tests/eval.c tests/oracle.h tests/oracle.c
tests_eval_CFLAGS = $(AM_CFLAGS)
tests_eval_LDADD = libtsr_all.la -lm

.PHONY: eval
eval: tests/eval tessera
	mkdir -p eval
	for type in f32 f16 q8_0 q4_0; do \
	    ./tessera convert $(srcdir)/model/mini/checkpoint -o eval/mini-janus-$$type.gguf --type $$type -q >/dev/null || exit 1; \
	done
	tests/eval $(srcdir)/model/mini/eval/set.tsv $(srcdir)/model/mini/eval/pictures.png \
	    eval/mini-janus-f32.gguf eval/mini-janus-f16.gguf eval/mini-janus-q8_0.gguf eval/mini-janus-q4_0.gguf

include tests/fuzz/local.mk
include tests/survive/local.mk
