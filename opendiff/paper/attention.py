"""Attention of many hours with narrow heads, fast on a CPU.

With eight heads of eight numbers the matrix products are small and the exponentials are what costs. In inference on a
CPU the same softmax is computed in base 2 (whose exponential is about twice as fast), without subtracting the largest
score, and normalised after the values are summed. Training, and any other device, use torch's own kernel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

ROWS_AT_ONCE = 4  # scores of 4 rows of 168 hours and 8 heads are 3.6 MB and stay in the cache
LARGEST_SCORE = 100.0  # base 2: the sum of weights must not overflow; no trained network comes near it


def self_attention(queries_keys_values: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention among the hours of each row.

    queries_keys_values: (rows, hours, 3 * channels), as one linear layer gives them; returns (rows, hours, channels).
    """
    if queries_keys_values.requires_grad or queries_keys_values.device.type != "cpu":
        parts = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in queries_keys_values.chunk(3, -1))
        return functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
    return _attend(queries_keys_values, heads)


def _attend(queries_keys_values: Tensor, heads: int) -> Tensor:
    rows, hours, width = queries_keys_values.shape
    head = width // (3 * heads)
    parts = queries_keys_values.view(rows, hours, 3, heads, head).permute(2, 0, 3, 4, 1)
    query, key, value = parts.reshape(3, rows * heads, head, hours).unbind(0)
    query = query * (math.log2(math.e) / math.sqrt(head))
    key = key.transpose(1, 2)
    # a value of ones sums the weights in the same product
    value = torch.cat([value, value.new_ones(rows * heads, 1, hours)], dim=1)
    summed = value.new_empty(rows * heads, head + 1, hours)
    at_once = min(rows, ROWS_AT_ONCE) * heads
    buffer = value.new_empty(at_once, hours, hours)
    for start in range(0, rows * heads, at_once):
        part = slice(start, start + at_once)
        weight = buffer[: len(query[part])]  # (rows * heads, keys, queries)
        torch.bmm(key[part], query[part], out=weight)
        weight.clamp_max_(LARGEST_SCORE).exp2_()
        torch.bmm(value[part], weight, out=summed[part])
    return (summed[:, :head] / summed[:, head:]).view(rows, heads * head, hours).transpose(1, 2)
