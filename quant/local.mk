# quant: number formats, tiles, GGUF and safetensors.
QUANT_LIBS = libtsr_quant.la
noinst_LTLIBRARIES += libtsr_quant.la
libtsr_quant_la_SOURCES = quant/atomic.h quant/atomic.c
libtsr_quant_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(ZLIB_CFLAGS)
