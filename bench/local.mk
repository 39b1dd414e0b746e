# bench: shapes as data, the limits of the machine, kernel and model benchmarks. Public headers only.
BENCH_LIBS = libbench.la
noinst_LTLIBRARIES += libbench.la
libbench_la_SOURCES = bench/bench.h bench/limits.h bench/limits.c bench/handoff.h bench/handoff.c bench/sample.h bench/sample.c \
	bench/probe.h bench/cases.h bench/cases.c bench/kernels.c bench/onednn.h bench/onednn.c \
	bench/model.c
libbench_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
libbench_la_LIBADD = $(DNNL_LIBS)

if X86
BENCH_PROBES = libbench_avx2.la libbench_avxvnni.la libbench_avx512.la libbench_bf16.la libbench_amx.la
noinst_LTLIBRARIES += $(BENCH_PROBES)
libbench_avx2_la_SOURCES = bench/probe_avx2.c bench/probe_x86.inc
libbench_avx2_la_CFLAGS = $(AM_CFLAGS) $(AVX2_FLAGS)
libbench_avxvnni_la_SOURCES = bench/probe_avxvnni.c
libbench_avxvnni_la_CFLAGS = $(AM_CFLAGS) $(AVX2_FLAGS) -mavxvnni
libbench_avx512_la_SOURCES = bench/probe_avx512.c
libbench_avx512_la_CFLAGS = $(AM_CFLAGS) $(AVX512_FLAGS)
libbench_bf16_la_SOURCES = bench/probe_bf16.c
libbench_bf16_la_CFLAGS = $(AM_CFLAGS) $(AVX512_FLAGS) -mavx512bf16
libbench_amx_la_SOURCES = bench/probe_amx.c
libbench_amx_la_CFLAGS = $(AM_CFLAGS) $(AVX512_FLAGS) -mamx-tile -mamx-int8
libbench_la_LIBADD += $(BENCH_PROBES)
endif
if ARM
libbench_la_SOURCES += bench/probe_neon.c
endif

