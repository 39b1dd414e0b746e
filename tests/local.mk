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
	tests/kernels/attention_cases.c tests/kernels/row_cases.c tests/kernels/sample_cases.c \
	tests/planted/planted.h tests/planted/planted.c
tests_test_kernels_CFLAGS = $(TEST_CFLAGS)
tests_test_kernels_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_par
TESTS += tests/test_par
tests_test_par_SOURCES = tests/test_par.c
tests_test_par_CFLAGS = $(TEST_CFLAGS)
tests_test_par_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_quant
TESTS += tests/test_quant
tests_test_quant_SOURCES = tests/test_quant.c tests/quant_gguf.c tests/quant_safetensors.c \
	tests/quant_files.h tests/quant_files.c
tests_test_quant_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_test_quant_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_text
TESTS += tests/test_text
tests_test_text_SOURCES = tests/test_text.c
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
tests_test_context_SOURCES = tests/test_context.c tests/models.h tests/models.c tests/npy.h tests/npy.c
tests_test_context_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_test_context_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/test_convert
TESTS += tests/test_convert
tests_test_convert_SOURCES = tests/test_convert.c tests/models.h tests/models.c tests/npy.h tests/npy.c
tests_test_convert_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_test_convert_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

check_PROGRAMS += tests/test_oracle
TESTS += tests/test_oracle
tests_test_oracle_SOURCES = tests/test_oracle.c tests/oracle.h tests/oracle.c
tests_test_oracle_CFLAGS = $(TEST_CFLAGS)
tests_test_oracle_LDADD = $(TEST_LIBS)

endif

EXTRA_DIST += tests/topologies

# The program as its users meet it, and its benchmarks: shell tests, which need no Criterion.
TESTS += tests/test_program.sh tests/test_bench.sh
EXTRA_DIST += tests/test_program.sh tests/test_bench.sh

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
