/*
 * janus.c: Janus and Janus-Pro (DeepSeek): a Llama that reads pictures through a SigLIP tower and draws them as
 * codes of a VQ-16 tokenizer.
 *
 * Sources: arXiv 2410.13848 and 2501.17811; the authors' code (deepseek-ai/Janus, "official" names) and the
 * transformers classes JanusForConditionalGeneration ("library" names). The two differ in names, in one fused
 * matrix (qkv of the tower) and in what config.json says: the official one leaves the tower's and the VQ's
 * sizes to tables in its source, so here they follow from tensor shapes.
 *
 * Things that are easy to get wrong: the tower's GELU is the erf form and its final norm is applied; its pooling head
 * is not used; gen.embd (what the Llama reads) and vq.codebook are two tables; the codebook's rows are
 * normalized, when encoding the latents too (the library port forgets both there); the VQ decoder's level 0 is
 * the lowest resolution.
 */
#include "families/family.h"

enum { LAYERS_MAX = 256, LEVELS_MAX = TSR_LIST_MAX, BLOCKS_MAX = 4 };

/* ---- configuration --------------------------------------------------------------------------------------------- */

struct janus_config {
    uint32_t vocabulary, width, hidden, layers, heads, kv_heads, d, context;
    float eps, theta;
    uint32_t see_width, see_hidden, see_layers, see_heads, see_side, see_patch;
    float see_eps;
    uint32_t codebook, code_width, latent, base, blocks;
    struct tsr_list channels; /* of each level, highest resolution first */
};

#define AT(member) offsetof(struct janus_config, member)
#define TEXT(name) "text_config." name, "language_config." name
#define VQ_SHAPE(name) "model.vqmodel." name, "gen_vision_model." name
#define TOWER "vision_model.vision_tower."
#define U32 TSR_FIELD_U32
#define F32 TSR_FIELD_F32
#define MUST TSR_FIELD_MUST

/* Fallbacks are those of LlamaConfig and JanusVisionConfig; 0: derived by check(). */
static const struct tsr_field fields[] = {
    {U32, AT(vocabulary), "vocab_size", TEXT("vocab_size"), 2, 1 << 20, 32000, NULL},
    {U32, AT(width), "embedding_length", TEXT("hidden_size"), 2, 1 << 16, 4096, NULL},
    {U32, AT(hidden), "feed_forward_length", TEXT("intermediate_size"), 1, 1 << 18, 11008, NULL},
    {U32, AT(layers), "block_count", TEXT("num_hidden_layers"), 1, LAYERS_MAX, 32, NULL},
    {U32, AT(heads), "attention.head_count", TEXT("num_attention_heads"), 1, 1024, 32, NULL},
    {U32, AT(kv_heads), "attention.head_count_kv", TEXT("num_key_value_heads"), 1, 1024, 0, NULL},
    {U32, AT(d), "attention.key_length", TEXT("head_dim"), 2, TSR_HEAD_MAX, 0, NULL},
    {U32, AT(context), "context_length", TEXT("max_position_embeddings"), 2, 1 << 24, 2048, NULL},
    {F32, AT(eps), "attention.layer_norm_rms_epsilon", TEXT("rms_norm_eps"), 1e-12, 1, 1e-6, NULL},
    {F32, AT(theta), "rope.freq_base", "text_config.rope_parameters.rope_theta|text_config.rope_theta",
     "language_config.rope_theta", 1, 1e9, 10000, NULL},
    {MUST, 0, NULL, TEXT("hidden_act"), 0, 0, 0, "silu"},
    {MUST, 0, NULL, TEXT("attention_bias"), 0, 0, 0, "false"},
    {MUST, 0, NULL, TEXT("mlp_bias"), 0, 0, 0, "false"},
    {MUST, 0, NULL, TEXT("sliding_window"), 0, 0, 0, ""},
    {MUST, 0, NULL, "text_config.rope_parameters.rope_type|text_config.rope_scaling",
     "language_config.rope_scaling", 0, 0, 0, "default"},

    {U32, AT(see_width), "vision.embedding_length", "vision_config.hidden_size",
     "aligner_config.params.input_dim", 1, 1 << 16, 1024, NULL},
    {U32, AT(see_hidden), "vision.feed_forward_length",
     "model.vision_model.encoder.layers.0.mlp.fc1.weight@0", TOWER "blocks.0.mlp.fc1.weight@0", 1,
     1 << 18, -1, NULL},
    {U32, AT(see_layers), "vision.block_count", "vision_config.num_hidden_layers",
     TOWER "blocks.#.norm1.weight@", 1, LAYERS_MAX, 24, NULL},
    {U32, AT(see_heads), "vision.attention.head_count", "vision_config.num_attention_heads", "", 1, 1024,
     0, NULL},
    {U32, AT(see_side), "vision.image_size", "vision_config.image_size",
     "vision_config.params.image_size", 1, 8192, 384, NULL},
    {U32, AT(see_patch), "vision.patch_size", "vision_config.patch_size",
     TOWER "patch_embed.proj.weight@2", 1, 256, 16, NULL},
    {F32, AT(see_eps), "vision.attention.layer_norm_epsilon", "vision_config.layer_norm_eps", "", 1e-12,
     1, 1e-6, NULL},
    {MUST, 0, NULL, "vision_config.hidden_act", "", 0, 0, 0, "gelu"},
    {MUST, 0, NULL, "vision_config.attention_bias", "", 0, 0, 0, "true"},
    {MUST, 0, NULL, "vision_config.use_qk_norm", "", 0, 0, 0, "false"},
    {MUST, 0, NULL, "vision_config.num_channels", "", 0, 0, 0, "3"},
    {MUST, 0, NULL, "vision_config.depth", "aligner_config.params.depth", 0, 0, 0, "2"},
    {MUST, 0, NULL, "", "vision_config.params.select_layer", 0, 0, 0, "-1"},
    {MUST, 0, NULL, "", "aligner_config.params.projector_type", 0, 0, 0, "mlp_gelu"},

    {U32, AT(codebook), "vq.codebook_size", "vq_config.num_embeddings",
     "gen_vision_config.params.image_token_size", 2, 1 << 20, 16384, NULL},
    {U32, AT(code_width), "vq.code_length", "vq_config.embed_dim", "gen_vision_config.params.n_embed", 1,
     4096, 8, NULL},
    {U32, AT(latent), "vq.latent_length", VQ_SHAPE("post_quant_conv.weight@0"), 1, 4096, -1, NULL},
    {U32, AT(base), "vq.base_length", VQ_SHAPE("encoder.conv_in.weight@0"), TSR_VQ_GROUPS, 4096, -1, NULL},
    {TSR_FIELD_LIST, AT(channels), "vq.level_lengths",
     "model.vqmodel.encoder.down.#.block.0.conv1.weight@0",
     "gen_vision_model.encoder.conv_blocks.#.res.0.conv1.weight@0", TSR_VQ_GROUPS, 4096, -1, NULL},
    {U32, AT(blocks), "vq.block_count", "model.vqmodel.encoder.down.0.block.#.conv1.weight@",
     "gen_vision_model.encoder.conv_blocks.0.res.#.conv1.weight@", 1, BLOCKS_MAX, -1, NULL},
    {MUST, 0, NULL, "vq_config.hidden_act", "", 0, 0, 0, "gelu"},
    {MUST, 0, NULL, "vq_config.double_latent", "", 0, 0, 0, "false"},
    {MUST, 0, NULL, "vq_config.in_channels", "", 0, 0, 0, "3"},
    {MUST, 0, NULL, "vq_config.out_channels", "", 0, 0, 0, "3"},
    {MUST, 0, NULL, "vq_config.num_hidden_layers", "gen_aligner_config.params.depth", 0, 0, 0, "2"},
};

