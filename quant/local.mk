# quant: number formats, tiles, GGUF and safetensors.
QUANT_LIBS = libtsr_quant.la
noinst_LTLIBRARIES += libtsr_quant.la
libtsr_quant_la_SOURCES = quant/atomic.h quant/atomic.c quant/checked.h quant/tile.c
# Without traps gcc vectorizes the loops of tile.c (values are the same): packing q4_0 takes a third of the time.
libtsr_quant_la_CFLAGS = $(AM_CFLAGS) -fno-trapping-math $(JANSSON_CFLAGS) $(ZLIB_CFLAGS)
