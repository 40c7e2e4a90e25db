"""What the nodes that a runtime made of an exported model take, by its own profiler."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

from onnx import GraphProto

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.nodes import Node
from aiq_core.errors import EvaluationError
from aiq_core.export.onnx_model import Exported
from aiq_core.hardware import NumberType
from aiq_core.records import ModelProfile
from aiq_core.runtime.deployment.engines import Feed, openvino_compiled, openvino_request, ort_session

WARM, RUNS = 3, 7

FUSED_AFTER = ("Relu", "Clip", "QuantizeLinear", "DequantizeLinear", "Identity")
"""What runtimes take into the layer before it, whose node then goes by the last one's name."""

_ADDED = re.compile(r"(_kernel_time|_nchwc|_token_\d+|_quant|_\d+_fused)+$")
"""What ONNX Runtime appends to the names of nodes."""

_CONVERTS = re.compile(r"stored_\d+|Convert_")
"""Names of what quantizes and dequantizes in our models, and of what OpenVINO makes of that."""

_COMPUTES = re.compile("Conv|Gemm|MatMul|FullyConnected")


def nodes_of(
    engine: Engine, made: Exported, feed: Feed, threads: int, precision: NumberType, profile: ModelProfile
) -> tuple[Node, ...]:
    """The nodes of a model in a runtime. Raises SettingError and EvaluationError as `engines.opened` does."""
    return _PROFILERS[engine](made, feed, threads, precision, {layer.name for layer in profile.layers})


def _onnxruntime(made: Exported, feed: Feed, threads: int, precision: NumberType, names: set[str]) -> tuple[Node, ...]:
    holds = layers_before(made.proto.graph, names)
    with tempfile.TemporaryDirectory() as folder:
        session = ort_session(made.save(), threads, precision, str(Path(folder) / "nodes"))
        for _ in range(WARM + RUNS):
            session.run(None, dict(feed))
        events = json.loads(Path(session.end_profiling()).read_text())
    found: dict[str, tuple[str, list[float]]] = {}
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            said = event["args"]
            key = f"{said['node_index']} {event['name'].removesuffix('_kernel_time')}"
            found.setdefault(key, (said["op_name"], []))[1].append(event["dur"])

    def node(key: str) -> Node:
        name, operator = key.partition(" ")[2], found[key][0]
        plain = _ADDED.sub("", name)
        layers = (holds[plain],) if _COMPUTES.search(operator) and plain in holds else ()
        is_integer = operator.startswith(("QLinear", "QGemm", "ConvInteger", "MatMulInteger"))
        return Node(name, operator, 0.0, layers, is_integer, not layers and _CONVERTS.match(plain) is not None)

    return _shared({key: median(each[1][WARM:]) for key, each in found.items()}, node)


def _openvino(made: Exported, feed: Feed, threads: int, precision: NumberType, names: set[str]) -> tuple[Node, ...]:
    compiled = openvino_compiled(made.save(), feed, threads, precision, profile=True)
    request = openvino_request(compiled, feed)
    before = layers_before(made.proto.graph, names)
    times: dict[str, list[float]] = {}
    told: dict[str, tuple[str, str]] = {}
    for _ in range(WARM + RUNS):
        request.infer()
        for each in request.profiling_info:
            if str(each.status) == "Status.EXECUTED":
                times.setdefault(each.node_name, []).append(each.real_time.total_seconds())
                told[each.node_name] = each.node_type, each.exec_type
    holds = {
        operation.get_friendly_name(): str(operation.get_rt_info()["originalLayersNames"].astype(str)).split(",")
        for operation in compiled.get_runtime_model().get_ordered_ops()
        if "originalLayersNames" in operation.get_rt_info()
    }

    def node(key: str) -> Node:
        operator, kernel = told[key]
        heads = [head.partition("/")[0] for head in (key, *holds.get(key, ()))]
        # Others go by the name of the layer that they serve, which they do not hold.
        layers = {before[head]: None for head in heads if head in before and _COMPUTES.search(operator)}
        # What stores a tensor as integers, or reads it, compiled to a kernel of its own.
        converts = operator in ("Subgraph", "FakeQuantize", "Convert") and any(_CONVERTS.match(head) for head in heads)
        return Node(key, operator, 0.0, tuple(layers), kernel.endswith(("I8", "i8", "u8")), converts)

    return _shared({key: median(each[WARM:] or each) for key, each in times.items()}, node)


_PROFILERS: Mapping[Engine, Callable[[Exported, Feed, int, NumberType, set[str]], tuple[Node, ...]]] = {
    Engine.ONNX_RUNTIME: _onnxruntime,
    Engine.OPENVINO: _openvino,
}


def _shared(times: Mapping[str, float], node: Callable[[str], Node]) -> tuple[Node, ...]:
    """The nodes in order, told what part of all their time each takes."""
    whole = sum(times.values())
    if whole <= 0:
        raise EvaluationError("the runtime's profiler counted no time; choose a larger batch")
    return tuple(replace(node(key), share=each / whole) for key, each in times.items())


def layers_before(graph: GraphProto, names: set[str]) -> dict[str, str]:
    """Node of an exported model -> the layer that it is, or that it directly follows and may be fused into."""
    makers = {output: node for node in graph.node for output in node.output}
    found: dict[str, str] = {}
    for node in graph.node:
        before = node
        while before.op_type in FUSED_AFTER and before.input[0] in makers:
            before = makers[before.input[0]]
        if before.name in names:
            found[node.name] = before.name
    return found
