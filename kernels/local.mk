# kernels: one convenience library per tier. ref needs FMA (SLEEF's purecfma); the floor has it.
KERNEL_LIBS = libtsr_kernels.la libtsr_ref.la
noinst_LTLIBRARIES += libtsr_kernels.la libtsr_ref.la

libtsr_kernels_la_SOURCES = kernels/impl.h kernels/dispatch.c kernels/error.c kernels/cpu.c \
	kernels/work.c 	kernels/fp_env.h kernels/par/chunk.h kernels/par/pool.h kernels/par/pool.c kernels/par/topo.c kernels/par/cgroup.c
libtsr_kernels_la_CFLAGS = $(AM_CFLAGS) $(HWLOC_CFLAGS)

libtsr_ref_la_SOURCES = kernels/half.h kernels/elementary.h kernels/ref/math_ref.h kernels/ref/math_ref.c kernels/ref/ref.h \
	kernels/ref/quantize_rows_ref.c kernels/ref/matmul_ref.c kernels/ref/gather_ref.c \
	kernels/ref/attention_ref.c kernels/ref/conv2d_ref.c kernels/ref/norm_ref.c kernels/ref/groupnorm_ref.c kernels/ref/rope_ref.c \
	kernels/ref/rows_ref.c kernels/ref/picture_ref.c kernels/ref/sample_ref.c
libtsr_ref_la_CFLAGS = $(AM_CFLAGS) $(SLEEF_CFLAGS)

# Bodies written once over the vector vocabulary of each tier (vec_<tier>.h).
VEC_SOURCES = kernels/vec/reduce.inc kernels/vec/norm.inc kernels/vec/map.inc kernels/vec/rows.inc kernels/vec/add.inc kernels/vec/elementary.inc kernels/vec/rope.inc \
	kernels/vec/chain.inc kernels/vec/attention.inc kernels/vec/attention_merge.inc kernels/vec/matmul_tf.inc kernels/vec/nearest.inc \
	kernels/vec/conv2d_tf.inc kernels/vec/groupnorm.inc kernels/vec/kv_store.inc \
	kernels/vec/gather.inc kernels/vec/sample.inc kernels/vec/resize.inc

# Bodies of the operators on t8 and t4, written once over the micro-kernel of each tier (tile_<tier>.h).
TILE_SOURCES = kernels/vec/quantize_rows.inc kernels/vec/quantize_blocks.inc \
	kernels/vec/quantize_part.inc kernels/vec/matmul_q.inc kernels/vec/conv2d_t8.inc \
	kernels/vec/tile_block.inc kernels/vec/tile_rows.h kernels/vec/tile_starts.h kernels/vec/tile_unroll.h

if X86
libtsr_ref_la_CFLAGS += -mfma

KERNEL_LIBS += libtsr_avx2.la libtsr_avxvnni.la libtsr_avx512.la libtsr_avx512x2.la libtsr_amx.la libtsr_bf16.la
noinst_LTLIBRARIES += libtsr_avx2.la libtsr_avxvnni.la libtsr_avx512.la libtsr_avx512x2.la libtsr_amx.la libtsr_bf16.la
AVX2_FLAGS = -mavx2 -mfma -mf16c -mbmi2 $(VZEROUPPER_FLAGS)
AVX512_FLAGS = $(AVX2_FLAGS) -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mavx512vnni \
	-mprefer-vector-width=512

libtsr_avx2_la_SOURCES = $(TILE_SOURCES) kernels/x86/tile_ymm.h kernels/x86/tile_avx2.h \
	kernels/x86/quantize_avx2.h
libtsr_avx2_la_SOURCES += kernels/x86/quantize_rows_avx2.c kernels/x86/matmul_t8_avx2.c \
	kernels/x86/matmul_t4_avx2.c kernels/x86/matmul_tf_avx2.c kernels/x86/nearest_avx2.c
libtsr_avx2_la_CFLAGS = $(AM_CFLAGS) $(SLEEF_CFLAGS) $(AVX2_FLAGS)

libtsr_avxvnni_la_SOURCES = kernels/x86/tile_avxvnni.h kernels/x86/matmul_t8_avxvnni.c \
	kernels/x86/matmul_t4_avxvnni.c
libtsr_avxvnni_la_CFLAGS = $(AM_CFLAGS) $(AVX2_FLAGS) -mavxvnni

libtsr_avx512_la_SOURCES = kernels/x86/tile_avx512.h kernels/x86/quantize_avx512.h
libtsr_avx512_la_SOURCES += kernels/x86/quantize_rows_avx512.c kernels/x86/matmul_t8_avx512.c \
	kernels/x86/matmul_t4_avx512.c kernels/x86/matmul_tf_avx512.c \
	kernels/x86/nearest_avx512.c
