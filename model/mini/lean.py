"""The mini model without what its training does not need: texts and pictures as packed rows of tokens, and a
forward pass over the official class's own weights.

A row packs several sequences, and sequences that share a beginning (a picture's prefix and many
questions about it); which token sees which follows from `group` and `branch`. `export.py` checks that
the official class computes the same from the saved file.
"""
import numpy as np
import torch
import torch.nn.functional as F

import tokens

LENGTH = 256


class Speech:
    """Texts to ids, remembering what it has seen."""

    def __init__(self):
        self.tok = tokens.make_tokenizer()
        for name in ("BOS", "EOS", "PAD", "BOI", "PLACEHOLDER", "EOI"):
            setattr(self, name.lower(), self.tok.token_to_id(getattr(tokens, name)))
        self.known = {}

    def ids(self, text):
        got = self.known.get(text)
        if got is None:
            got = self.tok.encode(text, add_special_tokens=False).ids
            if len(self.known) < 400000:
                self.known[text] = got
        return got

    def prefix(self, system):
        text = (tokens.SYSTEM if system else "") + tokens.USER + ": "
        return [self.bos] + self.ids(text) + [self.boi] + [self.placeholder] * 16 + [self.eoi]

    def turn(self, question, answer, first=True):
        """Ids and, for each, whether it is to be learned."""
        ask = self.ids(("\n" if first else tokens.USER + ": ") + question + "\n\n" + tokens.ASSISTANT + ":")
        say = self.ids(" " + answer) + [self.eos]
        return ask + say, [False] * len(ask) + [True] * len(say)

    def drawing(self, prompt):
        return [self.bos] + self.ids(f"{tokens.USER}: {prompt}\n\n{tokens.ASSISTANT}:") + [self.boi]

    def blank(self, ids):
        return [i if i in (self.bos, self.boi) else self.pad for i in ids]


class Batch:
    """Rows of LENGTH tokens; which may see which follows from `group` and `branch`."""

    def __init__(self, rows):
        shape = (rows, LENGTH)
        self.ids = np.zeros(shape, np.int64)
        self.pos = np.zeros(shape, np.int64)
        self.group = np.full(shape, -1, np.int64)
        self.branch = np.zeros(shape, np.int64)
        self.text = np.full(shape, -100, np.int64)   # target of the next token
        self.code = np.full(shape, -100, np.int64)   # target of the next code
        self.input_code = np.full(shape, -1, np.int64)
        self.codes = []                              # of the pictures read, in order

    def put(self, row, at, ids, pos, group, branch):
        end = at + len(ids)
        self.ids[row, at:end] = ids
        self.pos[row, at:end] = np.arange(pos, pos + len(ids))
        self.group[row, at:end] = group
        self.branch[row, at:end] = branch
        return end

    def mask(self):
        group, branch = torch.from_numpy(self.group), torch.from_numpy(self.branch)
        same = group[:, :, None] == group[:, None, :]
        seen = (branch[:, None, :] == 0) | (branch[:, :, None] == branch[:, None, :])
        return (same & seen).tril()[:, None]


# ---------------------------------------------------------------- the forward pass

def fresh_model(speech):
    from transformers import JanusForConditionalGeneration
    torch.manual_seed(1)
    model = JanusForConditionalGeneration(tokens.config(speech.tok))
    m = model.model
    with torch.no_grad():
        for part in (m.aligner, m.generation_aligner, m.generation_head, m.vision_model):
            for layer in part.modules():
                if isinstance(layer, torch.nn.Linear):
                    layer.weight.normal_(std=layer.in_features ** -0.5)
        m.vision_model.embeddings.patch_embedding.weight.normal_(std=768 ** -0.5)
        m.vision_model.embeddings.position_embedding.weight.normal_(std=0.5)
        for i, layer in enumerate(m.language_model.layers):
            # Attention starts as a weak copier of what resembles the asker.
            a = layer.self_attn
            basis = torch.linalg.qr(torch.randn(256, 256))[0]
            a.v_proj.weight.copy_(basis)
            a.o_proj.weight.copy_(0.25 * basis.T)
            if i:
                a.k_proj.weight.normal_(std=1 / 32)
                a.q_proj.weight.copy_(a.k_proj.weight + torch.randn(256, 256) / 64)
            for w in (layer.mlp.gate_proj, layer.mlp.up_proj):
                w.weight.normal_(std=1 / 16)
    return model