static size_t grid(const struct janus_config *c) { return c->see_side / c->see_patch; }

static tsr_status check(void *config, struct tsr_error *error)
{
    struct janus_config *c = config;

    if (c->kv_heads == 0)
        c->kv_heads = c->heads;
    if (c->d == 0) {
        if (c->width % c->heads != 0)
            return tsr_fail(error, TSR_MALFORMED, "hidden_size %u is not a multiple of num_attention_heads %u",
                            c->width, c->heads);
        c->d = c->width / c->heads;
    }
    if (c->d % 2 != 0 || c->d > TSR_HEAD_MAX)
        return tsr_fail(error, TSR_UNSUPPORTED, "head_dim %u (hidden_size %u / num_attention_heads %u) is not "
                        "an even number up to %d", c->d, c->width, c->heads, TSR_HEAD_MAX);
    if (c->heads % c->kv_heads != 0)
        return tsr_fail(error, TSR_MALFORMED, "num_attention_heads %u is not a multiple of "
                        "num_key_value_heads %u", c->heads, c->kv_heads);
    if (c->see_heads == 0) /* the published towers: 64 channels a head */
        c->see_heads = c->see_width < 64 ? 1 : c->see_width / 64;
    if (c->see_width % c->see_heads != 0 || c->see_width / c->see_heads > TSR_HEAD_MAX)
        return tsr_fail(error, TSR_MALFORMED, "vision hidden_size %u does not divide into %u heads of at most "
                        "%d", c->see_width, c->see_heads, TSR_HEAD_MAX);
    if (c->see_side % c->see_patch != 0 || grid(c) > 256)
        return tsr_fail(error, TSR_MALFORMED, "image_size %u is not a multiple (at most 256 times) of "
                        "patch_size %u", c->see_side, c->see_patch);
    if (grid(c) << (c->channels.count - 1) > 8192)
        return tsr_fail(error, TSR_MALFORMED, "drawn pictures of %zu patches a side and %u levels are larger "
                        "than 8192 pixels", grid(c), c->channels.count);
    for (uint32_t i = 0; i < c->channels.count; i++)
        if (c->channels.items[i] % TSR_VQ_GROUPS != 0)
            return tsr_fail(error, TSR_MALFORMED, "level %u of the picture decoder has %u channels, not a "
                            "multiple of %d", i, c->channels.items[i], TSR_VQ_GROUPS);
    if (c->base % TSR_VQ_GROUPS != 0 || c->channels.items[c->channels.count - 1] > TSR_HEAD_MAX)
        return tsr_fail(error, TSR_UNSUPPORTED, "picture decoder of %u base channels and %u at its lowest "
                        "level", c->base, c->channels.items[c->channels.count - 1]);
    return TSR_OK;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

struct vq_level {
    struct tsr_vq_res res[BLOCKS_MAX + 1];
    struct tsr_vq_attn attn[BLOCKS_MAX + 1];
    struct tsr_conv resample; /* the encoder's downsampling, the decoder's upsampling; none in the last level */
};

/* One half of the VQ tokenizer. The encoder's levels go down from the full size, the decoder's up to it. */
struct vq_half {
    struct tsr_conv in, out;
    struct vq_level levels[LEVELS_MAX];
    struct tsr_vq_res mid[2];
    struct tsr_vq_attn mid_attn;
    struct tsr_scale norm;
};

struct janus {
    struct tsr_tile embed;
    struct tsr_llama_layer layers[LAYERS_MAX];
    struct tsr_scale norm;
    struct tsr_linear head;
    /* reading pictures */
    struct tsr_linear patch;
    const float *positions;
    struct tsr_vit_layer see[LAYERS_MAX];
    struct tsr_scale see_norm;
    struct tsr_linear align1, align2;
    /* drawing pictures */
    struct tsr_tile code_embed, codebook;
    struct tsr_linear code1, code2, draw1, draw2;
    struct tsr_linear to_latent, from_latent;
    struct vq_half encoder, decoder;
};

#define OF(type, member) offsetof(struct type, member)
#define ROWS(rows) rows, sizeof rows / sizeof *rows
#define SAME NULL
enum {
    LM = TSR_PART_LM, EMBED = TSR_PART_EMBED, HEAD = TSR_PART_HEAD, SEE = TSR_PART_SEE,
    DRAW = TSR_PART_DRAW_HEAD, DECODER = TSR_PART_DECODER, ENCODER = TSR_PART_ENCODER
};
enum {
    LINEAR = TSR_ROW_LINEAR, LINEAR_B = TSR_ROW_LINEAR_BIAS, SCALE = TSR_ROW_SCALE, SCALE_B = TSR_ROW_SCALE_BIAS,
    CONV = TSR_ROW_CONV
};

/* Letters: V vocabulary, D width, F hidden, Q heads * d, K kv_heads * d. */
static const struct tsr_row embed_rows[] = {
    {"token_embd", "model.language_model.embed_tokens", "language_model.model.embed_tokens", "VD",
     TSR_ROW_TABLE, EMBED, 0, OF(janus, embed)},
};
static const struct tsr_row layer_rows[] = {
    {"attn_norm", "input_layernorm", SAME, "D", SCALE, LM, 0, OF(tsr_llama_layer, attn_norm)},
    {"attn_q", "self_attn.q_proj", SAME, "QD", LINEAR, LM, 0, OF(tsr_llama_layer, q)},
    {"attn_k", "self_attn.k_proj", SAME, "KD", LINEAR, LM, 0, OF(tsr_llama_layer, k)},
    {"attn_v", "self_attn.v_proj", SAME, "KD", LINEAR, LM, 0, OF(tsr_llama_layer, v)},
    {"attn_output", "self_attn.o_proj", SAME, "DQ", LINEAR, LM, 0, OF(tsr_llama_layer, o)},
    {"ffn_norm", "post_attention_layernorm", SAME, "D", SCALE, LM, 0, OF(tsr_llama_layer, ffn_norm)},
    {"ffn_gate", "mlp.gate_proj", SAME, "FD", LINEAR, LM, 0, OF(tsr_llama_layer, gate)},
    {"ffn_up", "mlp.up_proj", SAME, "FD", LINEAR, LM, 0, OF(tsr_llama_layer, up)},
    {"ffn_down", "mlp.down_proj", SAME, "DF", LINEAR, LM, 0, OF(tsr_llama_layer, down)},
};
static const struct tsr_row output_rows[] = {
    {"output_norm", "model.language_model.norm", "language_model.model.norm", "D", SCALE, LM, 0,
     OF(janus, norm)},
    /* absent: the head is the embedding */
    {"output", "lm_head", "language_model.lm_head", "VD", LINEAR, HEAD, 1, OF(janus, head)},
};

/* W width of the tower, H its hidden, T positions, p patch side. */
static const struct tsr_row tower_rows[] = {
    {"v.patch_embd", "model.vision_model.embeddings.patch_embedding", TOWER "patch_embed.proj", "W3pp",
     TSR_ROW_PATCH, SEE, 0, OF(janus, patch)},
    {"v.position_embd", "model.vision_model.embeddings.position_embedding", "=" TOWER "pos_embed", "TW",
     TSR_ROW_PLAIN, SEE, 0, OF(janus, positions)},
};
static const struct tsr_row see_rows[] = {
    {"ln1", "layer_norm1", "norm1", "W", SCALE_B, SEE, 0, OF(tsr_vit_layer, norm1)},
    {"attn_q", "self_attn.q_proj", "attn.qkv[0]", "WW", LINEAR_B, SEE, 0, OF(tsr_vit_layer, q)},
    {"attn_k", "self_attn.k_proj", "attn.qkv[1]", "WW", LINEAR_B, SEE, 0, OF(tsr_vit_layer, k)},
    {"attn_v", "self_attn.v_proj", "attn.qkv[2]", "WW", LINEAR_B, SEE, 0, OF(tsr_vit_layer, v)},
    {"attn_out", "self_attn.projection_layer", "attn.proj", "WW", LINEAR_B, SEE, 0, OF(tsr_vit_layer, o)},
    {"ln2", "layer_norm2", "norm2", "W", SCALE_B, SEE, 0, OF(tsr_vit_layer, norm2)},
    {"ffn_up", "mlp.fc1", SAME, "HW", LINEAR_B, SEE, 0, OF(tsr_vit_layer, fc1)},
    {"ffn_down", "mlp.fc2", SAME, "WH", LINEAR_B, SEE, 0, OF(tsr_vit_layer, fc2)},
};
static const struct tsr_row align_rows[] = {
    {"v.post_ln", "model.vision_model.post_layernorm", TOWER "norm", "W", SCALE_B, SEE, 0,
     OF(janus, see_norm)},
    {"mm.0", "model.aligner.fc1", "aligner.layers.0", "DW", LINEAR_B, SEE, 0, OF(janus, align1)},
    {"mm.2", "model.aligner.hidden_layers.0", "aligner.layers.2", "DD", LINEAR_B, SEE, 0, OF(janus, align2)},
};

/* N codes, E their width, L latent channels. */
static const struct tsr_row draw_rows[] = {
    {"gen.embd", "model.generation_embeddings", "gen_embed", "NE", TSR_ROW_SMALL_TABLE, DRAW, 0,
     OF(janus, code_embed)},
    {"gen.align.0", "model.generation_aligner.fc1", "gen_aligner.layers.0", "DE", LINEAR_B, DRAW, 0,
     OF(janus, code1)},
    {"gen.align.2", "model.generation_aligner.hidden_layers.0", "gen_aligner.layers.2", "DD", LINEAR_B, DRAW,
     0, OF(janus, code2)},
    {"gen.head.0", "model.generation_head.proj_out", "gen_head.output_mlp_projector", "DD", LINEAR_B, DRAW, 0,
     OF(janus, draw1)},
    {"gen.head.2", "model.generation_head.vision_head", "gen_head.vision_head", "ND", LINEAR_B, DRAW, 0,
     OF(janus, draw2)},
};
static const struct tsr_row vq_rows[] = {
    {"vq.codebook", "model.vqmodel.quantize.embedding", "gen_vision_model.quantize.embedding", "NE",
     TSR_ROW_CODEBOOK, DECODER, 0, OF(janus, codebook)},
    {"vq.quant", "model.vqmodel.quant_conv", "gen_vision_model.quant_conv", "EL11", LINEAR_B, ENCODER, 0,
     OF(janus, from_latent)},
    {"vq.post_quant", "model.vqmodel.post_quant_conv", "gen_vision_model.post_quant_conv", "LE11", LINEAR_B,
     DECODER, 0, OF(janus, to_latent)},
};

/* The rows of the two halves are the same but for the part. i, o: channels in and out. */
#define RES_ROWS(part)                                                                                   \
    {"norm1", "norm1", SAME, "i", SCALE_B, part, 0, OF(tsr_vq_res, norm1)},                              \
    {"conv1", "conv1", SAME, "oi33", CONV, part, 0, OF(tsr_vq_res, conv1)},                              \
    {"norm2", "norm2", SAME, "o", SCALE_B, part, 0, OF(tsr_vq_res, norm2)},                              \
    {"conv2", "conv2", SAME, "oo33", CONV, part, 0, OF(tsr_vq_res, conv2)},
#define ATTN_ROWS(part)                                                                                  \
    {"norm", "norm", SAME, "o", SCALE_B, part, 0, OF(tsr_vq_attn, norm)},                                \
    {"q", "q", SAME, "oo11", LINEAR_B, part, 0, OF(tsr_vq_attn, q)},                                     \
    {"k", "k", SAME, "oo11", LINEAR_B, part, 0, OF(tsr_vq_attn, k)},                                     \
    {"v", "v", SAME, "oo11", LINEAR_B, part, 0, OF(tsr_vq_attn, v)},                                     \
    {"out", "proj_out", SAME, "oo11", LINEAR_B, part, 0, OF(tsr_vq_attn, o)},
#define SHORTCUT_ROW(part) {"shortcut", "nin_shortcut", SAME, "oi11", LINEAR_B, part, 0, OF(tsr_vq_res, shortcut)},
#define IN_ROW(part) {"in", "conv_in", SAME, "oi33", CONV, part, 0, OF(vq_half, in)},
#define OUT_ROWS(part)                                                                                   \
    {"norm", "norm_out", SAME, "i", SCALE_B, part, 0, OF(vq_half, norm)},                                \
    {"out", "conv_out", SAME, "oi33", CONV, part, 0, OF(vq_half, out)},
#define RESAMPLE_ROW(name, part) {"resample", name, SAME, "oo33", CONV, part, 0, OF(vq_level, resample)},

static const struct tsr_row vq_res_rows[][4] = {{RES_ROWS(ENCODER)}, {RES_ROWS(DECODER)}};
static const struct tsr_row vq_shortcut_rows[][1] = {{SHORTCUT_ROW(ENCODER)}, {SHORTCUT_ROW(DECODER)}};
static const struct tsr_row vq_attn_rows[][5] = {{ATTN_ROWS(ENCODER)}, {ATTN_ROWS(DECODER)}};
static const struct tsr_row vq_in_rows[][1] = {{IN_ROW(ENCODER)}, {IN_ROW(DECODER)}};
static const struct tsr_row vq_out_rows[][2] = {{OUT_ROWS(ENCODER)}, {OUT_ROWS(DECODER)}};
static const struct tsr_row vq_resample_rows[][1] = {{RESAMPLE_ROW("downsample.conv", ENCODER)},
                                                     {RESAMPLE_ROW("upsample.conv", DECODER)}};

/* Prefixes of the two halves: of the half itself, its levels, their blocks, and the middle. */
static const struct vq_names {
    const char *half[3], *level[3], *res[3], *attn[3], *mid_res[2][3], *mid_attn[3];
} vq_names[] = {
#define HALF(gguf, half_, down)                                                                          \
    {{"vq." gguf ".", "model.vqmodel." half_ ".", "gen_vision_model." half_ "."},                        \
     {"vq." gguf ".#.", "model.vqmodel." half_ "." down ".#.", "gen_vision_model." half_ ".conv_blocks.#."}, \
     {"vq." gguf ".#.res.#.", "model.vqmodel." half_ "." down ".#.block.#.",                             \
      "gen_vision_model." half_ ".conv_blocks.#.res.#."},                                                \
     {"vq." gguf ".#.attn.#.", "model.vqmodel." half_ "." down ".#.attn.#.",                             \
      "gen_vision_model." half_ ".conv_blocks.#.attn.#."},                                               \
     {{"vq." gguf ".mid.res.0.", "model.vqmodel." half_ ".mid.block_1.", "gen_vision_model." half_ ".mid.0."}, \
      {"vq." gguf ".mid.res.1.", "model.vqmodel." half_ ".mid.block_2.", "gen_vision_model." half_ ".mid.2."}}, \
     {"vq." gguf ".mid.attn.", "model.vqmodel." half_ ".mid.attn_1.", "gen_vision_model." half_ ".mid.1."}}
    HALF("enc", "encoder", "down"), HALF("dec", "decoder", "up")
#undef HALF
};

static void walk_at(struct tsr_walk *walk, const char *const names[3], const struct tsr_row *rows, size_t count,
                    void *base, size_t i, size_t j)
{
    const struct tsr_group group = {names[0], names[1], names[2], rows, count};
    tsr_walk_group(walk, &group, base, i, j);
}

static void walk_res(struct tsr_walk *walk, const char *const names[3], int half, struct tsr_vq_res *res, size_t cin,
                     size_t cout, size_t i, size_t j)
{
    walk->dim['i'] = cin;
    walk->dim['o'] = cout;
    walk_at(walk, names, ROWS(vq_res_rows[half]), res, i, j);
    if (cin != cout)
        walk_at(walk, names, ROWS(vq_shortcut_rows[half]), res, i, j);
}

static void walk_mid(struct tsr_walk *walk, const struct vq_names *names, int half, struct vq_half *w, size_t channels)
{
    walk_res(walk, names->mid_res[0], half, &w->mid[0], channels, channels, 0, 0);
    walk_at(walk, names->mid_attn, ROWS(vq_attn_rows[half]), &w->mid_attn, 0, 0);
    walk_res(walk, names->mid_res[1], half, &w->mid[1], channels, channels, 0, 0);
}

/* Levels of one half: `order[l]` are the channels of its level l, attention at the lowest resolution. */
static size_t walk_levels(struct tsr_walk *walk, const struct janus_config *c, int half, struct vq_half *w, size_t cin)
{
    const struct vq_names *names = &vq_names[half];
    const size_t levels = c->channels.count;

    for (size_t l = 0; l < levels; l++) {
        const size_t cout = c->channels.items[half ? levels - 1 - l : l];
        const int lowest = half ? l == 0 : l == levels - 1;
        for (size_t b = 0; b < c->blocks + (size_t)half; b++, cin = cout) {
            walk_res(walk, names->res, half, &w->levels[l].res[b], cin, cout, l, b);
            if (lowest)
                walk_at(walk, names->attn, ROWS(vq_attn_rows[half]), &w->levels[l].attn[b], l, b);
        }
        walk->dim['o'] = cout;
        if (l + 1 < levels)
            walk_at(walk, names->level, ROWS(vq_resample_rows[half]), &w->levels[l], l, 0);
    }
    return cin;
}

/* ends: channels into and out of the half. */
static void walk_half(struct tsr_walk *walk, const struct janus_config *c, int half, struct vq_half *w,
                      const size_t ends[2])
{
    const struct vq_names *names = &vq_names[half];
    const size_t lowest = c->channels.items[c->channels.count - 1];
    size_t channels = half ? lowest : c->base;

    walk->dim['i'] = ends[0];
    walk->dim['o'] = channels;
    walk_at(walk, names->half, ROWS(vq_in_rows[half]), w, 0, 0);
    if (half)
        walk_mid(walk, names, half, w, lowest);
    channels = walk_levels(walk, c, half, w, channels);
    if (!half)
        walk_mid(walk, names, half, w, lowest);
    walk->dim['i'] = channels;
    walk->dim['o'] = ends[1];
    walk_at(walk, names->half, ROWS(vq_out_rows[half]), w, 0, 0);
}

static void walk(struct tsr_walk *walk_, const void *config, void *weights)
{
    static const char *const top[3] = {"", "", ""};
    static const char *const layer[3] = {"blk.#.", "model.language_model.layers.#.",
                                         "language_model.model.layers.#."};
    static const char *const tower[3] = {"v.blk.#.", "model.vision_model.encoder.layers.#.", TOWER "blocks.#."};
    const struct janus_config *c = config;
    struct janus *w = weights;
    size_t *dim = walk_->dim;

    dim['V'] = c->vocabulary, dim['D'] = c->width, dim['F'] = c->hidden;
    dim['Q'] = (size_t)c->heads * c->d, dim['K'] = (size_t)c->kv_heads * c->d;
    dim['W'] = c->see_width, dim['H'] = c->see_hidden, dim['T'] = grid(c) * grid(c), dim['p'] = c->see_patch;
    dim['N'] = c->codebook, dim['E'] = c->code_width, dim['L'] = c->latent;

    walk_at(walk_, top, ROWS(embed_rows), w, 0, 0);
    for (size_t i = 0; i < c->layers; i++)
        walk_at(walk_, layer, ROWS(layer_rows), &w->layers[i], i, 0);
    walk_at(walk_, top, ROWS(output_rows), w, 0, 0);
    walk_at(walk_, top, ROWS(tower_rows), w, 0, 0);
    for (size_t i = 0; i < c->see_layers; i++)
        walk_at(walk_, tower, ROWS(see_rows), &w->see[i], i, 0);
    walk_at(walk_, top, ROWS(align_rows), w, 0, 0);
    walk_at(walk_, top, ROWS(draw_rows), w, 0, 0);
    walk_at(walk_, top, ROWS(vq_rows), w, 0, 0);
    walk_half(walk_, c, 0, &w->encoder, (size_t[]){3, c->latent});
    walk_half(walk_, c, 1, &w->decoder, (size_t[]){c->latent, 3});
}

/* ---- words --------------------------------------------------------------------------------------------------------- */

/* Names are stable over the published checkpoints, ids are not. Role names are tokens since Janus-Pro. */
static tsr_status words(tsr_tokenizer *tokenizer, struct tsr_ids *ids, struct tsr_template *format,
                        struct tsr_error *error)
{
    const struct {
        const char *text;
        int32_t *id;
    } names[] = {
        {"<\uff5cbegin\u2581of\u2581sentence\uff5c>", &ids->begin},
        {"<\uff5cend\u2581of\u2581sentence\uff5c>", &ids->end},
        {"<\uff5c\u2581pad\u2581\uff5c>", &ids->pad},
        {"<image_placeholder>", &ids->picture},
        {"<begin_of_image>", &ids->picture_begin},
        {"<end_of_image>", &ids->picture_end},
    };
    const int pro = tsr_tokenizer_id(tokenizer, "<|User|>") >= 0;
    const struct tsr_deepseek deepseek = {
        .system = "You are a helpful language and vision assistant. You are able to understand the visual content "
                  "that the user provides, and assist the user with a variety of tasks using natural language.",
        .user = pro ? "<|User|>" : "User",
        .assistant = pro ? "<|Assistant|>" : "Assistant",
        .end_of_sentence = names[1].text,
        .placeholder = names[3].text,
        .begin_of_picture = names[4].text};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *names[i].id = tsr_tokenizer_id(tokenizer, names[i].text);
        if (*names[i].id < 0)
            return tsr_fail(error, TSR_MALFORMED, "tokenizer.json: no token %s", names[i].text);
        tsr_tokenizer_control(tokenizer, names[i].text);
    }
    tsr_tokenizer_control(tokenizer, deepseek.user);
    tsr_tokenizer_control(tokenizer, deepseek.assistant);
    return tsr_template_deepseek(format, &deepseek, error);
}

