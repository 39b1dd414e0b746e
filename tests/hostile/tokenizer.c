/*
 * tokenizer.c: cases of tokenizer.json, converted with the rest of a good folder; and of prompts.
 */
#include "hostile.h"

/* A small tokenizer.json; %s stands where a case writes. */
#define VOCABULARY "\"a\":0,\"b\":1,\"ab\":2"
#define TAIL ",\"decoder\":{\"type\":\"ByteLevel\"}}"
#define STEP "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{" VOCABULARY "},\"merges\":[[\"a\",\"b\"]]}"
#define WITH_MODEL(model) "{" STEP ",\"model\":" model TAIL
#define WITH_VOCAB(vocab) WITH_MODEL("{\"vocab\":{" vocab "},\"merges\":[]}")
#define WITH_MERGES(merges) WITH_MODEL("{\"vocab\":{" VOCABULARY "},\"merges\":" merges "}")
#define WITH_ADDED(added) "{\"added_tokens\":[" added "]," STEP "," MODEL TAIL
#define WITH_STEP(step) "{\"pre_tokenizer\":" step "," MODEL TAIL
#define WITH_SPLIT(regex)                                                                          \
    WITH_STEP("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"        \
              "\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\"}]}")
#define WITH(part) "{" part "," STEP "," MODEL TAIL

