"""The parts of a ``saved_model.pb`` that a scan looks at, as messages of protobuf alone.

TensorFlow has the same messages, and takes seconds to start. Fields that are not named here are not
looked at; they stay where they are when a message is written again.

Source: TensorFlow 2.21, the files saved_model, meta_graph, saver, graph, node_def, function, op_def
and attr_value (.proto) of tensorflow/core.
"""

from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tfft"
_OF_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _OF_FIELD.TYPE_BOOL,
    "bytes": _OF_FIELD.TYPE_BYTES,
    "float": _OF_FIELD.TYPE_FLOAT,
    "int32": _OF_FIELD.TYPE_INT32,
    "int64": _OF_FIELD.TYPE_INT64,
    "string": _OF_FIELD.TYPE_STRING,
}


class _Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: Its number in the file.
        kind: A scalar type or the name of a message.
        form: ``one``, ``many``, ``by_name`` (a map from texts) or ``choice`` (of all such fields of
            a message only the last one that is written counts).
    """

    number: int
    kind: str
    form: str = "one"


_MESSAGES = {
    "SavedModel": {"meta_graphs": _Field(2, "MetaGraphDef", "many")},
    "MetaGraphDef": {
        "graph_def": _Field(2, "GraphDef"),
        "saver_def": _Field(3, "SaverDef"),
        "signature_def": _Field(5, "SignatureDef", "by_name"),
        "object_graph_def": _Field(7, "Anything"),
    },
    "SaverDef": {
        "filename_tensor_name": _Field(1, "string"),
        "save_tensor_name": _Field(2, "string"),
        "restore_op_name": _Field(3, "string"),
    },
    "SignatureDef": {"outputs": _Field(2, "TensorInfo", "by_name")},
    "TensorInfo": {"name": _Field(1, "string")},
    "GraphDef": {
        "node": _Field(1, "NodeDef", "many"),
        "library": _Field(2, "FunctionDefLibrary"),
    },
    "FunctionDefLibrary": {"function": _Field(1, "FunctionDef", "many")},
    "FunctionDef": {"signature": _Field(1, "OpDef"), "node_def": _Field(3, "NodeDef", "many")},
    "OpDef": {"name": _Field(1, "string"), "input_arg": _Field(2, "ArgDef", "many")},
    "ArgDef": {"name": _Field(1, "string")},
    "NodeDef": {
        "name": _Field(1, "string"),
        "op": _Field(2, "string"),
        "input": _Field(3, "string", "many"),
        "attr": _Field(5, "AttrValue", "by_name"),
    },
    "AttrValue": {
        "list": _Field(1, "ListValue", "choice"),
        "s": _Field(2, "bytes", "choice"),
        "i": _Field(3, "int64", "choice"),
        "f": _Field(4, "float", "choice"),
        "b": _Field(5, "bool", "choice"),
        "type": _Field(6, "int32", "choice"),
        "shape": _Field(7, "Anything", "choice"),
        "tensor": _Field(8, "Anything", "choice"),
        "placeholder": _Field(9, "string", "choice"),
        "func": _Field(10, "NameAttrList", "choice"),
    },
    "ListValue": {"func": _Field(9, "NameAttrList", "many")},
    "NameAttrList": {"name": _Field(1, "string")},
    "Anything": {},
}


def _add_field(message: Any, name: str, number: int, kind: str, is_repeated: bool) -> Any:
    label = _OF_FIELD.LABEL_REPEATED if is_repeated else _OF_FIELD.LABEL_OPTIONAL
    added = message.field.add(name=name, number=number, label=label)
    added.type = _SCALARS.get(kind, _OF_FIELD.TYPE_MESSAGE)
    if kind not in _SCALARS:
        added.type_name = f".{_PACKAGE}.{kind}"
    return added


def _saved_model_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="tfft/saved_model.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if any(field.form == "choice" for field in fields.values()):
            message.oneof_decl.add(name="value")
        for key, (number, kind, form) in fields.items():
            if form == "by_name":
                entry = message.nested_type.add(name=f"{key.title().replace('_', '')}Entry")
                entry.options.map_entry = True
                _add_field(entry, "key", 1, "string", False)
                _add_field(entry, "value", 2, kind, False)
                _add_field(message, key, number, f"{name}.{entry.name}", True)
                continue
            added = _add_field(message, key, number, kind, form == "many")
            if form == "choice":
                added.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName(f"{_PACKAGE}.SavedModel")
    return message_factory.GetMessageClass(found)


SavedModel = _saved_model_class()