static void bind(const void *config, void *weights)
{
    struct janus *w = weights;
    (void)config;
    if (w->head.w.data == NULL)
        w->head.w = w->embed;
}

/* Published drawings degrade first in the heads and the picture decoder, so int4 is for the Llama's layers alone. */
static uint32_t part_format(enum tsr_part part, uint32_t format)
{
    return format == TSR_T4 && part != TSR_PART_LM ? TSR_T8 : format;
}

static void traits(const struct tsr_net *net, struct tsr_traits *t)
{
    const struct janus_config *c = net->config;
    const struct janus *w = net->weights;

    *t = (struct tsr_traits){.can = TSR_TEXT | TSR_PICTURE | TSR_SEE,
                             .vocabulary = c->vocabulary,
                             .width = c->width,
                             .context_max = c->context,
                             .cache_layers = c->layers,
                             .cache_heads = c->kv_heads,
                             .cache_d = c->d,
                             .see_tokens = grid(c) * grid(c),
                             .see_side = c->see_side,
                             .see_patch = c->see_patch,
                             .codebook = c->codebook,
                             .codes = grid(c) * grid(c),
                             .picture_side = grid(c) << (c->channels.count - 1),
                             .exact = w->layers[0].q.w.format == TSR_F32};
}

static double rope_theta(const void *config) { return ((const struct janus_config *)config)->theta; }

