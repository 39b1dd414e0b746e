# model: run -> families -> blocks; text and picture know none of the others.
MODEL_LIBS = libtsr_model.la libtsr_text.la libtsr_picture.la
noinst_LTLIBRARIES += libtsr_model.la libtsr_text.la libtsr_picture.la

libtsr_model_la_SOURCES = model/blocks/exec.h model/blocks/exec.c model/blocks/blocks.h model/blocks/linear.c \
	model/blocks/attention.c model/blocks/vq.c model/families/family.h model/families/families.c model/families/vq16.h model/families/vq16.c \
	model/families/janus.c model/run/run.h model/run/config.h model/run/config.c model/run/model.c \
	model/run/random.c model/run/reader.c model/run/context.h model/run/context.c model/run/steps.c \
	model/run/next.c model/run/probe.c model/run/convert.h model/run/source.c model/run/convert.c
libtsr_model_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

libtsr_text_la_SOURCES = model/text/text.h model/text/tokenizer.h model/text/utf8.c model/text/regex.c \
	model/text/tokenizer.c model/text/tokenizer_gguf.c model/text/tokenizer_json.c model/text/encode.c \
	model/text/template.c
libtsr_text_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(PCRE2_CFLAGS)

libtsr_picture_la_SOURCES = model/picture/picture.h model/picture/codec.h model/picture/png_memory.h model/picture/picture.c \
	model/picture/png_read.c model/picture/jpeg_read.c model/picture/read.c model/picture/png_write.c \
	model/picture/resize.c model/picture/prepare.c
libtsr_picture_la_CFLAGS = $(AM_CFLAGS) $(PNG_CFLAGS) $(JPEG_CFLAGS)
