/*
 * folder.c: cases of checkpoint folders, converted by `tessera convert`: safetensors headers, the
 * index of shards, and the numbers of config.json and its like.
 */
#include "hostile.h"

/* A file with this header and `data` bytes; and one that declares another length. */
#define ST(json, data) "j" json "\1 z" #data
#define ST_LONG(length, json, data) "q" #length " t" json "\1 z" #data
/* A tensor "x" of two f32, which the first 8 bytes of the data hold. */
#define X "\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
/* A tensor "x" with a shape and a range. */
#define SHAPED(shape, range)                                                                       \
    "{\"x\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" range "}}"

/* A header that is right goes on to the next error: the tensors of the model are missing. */
const struct hostile_case safetensors_cases[] = {
    {"S01 empty", "", 4, "empty file"},
    {"S01 one byte", "b1", 4, "header too small: 1 bytes"},
    {"S01 seven bytes", "z7", 4, "header too small: 7 bytes"},
    {"S02 2^64-1", "q-1 z100", 4, "header too large: 18446744073709551615"},
    {"S02 2^63-1", ST_LONG(9223372036854775807, "{" X "}", 8), TSR_MALFORMED, "header too large"},
    {"S02 100000001", ST_LONG(100000001, "{" X "}", 8), TSR_MALFORMED, "header too large"},
    {"S02 past the end", ST_LONG(1000, "{" X "}", 8), TSR_MALFORMED, "header too large"},
    {"S03", ST_LONG(0, "{" X "}", 8), TSR_MALFORMED, "empty header"},
    {"S04", ST("{\"\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8), TSR_MALFORMED, "UTF-8"},
    {"S05 {", ST("{", 0), TSR_MALFORMED, "bad JSON at byte"},
    {"S05 []", ST("[]", 0), TSR_MALFORMED, "does not begin with '{'"},
    {"S05 null", ST("null", 0), TSR_MALFORMED, "does not begin with '{'"},
    {"S05 comma", ST("{" X ",}", 8), TSR_MALFORMED, "bad JSON at byte"},
    {"S05 two roots", ST("{}{}", 0), TSR_MALFORMED, "bad JSON at byte"},
    {"S06 blank first", ST(" {" X "}", 8), TSR_MALFORMED, "does not begin with '{'"},
    {"S06 blanks last", ST("{" X "}   ", 8), TSR_MALFORMED, "tensor model."},
    {"S07", ST("{" X ",\"x\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]}}", 8), TSR_MALFORMED, "duplicate"},
    {"S08", ST("{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8), TSR_MALFORMED, "duplicate"},
    {"S09", ST(SHAPED("[2]", "[8,0]"), 8), TSR_MALFORMED, "'x': bad offsets: the end is before"},
    {"S10", ST("{" X ",\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8), TSR_MALFORMED, "overlap"},
    {"S11", ST("{" X ",\"y\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}", 8), TSR_MALFORMED, "'y': overlap"},
    {"S11 at the edges", ST("{" X
     ",\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\"b\":{\"dtype\":\"F32\","
     "\"shape\":[3,0],\"data_offsets\":[8,8]}}", 8), TSR_MALFORMED, "tensor model."},
    {"S12", ST("{" X ",\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", 16), TSR_MALFORMED, "'y': hole"},
    {"S12 at the begin", ST(SHAPED("[1]", "[4,8]"), 8), TSR_MALFORMED, "'x': hole"},
    {"S13", ST("{" X "}", 9), TSR_MALFORMED, "trailing data: 1 bytes"},
    {"S14", ST("{" X "}", 6), TSR_MALFORMED, "truncated: tensor 'x' ends at byte 8 of the data, there are 6"},
    {"S15", ST(SHAPED("[3]", "[0,8]"), 8), TSR_MALFORMED, "'x': 8 bytes, its shape takes 12"},
    {"S16 2^64-2", ST(SHAPED("[2,18446744073709551614]", "[0,8]"), 8), TSR_MALFORMED, "too big integer"},
    {"S16 2^63-1", ST(SHAPED("[2,9223372036854775807]", "[0,8]"), 8), TSR_MALFORMED, "'x': overflow"},
    {"S16 bytes", ST(SHAPED("[4611686018427387904]", "[0,0]"), 8), TSR_MALFORMED, "'x': overflow"},
    {"S16 beside 0", ST(SHAPED("[0,9223372036854775807,4]", "[0,0]"), 0), TSR_MALFORMED, "tensor model."},
    {"S17 1.5", ST(SHAPED("[1.5]", "[0,8]"), 8), TSR_MALFORMED, "'x': bad shape"},
    {"S17 -1", ST(SHAPED("[-1]", "[0,8]"), 8), TSR_MALFORMED, "'x': bad shape"},
    {"S17 1e3", ST(SHAPED("[1e3]", "[0,8]"), 8), TSR_MALFORMED, "'x': bad shape"},
    {"S17 text", ST(SHAPED("[\"2\"]", "[0,8]"), 8), TSR_MALFORMED, "'x': bad shape"},
    {"S17 9 dims", ST(SHAPED("[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8), TSR_MALFORMED, "'x': bad shape"},
    {"S17 no array", ST(SHAPED("2", "[0,8]"), 8), TSR_MALFORMED, "'x': bad shape"},
    {"S18 unknown", ST("{\"x\":{\"dtype\":\"F8_E9\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8), TSR_UNSUPPORTED, "'x': dtype 'F8_E9'"},
    {"S18 a number", ST("{\"x\":{\"dtype\":7,\"shape\":[8],\"data_offsets\":[0,8]}}", 8), TSR_MALFORMED, "'x': bad dtype"},
    {"S19 real", ST(SHAPED("[2]", "[0,8.0]"), 8), TSR_MALFORMED, "'x': bad offsets"},
    {"S19 1e18", ST(SHAPED("[2]", "[0,1e18]"), 8), TSR_MALFORMED, "'x': bad offsets"},
    {"S19 2^53+1", ST(SHAPED("[2]", "[9007199254740993,9007199254741001]"), 8), TSR_MALFORMED, "9007199254741001"},
    {"S19 three", ST(SHAPED("[2]", "[0,8,8]"), 8), TSR_MALFORMED, "'x': bad offsets"},
    {"S20 nested", ST("{\"__metadata__\":{\"a\":{}}," X "}", 8), TSR_MALFORMED, "__metadata__"},
    {"S20 no object", ST("{\"__metadata__\":1," X "}", 8), TSR_MALFORMED, "__metadata__"},
    {"S20 good", ST("{\"__metadata__\":{\"format\":\"pt\"}," X "}", 8), TSR_MALFORMED, "tensor model."},
    {"a field too many", ST("{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"a\":1}}", 8), TSR_MALFORMED, "'x': an object of"},
    {"no object", ST("{\"x\":[]}", 0), TSR_MALFORMED, "'x': an object of"},
    {"name with ESC", ST("{\"a\\u001b[31m\":7}", 0), TSR_MALFORMED, "'a?[31m'"},
    {"name with NUL", ST("{\"a\\u0000\":7}", 0), TSR_MALFORMED, "bad JSON"},
    {"no tensors", ST("{}", 0), TSR_MALFORMED, "tensor model."},
    {"S20 50 MB", "q50000000 '{\"__metadata__\":{\"a\":\"' *500000{'" /* 100 bytes */
     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
     "'} '\"}}'", 5, "header too large"},
    {"F02 an LFS pointer", "'version https://git-lfs.github.com/spec/v1' z9", 4, "Git LFS pointer"},
    {"F02 a web page", "'<!DOCTYPE html>' z100", 4, "web page"},
    {"F02 a zip", "'PK\\x03\\x04' z100", 4, "zip archive or PyTorch pickle"},
    {"F02 a pickle", "'\\x80\\x04\\x95' z100", 4, "Python pickle"},
    {"F02 a GGUF file", "'GGUF' d3 z100", 4, "it is a GGUF file"},
    {0},
};

#define MAP(file) "t{\"weight_map\":{\"model.language_model.embed_tokens.weight\":" file "}}\1"
const struct hostile_case index_cases[] = {
    {"S21 ..", MAP("\"../x.safetensors\""), 4, "../x.safetensors"},
    {"S21 absolute", MAP("\"/etc/passwd\""), 4, "/etc/passwd"},
    {"S21 a link out of the folder", MAP("\"link.safetensors\""), 4, "link.safetensors"},
    {"S21 NUL", MAP("\"a\\u0000b\""), 4, "model.safetensors.index.json"},
    {"S21 empty", MAP("\"\""), 4, ""},
    {"S21 no text", MAP("7"), 4, "weight_map"},
    {"S22 a missing shard", MAP("\"absent.safetensors\""), 3, "absent.safetensors"},
    {"S22 a shard lacks it", MAP("\"model-00002-of-00002.safetensors\""), 4,
     "model-00002-of-00002.safetensors"},
    {"S22 in two shards",
     "t{\"weight_map\":{\"model.language_model.embed_tokens.weight\":\"copy.safetensors\",\"a\":"
     "\"model-00001-of-00002.safetensors\"}}\1", 4, "copy.safetensors"},
    {"index without map", "t{}\1", 4, "weight_map"},
    {"index with a map that is none", "t{\"weight_map\":[]}\1", 4, "weight_map"},
    {"index nested", "t{\"weight_map\":\1 *100000{'['}", 4, "nested deeper than 128"},
    {"index twice", "t{\"weight_map\":{},\"weight_map\":{}}\1", 4, "duplicate"},
    {0},
};

#define JANUS "\"model_type\":\"janus\""
const struct hostile_case config_cases[] = {
    {"C01 empty", "", 4, "config.json"},
    {"C01 no object", "t[1, 2]\1", 4, "config.json: bad JSON"},
    {"C01 byte order mark", "xEFBBBF '{}'", 4, "config.json: bad JSON"},
    {"C01 200 MB", "'{\"a\":\"' *2000000{'" /* 100 bytes */
     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
     "'} '\"}'", 4, "the limit is"},
    {"C01 cut", "t{" JANUS "\1", 4, "config.json: bad JSON"},
    {"C02 100,000 arrays", "t{\"a\":\1 *100000{'['}", 4, "nested deeper than 128"},
    {"C03 1e400", "t{" JANUS ",\"hidden_size\":1e400}\1", 4, "config.json"},
    {"C09 NaN", "t{" JANUS ",\"text_config\":{\"rms_norm_eps\":NaN}}\1", 4, "config.json"},
    {"C14 twice", "t{" JANUS "," JANUS "}\1", 4, "duplicate"},
    {"no model_type", "t{}\1", 4, "model_type"},
    {"a value too many", "t{\"a\":[0\1 *5000000{',0'} ']}'", 4, "more than 4194304 values"},
    {"F02 an LFS pointer", "'version https://git-lfs.github.com/spec/v1'", 4, "config.json"},
    {0},
};

/* FILE PATH VALUE: what is set in a file of JSON; the value - takes it away. */
const struct hostile_case number_cases[] = {
    {"C03 hidden_size 0", "config.json text_config.hidden_size 0", TSR_MALFORMED, "hidden_size"},
    {"C03 hidden_size -1", "config.json text_config.hidden_size -1", TSR_MALFORMED, "hidden_size"},
    {"C03 hidden_size 4096", "config.json text_config.hidden_size \"4096\"", TSR_MALFORMED, "hidden_size"},
    {"C03 hidden_size 40.5", "config.json text_config.hidden_size 40.5", TSR_MALFORMED, "hidden_size"},
    {"C03 hidden_size null", "config.json text_config.hidden_size null", TSR_MALFORMED, "hidden_size"},
    {"C03 hidden_size -", "config.json text_config.hidden_size -", TSR_MALFORMED, "523 x 4096"},
    {"C03 hidden_size 42", "config.json text_config.hidden_size 42", TSR_MALFORMED, "523 x 42"},
    {"C04 num_attention_heads 0", "config.json text_config.num_attention_heads 0", TSR_MALFORMED, "num_attention_heads"},
    {"C04 num_attention_heads 7", "config.json text_config.num_attention_heads 7", TSR_MALFORMED, "num_attention_heads"},
    {"C05 num_key_value_heads 2", "config.json text_config.num_key_value_heads 2", TSR_MALFORMED, "num_key_value_heads"},
    {"C05 num_key_value_heads 10", "config.json text_config.num_key_value_heads 10", TSR_MALFORMED, "num_key_value_heads"},
    {"C06 num_hidden_layers 2147483648", "config.json text_config.num_hidden_layers 2147483648", TSR_MALFORMED, "num_hidden_layers"},
    {"C06 num_hidden_layers 100000", "config.json text_config.num_hidden_layers 100000", TSR_MALFORMED, "num_hidden_layers"},
    {"C06 num_hidden_layers 3", "config.json text_config.num_hidden_layers 3", TSR_MALFORMED, "layers.2."},
    {"C07 vocab_size 600", "config.json text_config.vocab_size 600", TSR_MALFORMED, "523"},
    {"C07 vocab_size 100", "config.json text_config.vocab_size 100", TSR_MALFORMED, "100"},
    {"C08 max_position_embeddings 4611686018427387904", "config.json text_config.max_position_embeddings 4611686018427387904", TSR_MALFORMED, "max_position_embeddings"},
    {"C09 rms_norm_eps 0", "config.json text_config.rms_norm_eps 0", TSR_MALFORMED, "rms_norm_eps"},
    {"C09 rms_norm_eps -1e-6", "config.json text_config.rms_norm_eps -1e-6", TSR_MALFORMED, "rms_norm_eps"},
    {"C10 rope_theta 0", "config.json text_config.rope_theta 0", TSR_MALFORMED, "rope_theta"},
    {"C10 rope_scaling {type: linear, factor: 0}", "config.json text_config.rope_scaling {\"type\": \"linear\", \"factor\": 0}", TSR_UNSUPPORTED, "rope_scaling"},
    {"hidden_act relu", "config.json text_config.hidden_act \"relu\"", TSR_UNSUPPORTED, "hidden_act"},
    {"attention_bias true", "config.json text_config.attention_bias true", TSR_UNSUPPORTED, "attention_bias"},
    {"C16 sliding_window -5", "config.json text_config.sliding_window -5", TSR_UNSUPPORTED, "sliding_window"},
    {"C11 patch_size 0", "config.json vision_config.patch_size 0", TSR_MALFORMED, "patch_size"},
    {"C11 image_size 19", "config.json vision_config.image_size 19", TSR_MALFORMED, "image_size"},
    {"C05 num_attention_heads 5", "config.json vision_config.num_attention_heads 5", TSR_MALFORMED, "vision hidden_size"},
    {"depth 3", "config.json vision_config.depth 3", TSR_UNSUPPORTED, "depth"},
    {"num_embeddings 1", "config.json vq_config.num_embeddings 1", TSR_MALFORMED, "num_embeddings"},
    {"double_latent true", "config.json vq_config.double_latent true", TSR_UNSUPPORTED, "double_latent"},
    {"C12 model_type gpt5", "config.json model_type \"gpt5\"", TSR_UNSUPPORTED, "gpt5"},
    {"C12 model_type 7", "config.json model_type 7", TSR_MALFORMED, "model_type"},
    {"C13 image_token_id 523", "config.json image_token_id 523", TSR_MALFORMED, "image_token_id"},
    {"C13 eos_token_id -5", "config.json text_config.eos_token_id -5", TSR_MALFORMED, "eos_token_id"},
    {"C13 eos_token_id [1, 2, 9999]", "config.json text_config.eos_token_id [1, 2, 9999]", TSR_MALFORMED, "eos_token_id"},
    {"C13 eos_token_id 100000", "generation_config.json eos_token_id 100000", TSR_MALFORMED, "eos_token_id"},
    {"guidance_scale 5", "generation_config.json guidance_scale \"5\"", TSR_MALFORMED, "guidance_scale"},
    {"guidance_scale -1", "generation_config.json guidance_scale -1", TSR_MALFORMED, "guidance_scale"},
    {"min_size 0", "preprocessor_config.json min_size 0", TSR_MALFORMED, "min_size"},
    {"image_std [0.5, 0, 0.5]", "preprocessor_config.json image_std [0.5, 0, 0.5]", TSR_MALFORMED, "image_std"},
    {"image_mean [0.5, 0.5]", "preprocessor_config.json image_mean [0.5, 0.5]", TSR_MALFORMED, "image_mean"},
    {"rescale_factor 0.5", "preprocessor_config.json rescale_factor 0.5", TSR_UNSUPPORTED, "rescale_factor"},
    {"height 99", "preprocessor_config.json size.height 99", TSR_MALFORMED, "size.height"},
    {"C10 rope factor 0",
     "config.json text_config.rope_scaling {\"rope_type\":\"linear\",\"factor\":0}", 5, "rope_scaling"},
    {"C13 70 ids",
     "config.json text_config.eos_token_id [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
     "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
     4, "eos_token_id"},
    {"C15 a quantized checkpoint", "config.json quantization_config {\"bits\":3,\"group_size\":0}", 5,
     "quantization_config"},
    {"C16 experts", "no family has experts", DOES_NOT_APPLY, NULL},
    {"T14 three numbers that differ", "config.json text_config.vocab_size 522", 4, "52"},
    {0},
};