def saved_model(folder):
    """The weights of an earlier training, the picture codec's included."""
    from transformers import JanusForConditionalGeneration
    return JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def rotary(pos, dim=64, theta=10000.0):
    inv = 1.0 / theta ** (torch.arange(0, dim, 2).float() / dim)
    angle = torch.cat([pos[..., None].float() * inv] * 2, -1)[:, None]
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def llama(lm, x, pos, mask):
    """The language model of the class, [rows, n, hidden] -> [rows, n, hidden], packed."""
    heads = lm.config.num_attention_heads
    cos, sin = rotary(pos)
    rows, n, hidden = x.shape
    for layer in lm.layers:
        a = layer.self_attn
        h = F.rms_norm(x, (hidden,), layer.input_layernorm.weight, 1e-6)
        w = torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight])
        q, k, v = F.linear(h, w).view(rows, n, 3, heads, -1).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, mask)
        x = x + a.o_proj(o.transpose(1, 2).reshape(rows, n, hidden))
        h = F.rms_norm(x, (hidden,), layer.post_attention_layernorm.weight, 1e-6)
        gate, up = F.linear(h, torch.cat([layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight])).chunk(2, -1)
        x = x + layer.mlp.down_proj(F.silu(gate) * up)
    return F.rms_norm(x, (hidden,), lm.norm.weight, 1e-6)


def patches_of(table):
    """[388, 768] what the patch convolution sees of every cell code, channels first."""
    return torch.from_numpy(table).permute(0, 3, 1, 2).flatten(1).float() / 127.5 - 1


def see(m, x):
    """The vision tower after its patch convolution, and the aligner: [pictures, 16, 256]."""
    vision = m.vision_model
    heads = vision.config.num_attention_heads
    x = x + vision.embeddings.position_embedding.weight
    pictures, n, hidden = x.shape
    for layer in vision.encoder.layers:
        a = layer.self_attn
        h = F.layer_norm(x, (hidden,), layer.layer_norm1.weight, layer.layer_norm1.bias, 1e-6)
        q, k, v = (p(h).view(pictures, n, heads, -1).transpose(1, 2) for p in (a.q_proj, a.k_proj, a.v_proj))
        o = F.scaled_dot_product_attention(q, k, v)
        x = x + a.projection_layer(o.transpose(1, 2).reshape(pictures, n, hidden))
        h = F.layer_norm(x, (hidden,), layer.layer_norm2.weight, layer.layer_norm2.bias, 1e-6)
        x = x + layer.mlp.fc2(F.gelu(layer.mlp.fc1(h)))
    x = F.layer_norm(x, (hidden,), vision.post_layernorm.weight, vision.post_layernorm.bias, 1e-6)
    return m.aligner.hidden_layers[0](F.gelu(m.aligner.fc1(x)))


def picture_embeddings(model, codes, table):
    """What get_image_features of the class gives for pictures with these codes. `table` is
    patches_of(): a patch is a cell and a cell has 388 looks; convolve those, then look them up."""
    conv = model.model.vision_model.embeddings.patch_embedding
    looks = F.linear(table, conv.weight.flatten(1), conv.bias)
    return see(model.model, looks[torch.tensor(codes)].float())


def forward(model, batch, table, speech):
    """Hidden states [rows, n, hidden]."""
    m = model.model
    ids = torch.from_numpy(batch.ids)
    x = m.language_model.embed_tokens(ids)
    if batch.codes:
        seen = picture_embeddings(model, batch.codes, table)
        x = x.masked_scatter((ids == speech.placeholder)[..., None], seen.float())
    code = torch.from_numpy(batch.input_code)
    where = code >= 0
    if where.any():
        drawn = m.generation_aligner(m.generation_embeddings(code[where]))
        x = x.masked_scatter(where[..., None], drawn.float())
    return llama(m.language_model, x, torch.from_numpy(batch.pos), batch.mask())


# ---------------------------------------------------------------- drawing

@torch.no_grad()
def draw_codes(model, speech, prompts, guidance=5.0, temperature=1.0, seed=0):
    """The sampler of the class for a list of prompts, without a cache: rows are short."""
    m, gen = model.model, torch.Generator().manual_seed(seed)
    out = []
    for start in range(0, len(prompts), 64):
        cond = [speech.drawing(p) for p in prompts[start:start + 64]]
        rows = cond + [speech.blank(c) for c in cond]
        n, width = len(cond), max(map(len, rows)) + 16
        ids = np.full((2 * n, width), speech.pad, np.int64)
        for r, row in enumerate(rows):
            ids[r, :len(row)] = row
        ends = torch.tensor([len(r) - 1 for r in rows])
        x = m.language_model.embed_tokens(torch.from_numpy(ids))
        pos = torch.arange(width).expand(2 * n, -1)
        mask = torch.ones(width, width, dtype=torch.bool).tril()[None, None]
        codes = []
        for step in range(16):
            used = int(ends.max()) + step + 1
            h = llama(m.language_model, x[:, :used], pos[:, :used], mask[..., :used, :used])
            logits = m.generation_head(h[torch.arange(2 * n), ends + step]).float()
            logits = logits[n:] + guidance * (logits[:n] - logits[n:])
            if temperature > 0:
                code = torch.multinomial((logits / temperature).softmax(-1), 1, generator=gen)[:, 0]
            else:
                code = logits.argmax(-1)
            codes.append(code)
            x[torch.arange(2 * n), ends + step + 1] = m.generation_aligner(
                m.generation_embeddings(code.repeat(2))).float()
        out += torch.stack(codes, 1).tolist()
    return out
