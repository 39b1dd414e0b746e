/*
 * janus.c: Janus and Janus-Pro (DeepSeek): a Llama that reads pictures through a SigLIP tower and
 * draws them as codes of a VQ-16 tokenizer.
 *
 * Sources: arXiv 2410.13848 and 2501.17811; the authors' code (deepseek-ai/Janus, "official" names)
 * and the transformers classes JanusForConditionalGeneration ("library" names). The two differ in
 * names, in one fused matrix (qkv of the tower) and in what config.json says: the official one
 * leaves the tower's and the VQ's sizes to tables in its source, so here they follow from tensor
 * shapes.
 *
 * Easy to get wrong: the tower's GELU is the erf form and its final norm is applied; its pooling
 * head is not used; what the Llama reads of a drawn code (gen.embd) and what the decoder reads
 * (vq.codebook) are two tables.
 */
#include "families/vq16.h"

enum { LAYERS_MAX = 256 };

/* ---- configuration --------------------------------------------------------------------------- */

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
    {F32, AT(theta), "rope.freq_base",
     "text_config.rope_parameters.rope_theta|text_config.rope_theta", "language_config.rope_theta",
     1, 1e9, 10000, NULL},
    {MUST, 0, NULL, "quantization_config", "quantization_config", 0, 0, 0, ""},
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
    {U32, AT(see_heads), "vision.attention.head_count", "vision_config.num_attention_heads", "", 1,
     1024, 0, NULL},
    {U32, AT(see_side), "vision.image_size", "vision_config.image_size",
     "vision_config.params.image_size", 1, 8192, 384, NULL},
    {U32, AT(see_patch), "vision.patch_size", "vision_config.patch_size",
     TOWER "patch_embed.proj.weight@2", 1, 256, 16, NULL},
    {F32, AT(see_eps), "vision.attention.layer_norm_epsilon", "vision_config.layer_norm_eps", "",
     1e-12, 1, 1e-6, NULL},
    {MUST, 0, NULL, "vision_config.hidden_act", "", 0, 0, 0, "gelu"},
    {MUST, 0, NULL, "vision_config.attention_bias", "", 0, 0, 0, "true"},
    {MUST, 0, NULL, "vision_config.use_qk_norm", "", 0, 0, 0, "false"},
    {MUST, 0, NULL, "vision_config.num_channels", "", 0, 0, 0, "3"},
    {MUST, 0, NULL, "vision_config.depth", "aligner_config.params.depth", 0, 0, 0, "2"},
    {MUST, 0, NULL, "", "vision_config.params.select_layer", 0, 0, 0, "-1"},
    {MUST, 0, NULL, "", "aligner_config.params.projector_type", 0, 0, 0, "mlp_gelu"},

    {U32, AT(codebook), "vq.codebook_size", "vq_config.num_embeddings",
     "gen_vision_config.params.image_token_size", 2, 1 << 20, 16384, NULL},
    {U32, AT(code_width), "vq.code_length", "vq_config.embed_dim",
     "gen_vision_config.params.n_embed", 1, 4096, 8, NULL},
    {U32, AT(latent), "vq.latent_length", VQ_SHAPE("post_quant_conv.weight@0"), 1, 4096, -1, NULL},
    {U32, AT(base), "vq.base_length", VQ_SHAPE("encoder.conv_in.weight@0"), TSR_VQ_GROUPS, 4096, -1,
     NULL},
    {TSR_FIELD_LIST, AT(channels), "vq.level_lengths",
     "model.vqmodel.encoder.down.#.block.0.conv1.weight@0",
     "gen_vision_model.encoder.conv_blocks.#.res.0.conv1.weight@0", TSR_VQ_GROUPS, 4096, -1, NULL},
    {U32, AT(blocks), "vq.block_count", "model.vqmodel.encoder.down.0.block.#.conv1.weight@",
     "gen_vision_model.encoder.conv_blocks.0.res.#.conv1.weight@", 1, TSR_VQ16_BLOCKS, -1, NULL},
    {MUST, 0, NULL, "vq_config.hidden_act", "", 0, 0, 0, "gelu"},
    {MUST, 0, NULL, "vq_config.double_latent", "", 0, 0, 0, "false"},
    {MUST, 0, NULL, "vq_config.in_channels", "", 0, 0, 0, "3"},
    {MUST, 0, NULL, "vq_config.out_channels", "", 0, 0, 0, "3"},
    {MUST, 0, NULL, "vq_config.num_hidden_layers", "gen_aligner_config.params.depth", 0, 0, 0, "2"},
};

static size_t grid(const struct janus_config *c)
{
    return c->see_side / c->see_patch;
}