/* ---- language model ------------------------------------------------------------------------------------------------ */

static void gather(struct tsr_exec *e, const struct tsr_tile *table, const int32_t *ids, size_t count, float *y)
{
    tsr_do_gather_rows(e, &(struct tsr_gather){.w = *table, .ids = ids, .y = y, .ldy = table->k, .count = count});
}

static void embed(struct tsr_exec *e, const struct tsr_net *net, const int32_t *ids, size_t count, float *y)
{
    const struct janus *w = net->weights;
    gather(e, &w->embed, ids, count, y);
}

static void trunk(struct tsr_exec *e, const struct tsr_net *net, struct tsr_batch *b, float *x)
{
    const struct janus_config *c = net->config;
    const struct janus *w = net->weights;
    const struct tsr_llama_shape shape = {c->width, c->heads, c->kv_heads, c->d, c->hidden, c->eps};
    const size_t mark = tsr_mark(e);

    tsr_batch_prepare(e, b, net->inv_freq);
    for (size_t i = 0; i < c->layers; i++)
        tsr_llama_layer(e, &shape, &w->layers[i], b, i, x); /* [count * rows, width] */
    tsr_release(e, mark);
}

static void norm(struct tsr_exec *e, const struct tsr_net *net, const float *x, size_t ldx, size_t m, float *y)
{
    const struct janus_config *c = net->config;
    const struct janus *w = net->weights;

    tsr_do_rmsnorm(e, &(struct tsr_norm){.x = x, .ldx = ldx, .y = y, .ldy = c->width, .weight = w->norm.weight,
                                         .m = m, .k = c->width, .eps = c->eps});
}

