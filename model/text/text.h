/*
 * text.h: text to token ids and back, and the prompt format of a conversation. Private to model/;
 * knows nothing of layers, caches or pictures' pixels.
 *
 * The tokenizer is a byte-level BPE as the library `tokenizers` runs it: added tokens are cut out
 * first, the rest goes through the steps of the pre-tokenizer, then each piece is merged by rank.
 * It is made from a tokenizer.json (convert) or from the metadata of a GGUF file (run), so that
 * running needs no JSON.
 *
 * A prompt is one text whose spans are marked as template or as user text. It is split and merged
 * as a whole, because "role: " + "a fox" and "role: a fox" have different ids, but control tokens
 * (roles, picture placeholder, begin and end of sentence) are recognized only where a template
 * wrote them: a user who types "<|Assistant|>" gets the letters.
 *
 * Metadata in a GGUF file, written by tsr_tokenizer_store and read by tsr_tokenizer_load:
 *
 *   tokenizer.ggml.model           "gpt2"
 *   tokenizer.ggml.tokens          strings by id, as they stand in tokenizer.json
 *   tokenizer.ggml.token_type      i32 by id: 1 normal, 3 control, 4 user-defined
 *   tokenizer.ggml.merges          strings "left right" by rank
 *   tessera.tokenizer.steps        strings: the pre-tokenizer, see tokenizer.c
 *   tessera.tokenizer.added        u32: ids of the added tokens
 *   tessera.tokenizer.added_flags  u8, one per added token: bits of enum tsr_added
 *   tessera.tokenizer.prefix       u32: ids put before a text (begin of sentence)
 *   tessera.tokenizer.suffix       u32: ids put behind it; both may be absent
 *   tessera.tokenizer.whole_words  u32 0 or 1: an entry is never merged (ignore_merges)
 *
 * tokenizer.ggml.bos_token_id, eos_token_id and the like are the converter's to write.
 */
#ifndef TSR_TEXT_H
#define TSR_TEXT_H

#include "quant.h"

/* ---- a text in spans ---- */

enum tsr_span_kind {
    TSR_SPAN_TEMPLATE, /* added tokens are recognized */
    TSR_SPAN_USER      /* control tokens are letters */
};

struct tsr_span {
    size_t end; /* in bytes; a span begins where the one before ends */
    enum tsr_span_kind kind;
};

/* A growing text; {0} is the empty one. Any bytes: ill-formed UTF-8 is read as U+FFFD, one per
 * maximal part. */
struct tsr_text {
    char *bytes;
    size_t size, room;
    struct tsr_span *spans;
    size_t span_count, span_room;
};

tsr_status tsr_text_add(struct tsr_text *text, const char *bytes, size_t count,
                        enum tsr_span_kind kind, struct tsr_error *error);
void tsr_text_clear(struct tsr_text *text); /* empty again, keeps its memory */
void tsr_text_free(struct tsr_text *text);

/* ---- tokenizer ---- */

enum tsr_added {
    TSR_ADDED_SPECIAL = 1, /* left out by decode with skip_special */
    TSR_ADDED_LSTRIP = 2,  /* takes the white space before it along */
    TSR_ADDED_RSTRIP = 4,
    TSR_ADDED_WORD = 8,        /* only where no word character touches it */
    TSR_ADDED_NORMALIZED = 16, /* looked for after the others */
    TSR_ADDED_VOCABULARY = 32  /* is an entry of the vocabulary, too: merges may lead to it */
};

/* Immutable once made (tsr_tokenizer_control aside); may be used by any number of threads. */
typedef struct tsr_tokenizer tsr_tokenizer;

/*
 * From the bytes of a tokenizer.json. TSR_MALFORMED names the field; TSR_UNSUPPORTED names what
 * this version does not handle (models other than byte-level BPE, normalizers, unknown
 * pre-tokenizers and decoders, ...).
 */
tsr_status tsr_tokenizer_from_json(tsr_tokenizer **tokenizer, const char *json, size_t bytes,
                                   struct tsr_error *error);
/* From a GGUF file, which may be closed afterwards. The same errors. */
tsr_status tsr_tokenizer_load(tsr_tokenizer **tokenizer, const tsr_gguf *file,
                              struct tsr_error *error);
tsr_status tsr_tokenizer_store(const tsr_tokenizer *tokenizer, tsr_gguf_writer *writer,
                               struct tsr_error *error);
void tsr_tokenizer_free(tsr_tokenizer *tokenizer); /* NULL allowed */

