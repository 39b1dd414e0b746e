"""Random weights of a sensible scale for Janus checkpoints.

A tensor's spread is chosen from its name and shape so that a model built from noise still behaves like a
model: activations stay of order one through every block, attention is neither uniform nor one-hot, the
logits differ enough that an argmax is a clear choice, pictures use the whole range of grey with a little
clipping at both ends. Norm weights and biases are never left at 1 and 0, so that a reader that drops or
swaps one of them is found out.

`spread(name, shape)` returns (mean, standard deviation) for a tensor under its transformers name. It is the
one rule for the tiny checkpoints (make_fixtures.py) and for the full-size one (make_full_size.py).
"""

import math


def spread(name, shape):
    """(mean, std) of the tensor `name` (transformers naming) with `shape`."""
    if name.endswith(".bias"):
        return (0.0, 0.3) if "generation_head.vision_head" in name else (0.0, 0.1)
    if len(shape) == 1:                                     # weight of a LayerNorm, RMSNorm or GroupNorm
        return 1.0, 0.2
    if "embed_tokens" in name:                              # small beside what layers add: a tied head would
        return 0.0, 0.1                                     # otherwise only repeat its input
    if "position_embedding" in name:
        return 0.0, 0.3
    if "generation_embeddings" in name or "quantize.embedding" in name:
        return 0.0, 1.0
    if "decoder.conv_out" in name:                          # inputs are silu of unit normals: about 0.6 rms
        gain = 0.9
    elif "q_proj" in name or "k_proj" in name:
        gain = 1.4
    elif "lm_head" in name or "vision_head" in name:
        gain = 2.0
    elif any(s in name for s in ("o_proj", "down_proj", "projection_layer", "mlp.fc2")):
        gain = 0.9
    else:
        gain = 1.2
    return 0.0, gain / math.sqrt(math.prod(shape[1:]))      # [out, in] or [out, in, ky, kx]: fan-in