static void text_head(struct tsr_exec *e, const struct tsr_net *net, const float *h, size_t m, float *y)
{
    const struct janus *w = net->weights;
    tsr_linear_once(e, h, m, &w->head, y); /* [m, width] -> [m, vocabulary] */
}

static void picture_head(struct tsr_exec *e, const struct tsr_net *net, const float *h, size_t m, float *y)
{
    const struct janus *w = net->weights;
    tsr_gelu_mlp(e, h, m, &w->draw1, &w->draw2, y); /* [m, width] -> [m, width] -> [m, codebook] */
}

static void embed_codes(struct tsr_exec *e, const struct tsr_net *net, const int32_t *codes, size_t count, float *y)
{
    const struct janus *w = net->weights;
    const size_t mark = tsr_mark(e);
    float *rows = tsr_floats(e, count, w->code_embed.k); /* [count, code_width] */

    gather(e, &w->code_embed, codes, count, rows);
    tsr_gelu_mlp(e, rows, count, &w->code1, &w->code2, y); /* -> [count, width] */
    tsr_release(e, mark);
}

/* ---- reading pictures ---------------------------------------------------------------------------------------------- */

static void see(struct tsr_exec *e, const struct tsr_net *net, const float *patches, float *y)
{
    const struct janus_config *c = net->config;
    const struct janus *w = net->weights;
    const size_t mark = tsr_mark(e), m = grid(c) * grid(c), width = c->see_width;
    float *x = tsr_floats(e, m, width); /* [m, see_width] */

    tsr_linear_once(e, patches, m, &w->patch, x); /* [m, 3 * patch * patch] -> [m, see_width] */
    tsr_accumulate(e, x, w->positions, m, width);
    for (size_t i = 0; i < c->see_layers; i++)
        tsr_vit_layer(e, &w->see[i], m, c->see_heads, c->see_eps, x);
    tsr_layernorm(e, x, m, width, &w->see_norm, c->see_eps, x);
    tsr_gelu_mlp(e, x, m, &w->align1, &w->align2, y); /* -> [m, width] */
    tsr_release(e, mark);
}

