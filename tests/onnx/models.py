"""Small ONNX models written by hand, and the two ways to run one."""

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from wsgraph.frontends.onnx.opening import open_onnx
from wsgraph.ir.execute import execute

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def graph(nodes, inputs, outputs, stored=None):
    """A GraphProto; inputs and outputs as name -> (type, shape), stored tensors as name -> array."""
    infos = [[helper.make_tensor_value_info(n, *t) for n, t in part.items()] for part in (inputs, outputs)]
    tensors = [numpy_helper.from_array(v, n) for n, v in (stored or {}).items()]
    return helper.make_graph(nodes, "g", *infos, tensors)


def model(nodes, inputs, outputs, stored=None, opset=17, **options):
    options.setdefault("opset_imports", [helper.make_opsetid("", opset)])
    return helper.make_model(graph(nodes, inputs, outputs, stored), ir_version=8, **options)


def mlp(rng=None):
    """Two linear layers, one written as Gemm, one as MatMul and Add."""
    rng = rng or np.random.default_rng(0)
    stored = {
        "a.weight": rng.standard_normal((5, 3), dtype=np.float32),
        "a.bias": rng.standard_normal(5, dtype=np.float32),
        "b.weight": rng.standard_normal((5, 2), dtype=np.float32),
        "b.bias": rng.standard_normal(2, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "a.weight", "a.bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "b.weight"], ["p"]),
        helper.make_node("Add", ["b.bias", "p"], ["y"]),
    ]
    return model(nodes, {"x": (FLOAT, [1, 3])}, {"y": (FLOAT, [1, 2])}, stored)


def by_runtime(proto, *inputs):
    """What onnxruntime computes, graph optimisations off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    payload = str(proto) if not isinstance(proto, onnx.ModelProto) else proto.SerializeToString()
    session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return [
        torch.from_numpy(o) for o in session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))
    ]


def by_graph(proto, *inputs):
    """What the imported IR computes."""
    tensors = tuple(torch.as_tensor(np.asarray(i)) for i in inputs)
    source = open_onnx(proto, tensors)
    return execute(source.graph, tensors, source.tensors)[0]