static struct tsr_vq16_shape vq_shape(const struct janus_config *c)
{
    return (struct tsr_vq16_shape){.grid = grid(c),
                                   .codebook = c->codebook,
                                   .code_width = c->code_width,
                                   .latent = c->latent,
                                   .base = c->base,
                                   .blocks = c->blocks,
                                   .channels = &c->channels};
}

static tsr_status check(void *config, struct tsr_error *error)
{
    struct janus_config *c = config;

    if (c->kv_heads == 0)
        c->kv_heads = c->heads;
    if (c->d == 0) {
        if (c->width % c->heads != 0)
            return tsr_fail(error, TSR_MALFORMED,
                            "hidden_size %u is not a multiple of num_attention_heads %u", c->width,
                            c->heads);
        c->d = c->width / c->heads;
    }
    if (c->d % 2 != 0 || c->d > TSR_HEAD_MAX)
        return tsr_fail(error, TSR_UNSUPPORTED,
                        "head_dim %u (hidden_size %u / num_attention_heads %u) is not "
                        "an even number up to %d",
                        c->d, c->width, c->heads, TSR_HEAD_MAX);
    if (c->heads % c->kv_heads != 0)
        return tsr_fail(error, TSR_MALFORMED,
                        "num_attention_heads %u is not a multiple of "
                        "num_key_value_heads %u",
                        c->heads, c->kv_heads);
    if (c->see_heads == 0) /* the published towers: 64 channels a head */
        c->see_heads = c->see_width < 64 ? 1 : c->see_width / 64;
    if (c->see_width % c->see_heads != 0 || c->see_width / c->see_heads > TSR_HEAD_MAX)
        return tsr_fail(error, TSR_MALFORMED,
                        "vision hidden_size %u does not divide into %u heads of at most "
                        "%d",
                        c->see_width, c->see_heads, TSR_HEAD_MAX);
    if (c->see_side % c->see_patch != 0 || grid(c) > 256)
        return tsr_fail(error, TSR_MALFORMED,
                        "image_size %u is not a multiple (at most 256 times) of "
                        "patch_size %u",
                        c->see_side, c->see_patch);
    const struct tsr_vq16_shape vq = vq_shape(c);
    return tsr_vq16_check(&vq, error);
}

/* ---- tensors --------------------------------------------------------------------------------- */

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
    struct tsr_tile code_embed;
    struct tsr_linear code1, code2, draw1, draw2;
    struct tsr_vq16 vq;
};

#define OF(type, member) offsetof(struct type, member)
#define ROWS(rows) rows, sizeof rows / sizeof *rows
#define SAME NULL
enum {
    LINEAR = TSR_ROW_LINEAR,
    BIASED = TSR_ROW_LINEAR_BIAS,
    SCALE = TSR_ROW_SCALE,
    SCALE_B = TSR_ROW_SCALE_BIAS
};

/* Letters: V vocabulary, D width, F hidden, Q heads * d, K kv_heads * d. */
static const struct tsr_row embed_rows[] = {
    {"token_embd", "embed_tokens", SAME, "VD", TSR_ROW_TABLE, OF(janus, embed)},
};
static const struct tsr_row layer_rows[] = {
    {"attn_norm", "input_layernorm", SAME, "D", SCALE, OF(tsr_llama_layer, attn_norm)},
    {"attn_q", "self_attn.q_proj", SAME, "QD", LINEAR, OF(tsr_llama_layer, q)},
    {"attn_k", "self_attn.k_proj", SAME, "KD", LINEAR, OF(tsr_llama_layer, k)},
    {"attn_v", "self_attn.v_proj", SAME, "KD", LINEAR, OF(tsr_llama_layer, v)},
    {"attn_output", "self_attn.o_proj", SAME, "DQ", LINEAR, OF(tsr_llama_layer, o)},
    {"ffn_norm", "post_attention_layernorm", SAME, "D", SCALE, OF(tsr_llama_layer, ffn_norm)},
    {"ffn_gate", "mlp.gate_proj", SAME, "FD", LINEAR, OF(tsr_llama_layer, gate)},
    {"ffn_up", "mlp.up_proj", SAME, "FD", LINEAR, OF(tsr_llama_layer, up)},
    {"ffn_down", "mlp.down_proj", SAME, "DF", LINEAR, OF(tsr_llama_layer, down)},
};
static const struct tsr_row norm_rows[] = {
    {"output_norm", "norm", SAME, "D", SCALE, OF(janus, norm)},
};
/* Absent: the head is the embedding. */
static const struct tsr_row head_rows[] = {
    {"output", "lm_head", SAME, "VD", TSR_ROW_LINEAR_OPTIONAL, OF(janus, head)},
};