/* ---- drawing pictures ------------------------------------------------------------------------------------------------ */

static const float vq_eps = 1e-6f; /* of GroupNorm */

/* Rows of length 1. */
static void unit_rows(struct tsr_exec *e, float *x, size_t m, size_t k)
{
    tsr_do_l2norm(e, &(struct tsr_norm){.x = x, .ldx = k, .y = x, .ldy = k, .m = m, .k = k, .eps = 1e-12f});
}

/* Three maps of the largest size that either half needs. */
static struct tsr_maps maps_new(struct tsr_exec *e, const struct janus_config *c)
{
    const size_t levels = c->channels.count;
    size_t most = grid(c) * grid(c) * (c->latent > c->code_width ? c->latent : c->code_width);
    struct tsr_maps maps;

    for (size_t l = 0; l < levels; l++) {
        /* at level l's size: its own channels, those that come in, and those of the picture's end */
        const size_t side = grid(c) << (levels - 1 - l), here = c->channels.items[l];
        const size_t below = l + 1 < levels ? c->channels.items[l + 1] : here;
        const size_t above = l > 0 ? c->channels.items[l - 1] : c->base;
        const size_t wide = here > below ? here : below, channels = wide > above ? wide : above;
        if (most < side * side * channels)
            most = side * side * channels;
    }
    maps.x = tsr_floats(e, most, 1);
    maps.a = tsr_floats(e, most, 1);
    maps.b = tsr_floats(e, most, 1);
    maps.h = maps.w = maps.c = 0;
    return maps;
}

