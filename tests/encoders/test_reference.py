"""The paper's released encoder, tensor by tensor."""

import os
from pathlib import Path

import pytest
import torch
from networks import mlp
from safetensors import safe_open
from torch import Tensor, nn

import wsgraph
from wsgraph_encoders import DNGEncoder, collate