/* W width of the tower, H its hidden, T positions, p patch side. */
static const struct tsr_row tower_rows[] = {
    {"patch_embd", "embeddings.patch_embedding", "patch_embed.proj", "W3pp", TSR_ROW_PATCH,
     OF(janus, patch)},
    {"position_embd", "embeddings.position_embedding", "=pos_embed", "TW", TSR_ROW_PLAIN,
     OF(janus, positions)},
    {"post_ln", "post_layernorm", "norm", "W", SCALE_B, OF(janus, see_norm)},
};
static const struct tsr_row see_rows[] = {
    {"ln1", "layer_norm1", "norm1", "W", SCALE_B, OF(tsr_vit_layer, norm1)},
    {"attn_q", "self_attn.q_proj", "attn.qkv[0]", "WW", BIASED, OF(tsr_vit_layer, q)},
    {"attn_k", "self_attn.k_proj", "attn.qkv[1]", "WW", BIASED, OF(tsr_vit_layer, k)},
    {"attn_v", "self_attn.v_proj", "attn.qkv[2]", "WW", BIASED, OF(tsr_vit_layer, v)},
    {"attn_out", "self_attn.projection_layer", "attn.proj", "WW", BIASED, OF(tsr_vit_layer, o)},
    {"ln2", "layer_norm2", "norm2", "W", SCALE_B, OF(tsr_vit_layer, norm2)},
    {"ffn_up", "mlp.fc1", SAME, "HW", BIASED, OF(tsr_vit_layer, fc1)},
    {"ffn_down", "mlp.fc2", SAME, "WH", BIASED, OF(tsr_vit_layer, fc2)},
};
static const struct tsr_row align_rows[] = {
    {"0", "fc1", "layers.0", "DW", BIASED, OF(janus, align1)},
    {"2", "hidden_layers.0", "layers.2", "DD", BIASED, OF(janus, align2)},
};

/* N codes, E their width. */
static const struct tsr_row draw_rows[] = {
    {"embd", "embeddings", "embed", "NE", TSR_ROW_SMALL_TABLE, OF(janus, code_embed)},
    {"align.0", "aligner.fc1", "aligner.layers.0", "DE", BIASED, OF(janus, code1)},
    {"align.2", "aligner.hidden_layers.0", "aligner.layers.2", "DD", BIASED, OF(janus, code2)},
    {"head.0", "head.proj_out", "head.output_mlp_projector", "DD", BIASED, OF(janus, draw1)},
    {"head.2", "head.vision_head", SAME, "ND", BIASED, OF(janus, draw2)},
};

/* Names in GGUF, of the library, official. */
static const struct tsr_group embed_group = {
    {{""}, {"model.language_model."}, {"language_model.model."}}, TSR_PART_EMBED, ROWS(embed_rows)};
static const struct tsr_group layer_group = {
    {{"blk.#."}, {"model.language_model.layers.#."}, {"language_model.model.layers.#."}},
    TSR_PART_LM,
    ROWS(layer_rows)};
static const struct tsr_group norm_group = {
    {{""}, {"model.language_model."}, {"language_model.model."}}, TSR_PART_LM, ROWS(norm_rows)};
static const struct tsr_group head_group = {
    {{""}, {""}, {"language_model."}}, TSR_PART_HEAD, ROWS(head_rows)};
static const struct tsr_group tower_group = {
    {{"v."}, {"model.vision_model."}, {TOWER}}, TSR_PART_SEE, ROWS(tower_rows)};
static const struct tsr_group see_group = {
    {{"v.blk.#."}, {"model.vision_model.encoder.layers.#."}, {TOWER "blocks.#."}},
    TSR_PART_SEE,
    ROWS(see_rows)};
static const struct tsr_group align_group = {
    {{"mm."}, {"model.aligner."}, {"aligner."}}, TSR_PART_SEE, ROWS(align_rows)};
static const struct tsr_group draw_group = {
    {{"gen."}, {"model.generation_"}, {"gen_"}}, TSR_PART_DRAW_HEAD, ROWS(draw_rows)};