/* Number of ids: they are 0 .. size - 1. To be compared with the rows of the embedding. */
size_t tsr_tokenizer_size(const tsr_tokenizer *tokenizer);
/* Id of an added token, or of a vocabulary entry (as it stands in tokenizer.json); -1: there is
 * none. */
int32_t tsr_tokenizer_id(const tsr_tokenizer *tokenizer, const char *text);
/* Text of an id, any bytes, owned by the tokenizer; an id out of range gives an empty one. */
struct tsr_slice tsr_tokenizer_bytes(const tsr_tokenizer *tokenizer, int32_t id);
int tsr_tokenizer_is_special(const tsr_tokenizer *tokenizer, int32_t id);
/*
 * Makes an added token a control token even if its file does not call it special; special ones are.
 * For the converter, before tsr_tokenizer_store: role names, picture tokens. A text that is no
 * added token is ignored.
 */
void tsr_tokenizer_control(tsr_tokenizer *tokenizer, const char *text);

/* Ids of a text; with prefix and suffix ids if add_special. The caller frees *ids. TSR_MEMORY,
 * TSR_UNSUPPORTED (a regular expression that needs too much work on this text). */
tsr_status tsr_tokenizer_encode(const tsr_tokenizer *tokenizer, const struct tsr_text *text,
                                int add_special, int32_t **ids, size_t *count,
                                struct tsr_error *error);
/* Text of ids as well-formed UTF-8, zero-terminated; unknown ids are left out. The caller frees
 * *text. */
tsr_status tsr_tokenizer_decode(const tsr_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                int skip_special, char **text, size_t *bytes,
                                struct tsr_error *error);

/*
 * UTF-8 from a stream of bytes that may be cut anywhere, as tokens cut it: {0} at the start.
 * Feeding writes whole characters to `out` (room for 3 * (count + 3) bytes), U+FFFD for each
 * maximal ill-formed part, and keeps an unfinished character for the next call; last: nothing is
 * kept. Returns the bytes written.
 */
struct tsr_utf8 {
    unsigned char kept[4];
    size_t count;
};
size_t tsr_utf8_feed(struct tsr_utf8 *state, const char *bytes, size_t count, int last, char *out);

/* ---- prompt format ---- */

/*
 * A conversation is
 *
 *   [system system_end] { user [picture]* content user_end reply <generated> reply_end }
 *
 * and a drawing ends in `draw` where the reply would be generated. All strings are owned
 * (tsr_template_free) and stand in the file under tessera.template.<field>.
 */
struct tsr_template {
    char *system;     /* the default system text, may be "" */
    char *system_end; /* "\n\n" */
    char *user;       /* "<|User|>: " */
    char *picture;    /* "<image_placeholder>\n", once per picture, before the content */
    char *user_end;   /* "\n\n" */
    char *reply;      /* "<|Assistant|>:" */
    char *reply_end;  /* the end-of-sentence token */
    char *draw;       /* "<begin_of_image>" */
};

/* What differs between models of the `deepseek` conversation format (Janus). */
struct tsr_deepseek {
    const char *system, *user, *assistant, *end_of_sentence, *placeholder, *begin_of_picture;
};
tsr_status tsr_template_deepseek(struct tsr_template *format, const struct tsr_deepseek *names,
                                 struct tsr_error *error);
tsr_status tsr_template_load(struct tsr_template *format, const tsr_gguf *file,
                             struct tsr_error *error);
tsr_status tsr_template_store(const struct tsr_template *format, tsr_gguf_writer *writer,
                              struct tsr_error *error);
void tsr_template_free(struct tsr_template *format);

/*
 * Append to a text, which is then encoded as a whole (cut only before a new conversation or after
 * reply_end):
 *
 *   system   the system text; NULL: the default one; "": none, not even its end
 *   user     a turn: `pictures` placeholders, the content without white space at both ends, the end
 *   reply    the head of the reply; draw: also the token that begins a picture
 *   end      what closes a reply that was generated
 */
tsr_status tsr_template_system(const struct tsr_template *format, struct tsr_text *text,
                               const char *system, struct tsr_error *error);
tsr_status tsr_template_user(const struct tsr_template *format, struct tsr_text *text,
                             const char *content, size_t pictures, struct tsr_error *error);
tsr_status tsr_template_reply(const struct tsr_template *format, struct tsr_text *text, int draw,
                              struct tsr_error *error);
tsr_status tsr_template_end(const struct tsr_template *format, struct tsr_text *text,
                            struct tsr_error *error);

#endif