static void mid(struct tsr_exec *e, const struct vq_half *w, struct tsr_maps *maps)
{
    tsr_vq_res(e, &w->mid[0], vq_eps, maps);
    tsr_vq_attn(e, &w->mid_attn, vq_eps, maps);
    tsr_vq_res(e, &w->mid[1], vq_eps, maps);
}

static void level(struct tsr_exec *e, const struct vq_level *w, size_t blocks, int lowest, struct tsr_maps *maps)
{
    for (size_t b = 0; b < blocks; b++) {
        tsr_vq_res(e, &w->res[b], vq_eps, maps);
        if (lowest)
            tsr_vq_attn(e, &w->attn[b], vq_eps, maps);
    }
}

static void decode(struct tsr_exec *e, const struct tsr_net *net, const int32_t *codes, float *pixels)
{
    const struct janus_config *c = net->config;
    const struct janus *w = net->weights;
    const size_t mark = tsr_mark(e), side = grid(c), m = side * side, levels = c->channels.count;
    struct tsr_maps maps = maps_new(e, c);

    maps.h = maps.w = side;
    gather(e, &w->codebook, codes, m, maps.b); /* [side, side, code_width] */
    unit_rows(e, maps.b, m, c->code_width);
    tsr_linear_once(e, maps.b, m, &w->to_latent, maps.x); /* [side, side, latent] */
    tsr_conv_map(e, &w->decoder.in, &maps);               /* [side, side, lowest] */
    mid(e, &w->decoder, &maps);
    for (size_t l = 0; l < levels; l++) {
        level(e, &w->decoder.levels[l], c->blocks + 1u, l == 0, &maps);
        if (l + 1 < levels)
            tsr_vq_up(e, &w->decoder.levels[l].resample, &maps); /* [2 h, 2 w, c] */
    }
    tsr_norm_silu_map(e, &w->decoder.norm, vq_eps, &maps);
    tsr_conv(e, &w->decoder.out, maps.x, maps.h, maps.w, 1, 1, pixels, maps.h, maps.w); /* [h, w, 3] */
    tsr_release(e, mark);
}