libtsr_avx512_la_CFLAGS = $(AM_CFLAGS) $(SLEEF_CFLAGS) $(AVX512_FLAGS)

libtsr_avx2_la_SOURCES += kernels/x86/vec_avx2.h $(VEC_SOURCES)
libtsr_avx2_la_SOURCES += kernels/x86/norm_avx2.c kernels/x86/rows_avx2.c kernels/x86/rope_avx2.c \
	kernels/x86/attention_avx2.c kernels/x86/conv2d_tf_avx2.c \
	kernels/x86/groupnorm_avx2.c
libtsr_avx512_la_SOURCES += kernels/x86/vec_avx512.h $(VEC_SOURCES)
libtsr_avx512_la_SOURCES += kernels/x86/norm_avx512.c kernels/x86/rows_avx512.c \
	kernels/x86/rope_avx512.c kernels/x86/conv2d_tf_avx512.c \
	kernels/x86/groupnorm_avx512.c kernels/x86/attention_avx512.c
libtsr_avx2_la_SOURCES += kernels/x86/conv2d_t8_avx2.c
libtsr_avxvnni_la_SOURCES += kernels/x86/conv2d_t8_avxvnni.c
libtsr_avx512_la_SOURCES += kernels/x86/conv2d_t8_avx512.c

libtsr_avx2_la_SOURCES += kernels/x86/kv_store_avx2.c kernels/x86/gather_avx2.c \
	kernels/x86/resize_avx2.c
libtsr_avx512_la_SOURCES += kernels/x86/kv_store_avx512.c
libtsr_avx512x2_la_SOURCES = kernels/x86/matmul_t8_avx512x2.c kernels/x86/matmul_t4_avx512x2.c \
	kernels/x86/conv2d_t8_avx512x2.c kernels/x86/attention_avx512x2.c
libtsr_avx512x2_la_CFLAGS = $(AM_CFLAGS) $(SLEEF_CFLAGS) $(AVX512_FLAGS) -mgfni
libtsr_amx_la_SOURCES = kernels/x86/tile_amx.h kernels/x86/matmul_amx.inc \
	kernels/x86/matmul_t8_amx.c kernels/x86/matmul_t4_amx.c kernels/x86/conv2d_t8_amx.c
libtsr_amx_la_CFLAGS = $(AM_CFLAGS) $(AVX512_FLAGS) -mgfni -mamx-tile -mamx-int8
libtsr_bf16_la_SOURCES = kernels/x86/products_bf16.c
libtsr_bf16_la_CFLAGS = $(AM_CFLAGS) $(SLEEF_CFLAGS) $(AVX512_FLAGS) -mavx512bf16
endif

if ARM
KERNEL_LIBS += libtsr_neon.la libtsr_neondot.la libtsr_i8mm.la
noinst_LTLIBRARIES += libtsr_neon.la libtsr_neondot.la libtsr_i8mm.la

libtsr_neon_la_SOURCES = kernels/arm/vec_neon.h kernels/arm/norm_neon.c kernels/arm/rope_neon.c \
	kernels/arm/rows_neon.c kernels/arm/attention_neon.c kernels/arm/conv2d_tf_neon.c \
	kernels/arm/groupnorm_neon.c kernels/arm/matmul_tf_neon.c kernels/arm/nearest_neon.c
libtsr_neon_la_CFLAGS = $(AM_CFLAGS) $(SLEEF_CFLAGS)

libtsr_neon_la_SOURCES += $(TILE_SOURCES) kernels/arm/tile_q.h kernels/arm/quantize_neon.h kernels/arm/tile_neon.h \
	kernels/arm/quantize_rows_neon.c kernels/arm/matmul_t8_neon.c kernels/arm/matmul_t4_neon.c \
	kernels/arm/conv2d_t8_neon.c
libtsr_neon_la_SOURCES += kernels/arm/kv_store_neon.c kernels/arm/gather_neon.c \
	kernels/arm/resize_neon.c

libtsr_neondot_la_SOURCES = kernels/arm/tile_neondot.h kernels/arm/matmul_t8_neondot.c \
	kernels/arm/matmul_t4_neondot.c kernels/arm/conv2d_t8_neondot.c kernels/arm/attention_neondot.c
libtsr_neondot_la_CFLAGS = $(AM_CFLAGS) $(SLEEF_CFLAGS) -march=armv8.2-a+dotprod

libtsr_i8mm_la_SOURCES = kernels/arm/tile_i8mm.h kernels/arm/matmul_t8_i8mm.c \
	kernels/arm/matmul_t4_i8mm.c kernels/arm/conv2d_t8_i8mm.c kernels/arm/attention_i8mm.c
libtsr_i8mm_la_CFLAGS = $(AM_CFLAGS) $(SLEEF_CFLAGS) -march=armv8.2-a+dotprod+i8mm
endif
