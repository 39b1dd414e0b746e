# quant: number formats, tiles, GGUF and safetensors.
QUANT_LIBS = libtsr_quant.la
noinst_LTLIBRARIES += libtsr_quant.la
libtsr_quant_la_SOURCES = quant/checked.h quant/tile.c \
	quant/atomic.h quant/atomic.c quant/input.h quant/input.c quant/names.h quant/names.c \
	quant/gguf.h quant/gguf_parse.c quant/gguf_read.c quant/gguf_meta.c quant/gguf_write.c \
	quant/json.h quant/json.c quant/safetensors.h quant/safetensors.c quant/checkpoint.c
# Without traps gcc vectorizes the loops of tile.c; the values are the same, the time is a third.
libtsr_quant_la_CFLAGS = $(AM_CFLAGS) -fno-trapping-math $(JANSSON_CFLAGS) $(ZLIB_CFLAGS)
