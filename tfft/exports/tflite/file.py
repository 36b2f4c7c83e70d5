"""A TFLite file as an object to edit, and the edits that its clients need."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

# Models are of the generated class `ModelT` and annotated as Any: it declares every field as
# possibly None.
_FILE_IDENTIFIER = b"TFL3"
# Kernels may load weights in blocks of this many bytes.
_ALIGNMENT = 16


class _AlignedBuffer(schema.BufferT):
    """A buffer whose data begin at a multiple of 16 bytes, as the schema requires.

    The generated code (flatbuffers 25) aligns them to the size of their items, a byte.
    """

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (a name of the generated code)
        data = None
        if self.data is not None and len(self.data):
            content = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), _ALIGNMENT)
            builder.head = builder.head - len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


@dataclass(frozen=True)
class Layer:
    """An operator of a file.

    Attributes:
        kind: Kind of the operator as the schema spells it, such as ``CONV_2D``.
        name: Name of the tensor that it makes.
        inputs: Names of the tensors that it takes, constants included.
        is_output: Whether the tensor that it makes is an output of the file.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    is_output: bool


def layers(model: Any) -> list[Layer]:
    """Returns the operators of a file in the order in which they are computed."""
    kinds = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    graph = model.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        found.append(
            Layer(
                kind=kinds[_code(code)],
                name=names[operator.outputs[0]],
                inputs=tuple(names[number] for number in operator.inputs if number >= 0),
                is_output=operator.outputs[0] in list(graph.outputs),
            )
        )
    return found


def layers_only_for(model: Any, output: str) -> list[str]:
    """Returns the names of what is computed for one output of the signature, and for no other.

    Args:
        model: A file with a signature.
        output: Name of the output; if there is none of this name, nothing is computed for it.
    """
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    made_by = {int(operator.outputs[0]): operator for operator in graph.operators}
    found = {each.name.decode(): int(each.tensorIndex) for each in signature.outputs}

    def below(tensors: Iterable[int]) -> set[int]:
        seen, waiting = set(), list(tensors)
        while waiting:
            tensor = waiting.pop()
            if tensor in made_by and tensor not in seen:
                seen.add(tensor)
                waiting += [int(number) for number in made_by[tensor].inputs]
        return seen

    others = below(tensor for name, tensor in found.items() if name != output)
    own = below([found[output]] if output in found else []) - others
    return [graph.tensors[tensor].name.decode() for tensor in sorted(own)]


def read_model(content: bytes) -> Any:
    """Returns the model in a TFLite file, with all of its buffers inside it.

    Large files, and those of the quantiser, keep buffers behind the model, where older clients do
    not find them.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    buffers = []
    for buffer in model.buffers or []:
        inside = _AlignedBuffer()
        # By the schema an offset of 0 or 1 says that the data are in the model.
        if buffer.offset > 1:
            inside.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        else:
            inside.data = buffer.data
        buffers.append(inside)
    model.buffers = buffers
    return model


def model_bytes(model: Any) -> bytes:
    """Returns the TFLite file of a model."""
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = flatbuffers.Builder(size + 2**20)
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def add_buffer(model: Any, content: bytes) -> int:
    """Adds a buffer and returns its number."""
    buffer = _AlignedBuffer()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def replace_data(model: Any, tensor: Any, content: bytes) -> None:
    """Gives a constant tensor other data, without touching tensors that share its buffer."""
    others = [t for t in model.subgraphs[0].tensors if t.buffer == tensor.buffer]
    if len(others) > 1:
        tensor.buffer = add_buffer(model, content)
    else:
        model.buffers[tensor.buffer].data = np.frombuffer(content, np.uint8)


def order_outputs(model: Any, names: Sequence[str]) -> None:
    """Puts the outputs into the order of their names in the signature.

    The converter orders them arbitrarily; clients that do not read signatures go by position.
    """
    (signature,) = model.signatureDefs
    tensors = {output.name.decode(): output for output in signature.outputs}
    signature.outputs = [tensors[name] for name in names]
    graph = model.subgraphs[signature.subgraphIndex]
    graph.outputs = np.array([output.tensorIndex for output in signature.outputs], np.int32)


def give_floats(model: Any) -> None:
    """Makes the outputs of a file float32 where they are int8.

    ai-edge-quantizer 0.10.0 leaves the signature at the int8 tensor of an output that another
    operator takes as well.
    """
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    named = [output.tensorIndex for output in signature.outputs]
    floats = {}
    for position in {int(number) for number in [*graph.outputs, *named]}:
        if graph.tensors[position].type != schema.TensorType.INT8:
            continue
        used = next(
            (op for op in _consumers(graph, position) if _is(model, op, "DEQUANTIZE")), None
        )
        floats[position] = used.outputs[0] if used else _dequantized(model, graph, position)
    graph.outputs = np.array([floats.get(number, number) for number in graph.outputs], np.int32)
    for output in signature.outputs:
        output.tensorIndex = floats.get(output.tensorIndex, output.tensorIndex)


def take_uint8(model: Any) -> None:
    """Makes the float input, with values 0..255, uint8 with scale 1 and zero point 0."""
    graph = model.subgraphs[0]
    (position,) = graph.inputs
    entrance = graph.tensors[position]
    in_float = [op for op in _consumers(graph, position) if not _is(model, op, "QUANTIZE")]
    if in_float:
        number = _dequantized(model, graph, int(position), first=True)
        for operator in in_float:
            operator.inputs = np.array(
                [number if tensor == position else tensor for tensor in operator.inputs], np.int32
            )
    entrance.type = schema.TensorType.UINT8
    entrance.quantization = schema.QuantizationParametersT()
    entrance.quantization.scale = np.array([1.0], np.float32)
    entrance.quantization.zeroPoint = np.array([0], np.int64)


def _consumers(graph: Any, tensor: int) -> list[Any]:
    return [op for op in graph.operators if tensor in list(op.inputs)]


def _is(model: Any, operator: Any, kind: str) -> bool:
    return _code(model.operatorCodes[operator.opcodeIndex]) == getattr(schema.BuiltinOperator, kind)


def _code(code: Any) -> int:
    """Returns the number of an operator; numbers up to 127 are in an older field."""
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _dequantized(model: Any, graph: Any, position: int, first: bool = False) -> int:
    """Adds an operator that turns a tensor into floats; returns the number of the new tensor."""
    floats = copy.copy(graph.tensors[position])
    floats.name = floats.name + b"_float"
    floats.type, floats.quantization = schema.TensorType.FLOAT32, None
    graph.tensors.append(floats)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    # Version 2 takes int8.
    code.version = 2
    model.operatorCodes.append(code)
    dequantize = schema.OperatorT()
    dequantize.opcodeIndex = len(model.operatorCodes) - 1
    dequantize.inputs = np.array([position], np.int32)
    dequantize.outputs = np.array([len(graph.tensors) - 1], np.int32)
    graph.operators.insert(0 if first else len(graph.operators), dequantize)
    return len(graph.tensors) - 1