const struct hostile_case tokenizer_cases[] = {
    {"T01", "t" "" "\1", TSR_MALFORMED, "bad JSON at byte"},
    {"T01", "t" "[]" "\1", TSR_MALFORMED, "object"},
    {"T01", "t" "{" "\1", TSR_MALFORMED, "bad JSON at byte"},
    {"T01", "t" WITH_MODEL("{\"merges\":[]}") "\1", TSR_MALFORMED, "model.vocab"},
    {"T01", "t" WITH_MODEL("{\"vocab\":[],\"merges\":[]}") "\1", TSR_MALFORMED, "model.vocab"},
    {"T01", "t" WITH_MODEL("{\"vocab\":{" VOCABULARY "}}") "\1", TSR_MALFORMED, "model.merges"},
    {"T01", "t" WITH_MODEL("7") "\1", TSR_MALFORMED, "model"},
    {"T01", "t" WITH_MODEL("{\"type\":\"Unigram\"}") "\1", TSR_UNSUPPORTED, "Unigram"},
    {"T02", "t" WITH_VOCAB("\"a\":-1") "\1", TSR_MALFORMED, "\"a\" has id -1"},
    {"T02", "t" WITH_VOCAB("\"a\":2147483648") "\1", TSR_MALFORMED, "2147483648"},
    {"T02", "t" WITH_VOCAB("\"a\":0,\"b\":0") "\1", TSR_MALFORMED, "same id 0"},
    {"T02", "t" WITH_VOCAB("\"a\":0,\"b\":2") "\1", TSR_MALFORMED, "\"b\" has id 2"},
    {"T02", "t" WITH_VOCAB("\"a\":1.5") "\1", TSR_MALFORMED, "no integer"},
    {"T02", "t" WITH_VOCAB("\"a\":1e30") "\1", TSR_MALFORMED, "no integer"},
    {"T02", "t" WITH_VOCAB("\"a\\u001b[31m\\n\":9") "\1", TSR_MALFORMED, "a?[31m?"},
    {"T02", "t" WITH_VOCAB("\"a\":0,\"a\":1") "\1", TSR_MALFORMED, "duplicate"},
    {"T03", "t" WITH_MODEL("{\"byte_fallback\":true,\"vocab\":{\"<0x-1>\":0},\"merges\":[]}") "\1", TSR_UNSUPPORTED, "byte_fallback"},
    {"T04", "t" WITH_MERGES("[[\"a\",\"c\"]]") "\1", TSR_MALFORMED, "merge 0"},
    {"T04", "t" WITH_MERGES("[[\"b\",\"a\"]]") "\1", TSR_MALFORMED, "the result"},
    {"T04", "t" WITH_MERGES("[\"a b\",\"ab\"]") "\1", TSR_MALFORMED, "entry 1"},
    {"T04", "t" WITH_MERGES("[\"a b \"]") "\1", TSR_MALFORMED, "entry 0"},
    {"T04", "t" WITH_MERGES("[[\"a\"]]") "\1", TSR_MALFORMED, "entry 0"},
    {"T04", "t" WITH_MERGES("[7]") "\1", TSR_MALFORMED, "entry 0"},
    {"T05", "t" WITH_VOCAB("\"\":0") "\1", TSR_MALFORMED, "0 bytes"},
    {"T05", "t" WITH_ADDED("{\"id\":3,\"content\":\"\"}") "\1", TSR_MALFORMED, "0 bytes"},
    {"T06", "t" WITH_ADDED("{\"id\":4,\"content\":\"x\"}") "\1", TSR_MALFORMED, "id 4"},
    {"T06", "t" WITH_ADDED("{\"id\":3,\"content\":\"x\"},{\"id\":4,\"content\":\"x\"}") "\1", TSR_MALFORMED, "\"x\" occurs twice"},
    {"T06", "t" WITH_ADDED("{\"id\":3,\"content\":\"x\"},{\"id\":4,\"content\":\"x\",\"normalized\":true}") "\1", TSR_MALFORMED, "twice"},
    {"T06", "t" WITH_ADDED("{\"id\":1,\"content\":\"a\"}") "\1", TSR_MALFORMED, "\"a\" has id 1"},
    {"T06", "t" WITH_ADDED("{\"id\":0,\"content\":\"a\"},{\"id\":0,\"content\":\"a\"}") "\1", TSR_MALFORMED, "twice"},
    {"T06", "t" WITH_ADDED("{\"id\":3,\"content\":7}") "\1", TSR_MALFORMED, "content"},
    {"T06", "t" WITH_ADDED("{\"id\":3,\"content\":\"x\",\"special\":1}") "\1", TSR_MALFORMED, "special"},
    {"T07", "t" WITH_STEP("{\"type\":\"Metaspace\"}") "\1", TSR_UNSUPPORTED, "Metaspace"},
    {"T07", "t" WITH_STEP("{\"type\":\"Sequence\",\"pretokenizers\":[]}") "\1", TSR_UNSUPPORTED, "ByteLevel"},
    {"T07", "t" WITH_STEP("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{\"type\":" "\"Digits\"}]}") "\1", TSR_UNSUPPORTED, "after ByteLevel"},
    {"T07", "t" WITH_STEP("null") "\1", TSR_UNSUPPORTED, "pre_tokenizer"},
    {"T07", "t" WITH("\"normalizer\":{\"type\":\"NFKC\"}") "\1", TSR_UNSUPPORTED, "NFKC"},
    {"T07", "t" WITH("\"post_processor\":{\"type\":\"BertProcessing\"}") "\1", TSR_UNSUPPORTED, "BertProcessing"},
    {"T07", "t" "{" STEP "," MODEL "}" "\1", TSR_UNSUPPORTED, "decoder"},
    {"T07", "t" "{" STEP "," MODEL ",\"decoder\":{\"type\":\"Metaspace\"}}" "\1", TSR_UNSUPPORTED, "Metaspace"},
    {"T07", "t" WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":" "\"B\"}}]}") "\1", TSR_MALFORMED, "post_processor"},
    {"T07", "t" WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{" "\"id\":\"x\"}}]}") "\1", TSR_MALFORMED, "post_processor"},
    {"T07", "t" WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{" "\"id\":\"x\"}},{\"Sequence\":{" "\"id\":\"A\"}}],\"special_tokens\":{\"x\":{\"ids\":[3]}}}") "\1", TSR_MALFORMED, "id 3"},
    {"T08", "t" WITH_SPLIT("(?<=a*)b") "\1", TSR_UNSUPPORTED, "regular expression"},
    {"T08", "t" WITH_SPLIT("[a-z&&[^b]]") "\1", TSR_UNSUPPORTED, "class within a class"},
    {"T08", "t" WITH_SPLIT("(a)\\\\1") "\1", TSR_UNSUPPORTED, "escape"},
    {"T08", "t" WITH_SPLIT("(?<n>a)") "\1", TSR_UNSUPPORTED, "group"},
    {"T08", "t" WITH_SPLIT("a{2}+") "\1", TSR_UNSUPPORTED, "after braces"},
    {"T08", "t" WITH_SPLIT("(") "\1", TSR_UNSUPPORTED, "regular expression"},
    {"T08", "t" WITH_SPLIT("\\\\p{Nonsense}") "\1", TSR_UNSUPPORTED, "regular expression"},
    {"T08", "t" WITH_SPLIT("((((((((((((((((((((((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))" ")))))))))))))))))))))))") "\1", TSR_UNSUPPORTED, "nested too deep"},
    {"T11", "t" WITH_VOCAB("\"\\ud800\":0") "\1", TSR_MALFORMED, "byte"},
    {"T04 10^7 merges", "t{" STEP ",\"model\":{\"vocab\":{" VOCABULARY "},\"merges\":[0\1 *10000000{',0'} "
                        "t]}" TAIL "\1", 4, "more than 4194304 values"},
    {"T04 3,000,000 merges", "t{" STEP ",\"model\":{\"vocab\":{" VOCABULARY "},\"merges\":[0\1 "
                             "*3000000{',0'} t]}" TAIL "\1", 4, "model.merges"},
    {"T05 1 MB", "t{" STEP ",\"model\":{\"merges\":[],\"vocab\":{\"\1 *1048576{'x'} t\":0}}" TAIL "\1",
     4, "1048576 bytes"},
    {"T05 an added one of 2000 bytes", "t{\"added_tokens\":[{\"id\":3,\"content\":\"\1 *2000{'x'} t\"}],"
                                       STEP "," MODEL TAIL "\1", 5, "2000 bytes"},
    {"T08 1 MB", "t{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
                 "\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"\1 *1048576{'a'} t\"}},{\"type\":"
                 "\"ByteLevel\"}]}," MODEL TAIL "\1", 5, "1048576 bytes"},
    {"T08 10^6 repetitions", "t" WITH_SPLIT("a{1000000}") "\1", 5, "more than 1000 repetitions"},
    {"depth", "*100000{'['}", 4, "nested deeper than 128"},
    {"T03 byte tokens", "byte_fallback is not supported, so <0xZZ> is a token like any other; refused above "
                        "where it is asked for", DOES_NOT_APPLY, NULL},
    {"T12 chat template", "templates are eight strings that are joined: no loops, no macros; chat_template "
                          "of tokenizer_config.json is not read", DOES_NOT_APPLY, NULL},
    {0},
};