static void walk(struct tsr_walk *visitor, const void *config, void *weights)
{
    const struct janus_config *c = config;
    const struct tsr_vq16_shape vq = vq_shape(c);
    struct janus *w = weights;
    size_t *dim = visitor->dim;

    dim['V'] = c->vocabulary, dim['D'] = c->width, dim['F'] = c->hidden;
    dim['Q'] = (size_t)c->heads * c->d, dim['K'] = (size_t)c->kv_heads * c->d;
    dim['W'] = c->see_width, dim['H'] = c->see_hidden, dim['T'] = grid(c) * grid(c),
    dim['p'] = c->see_patch;
    dim['N'] = c->codebook, dim['E'] = c->code_width;

    tsr_walk_group(visitor, &embed_group, w, 0, 0);
    for (size_t i = 0; i < c->layers; i++)
        tsr_walk_group(visitor, &layer_group, &w->layers[i], i, 0);
    tsr_walk_group(visitor, &norm_group, w, 0, 0);
    tsr_walk_group(visitor, &head_group, w, 0, 0);
    tsr_walk_group(visitor, &tower_group, w, 0, 0);
    for (size_t i = 0; i < c->see_layers; i++)
        tsr_walk_group(visitor, &see_group, &w->see[i], i, 0);
    tsr_walk_group(visitor, &align_group, w, 0, 0);
    tsr_walk_group(visitor, &draw_group, w, 0, 0);
    tsr_vq16_walk(visitor, &vq, "model.vqmodel.", "gen_vision_model.", &w->vq);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Names are stable over the published checkpoints, ids are not. Role names are tokens since
 * Janus-Pro. */
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
    const struct tsr_deepseek deepseek = {.system =
                                              "You are a helpful language and vision assistant. "
                                              "You are able to understand the visual content "
                                              "that the user provides, and assist the user with a "
                                              "variety of tasks using natural language.",
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

/* Published drawings degrade first in the heads and the picture decoder, so int4 is for the Llama's
 * layers alone. */
static uint32_t part_format(enum tsr_part part, uint32_t format)
{
    return format == TSR_T4 && part != TSR_PART_LM ? TSR_T8 : format;
}

static void traits(const struct tsr_net *net, struct tsr_traits *t)
{
    const struct janus_config *c = net->config;
    const struct janus *w = net->weights;
    const struct tsr_vq16_shape vq = vq_shape(c);

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
                             .picture_side = tsr_vq16_side(&vq),
                             .exact = w->layers[0].q.w.format == TSR_F32};
}

static double rope_theta(const void *config)
{
    return ((const struct janus_config *)config)->theta;
}

/* ---- language model -------------------------------------------------------------------------- */

static void gather(struct tsr_exec *e, const struct tsr_tile *table, const int32_t *ids,
                   size_t count, float *y)
{
    tsr_do_gather_rows(
        e, &(struct tsr_gather){.w = *table, .ids = ids, .y = y, .ldy = table->k, .count = count});
}

static void embed(struct tsr_exec *e, const struct tsr_net *net, const int32_t *ids, size_t count,
                  float *y)
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

static void norm(struct tsr_exec *e, const struct tsr_net *net, const float *x, size_t ldx,
                 size_t m, float *y)
{
    const struct janus_config *c = net->config;
    const struct janus *w = net->weights;

    tsr_do_rmsnorm(e, &(struct tsr_norm){.x = x,
                                         .ldx = ldx,
                                         .y = y,
                                         .ldy = c->width,
                                         .weight = w->norm.weight,
                                         .m = m,
                                         .k = c->width,
                                         .eps = c->eps});
}

static void text_head(struct tsr_exec *e, const struct tsr_net *net, const float *h, size_t m,
                      float *y)
{
    const struct janus *w = net->weights;
    tsr_linear_once(e, h, m, &w->head, y); /* [m, width] -> [m, vocabulary] */
}

static void picture_head(struct tsr_exec *e, const struct tsr_net *net, const float *h, size_t m,
                         float *y)
{
    const struct janus *w = net->weights;
    const struct tsr_input in = tsr_input(h, m, w->draw1.w.k);

    tsr_gelu_mlp(e, in, &w->draw1, &w->draw2, y); /* [m, width] -> [m, width] -> [m, codebook] */
}

static void embed_codes(struct tsr_exec *e, const struct tsr_net *net, const int32_t *codes,
                        size_t count, float *y)
{
    const struct janus *w = net->weights;
    const size_t mark = tsr_mark(e);
    float *rows = tsr_floats(e, count, w->code_embed.k); /* [count, code_width] */

    gather(e, &w->code_embed, codes, count, rows);
    tsr_gelu_mlp(e, tsr_input(rows, count, w->code_embed.k), &w->code1, &w->code2,
                 y); /* -> [count, width] */
    tsr_release(e, mark);
}

/* ---- reading pictures ------------------------------------------------------------------------ */

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
    tsr_gelu_mlp(e, tsr_input_layernorm(x, m, width, &w->see_norm, c->see_eps), &w->align1,
                 &w->align2, y); /* -> [m, width] */
    tsr_release(e, mark);
}

/* ---- drawing pictures ------------------------------------------------------------------------ */

static void decode(struct tsr_exec *e, const struct tsr_net *net, const int32_t *codes,
                   float *pixels)
{
    const struct tsr_vq16_shape vq = vq_shape(net->config);
    tsr_vq16_decode(e, &vq, &((const struct janus *)net->weights)->vq, codes, pixels);
}

static void encode(struct tsr_exec *e, const struct tsr_net *net, const float *pixels,
                   int32_t *codes)
{
    const struct tsr_vq16_shape vq = vq_shape(net->config);
    tsr_vq16_encode(e, &vq, &((const struct janus *)net->weights)->vq, pixels, codes);
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