/* The codebook's rows, normalized, as a tile: the nearest code has the largest dot product. */
static struct tsr_tile unit_codebook(struct tsr_exec *e, const struct tsr_tile *codebook)
{
    const size_t n = codebook->n, k = codebook->k, panels = tsr_ceil_div(n, TSR_PANEL);
    float *tile = tsr_floats(e, panels * TSR_PANEL, k); /* panels of [k][16] */
    float *rows = tsr_floats(e, n, k);
    int32_t *ids = tsr_take(e, n, 1, sizeof *ids);

    if (tsr_live(e))
        for (size_t i = 0; i < n; i++)
            ids[i] = (int32_t)i;
    gather(e, codebook, ids, n, rows);
    unit_rows(e, rows, n, k);
    if (tsr_live(e))
        for (size_t i = 0; i < panels * TSR_PANEL; i++)
            for (size_t j = 0; j < k; j++)
                tile[(i / TSR_PANEL * k + j) * TSR_PANEL + i % TSR_PANEL] = i < n ? rows[i * k + j] : 0;
    return (struct tsr_tile){.data = tile, .n = n, .k = k, .format = TSR_F32};
}

static void encode(struct tsr_exec *e, const struct tsr_net *net, const float *pixels, int32_t *codes)
{
    const struct janus_config *c = net->config;
    const struct janus *w = net->weights;
    const size_t mark = tsr_mark(e), levels = c->channels.count, side = grid(c) << (levels - 1);
    struct tsr_maps maps = maps_new(e, c);

    tsr_conv(e, &w->encoder.in, pixels, side, side, 1, 1, maps.x, side, side); /* [side, side, base] */
    maps.h = maps.w = side;
    maps.c = c->base;
    for (size_t l = 0; l < levels; l++) {
        level(e, &w->encoder.levels[l], c->blocks, l + 1 == levels, &maps);
        if (l + 1 < levels)
            tsr_vq_down(e, &w->encoder.levels[l].resample, &maps); /* [h / 2, w / 2, c] */
    }
    mid(e, &w->encoder, &maps);
    tsr_norm_silu_map(e, &w->encoder.norm, vq_eps, &maps);
    tsr_conv_map(e, &w->encoder.out, &maps);      /* [grid, grid, latent] */
    tsr_linear_map(e, &w->from_latent, &maps);    /* [grid, grid, code_width] */
    unit_rows(e, maps.x, maps.h * maps.w, c->code_width);
    tsr_do_codebook_nearest(e, &(struct tsr_codebook){.x = maps.x, .ldx = c->code_width,
                                                      .w = unit_codebook(e, &w->codebook), .index = codes,
                                                      .m = maps.h * maps.w});
    tsr_release(e, mark);
}

const struct tsr_family tsr_family_janus = {
    .name = "janus",
    .library_type = "janus",
    .official_type = "multi_modality",
    .fields = fields,
    .field_count = sizeof fields / sizeof *fields,
    .config_bytes = sizeof(struct janus_config),
    .weights_bytes = sizeof(struct janus),
    .check = check,
    .walk = walk,
    .bind = bind,
    .traits = traits,
    .rope_theta = rope_theta,
    .words = words,
    .part_format = part_format,
    .embed = embed,
    .embed_codes = embed_codes,
    .see = see,
    .trunk = trunk,
    .norm = norm,
    .text_head = text_head,
    .picture_head = picture_head,
    .decode = decode,
    .encode = encode,
};
