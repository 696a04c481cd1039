"""What the dynamic encoder is compared against, over the same streams.

The encoders are called like the DNG-Encoder, ``module(collate(streams)).embedding``; layer statistics are a
plain function of one stream.
"""

from __future__ import annotations

from wsgraph_encoders.baselines.config import StaticConfig
from wsgraph_encoders.baselines.flat import FlatMLP
from wsgraph_encoders.baselines.message_passing import StaticEncoder
from wsgraph_encoders.baselines.statistics import layer_statistics, statistic_names
from wsgraph_encoders.baselines.transformer import NodeTransformer

__all__ = [
    "FlatMLP",
    "NodeTransformer",
    "StaticConfig",
    "StaticEncoder",
    "layer_statistics",
    "statistic_names",
]
