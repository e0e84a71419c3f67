"""Archives as torch.save writes them, made without PyTorch, and such as it does not write. For make_corpora.py."""
import collections
import io
import pickle
import sys
import types
import zipfile

import numpy as np


class Storage:
    """A storage of PyTorch's, of which a pickle holds key, class and number of elements."""

    def __init__(self, key, elements, kind="FloatStorage"):
        self.key, self.elements, self.kind = key, elements, kind


class StoredTensor:
    def __init__(self, storage, dims, strides=None, offset=0):
        strides = [int(np.prod(dims[k + 1:])) for k in range(len(dims))] if strides is None else strides
        self.arguments = (storage, offset, tuple(dims), tuple(strides), False, collections.OrderedDict())

    def __reduce_ex__(self, protocol):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class TorchPickler(pickle.Pickler):
    """Writes what torch.save does, without PyTorch: the names of its classes and functions are all that stands in a pickle."""

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        return "storage", getattr(sys.modules["torch"], value.kind), value.key, "cpu", value.elements


def torch_pickle(value, protocol=2):
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Byte", "Bool", "ComplexFloat"):
        setattr(torch, f"{kind}Storage", type(f"{kind}Storage", (), {"__module__": "torch"}))
    exec("def _rebuild_tensor_v2(*a): pass\ndef _rebuild_parameter(*a): pass", utils.__dict__)
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        file = io.BytesIO()
        TorchPickler(file, protocol).dump(value)
        return file.getvalue()
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]


def archive(value, records=None, method=zipfile.ZIP_STORED, protocol=2, **more):
    numbers = np.arange(16, dtype=np.float32).tobytes()
    entries = {"data.pkl": value if isinstance(value, bytes) else torch_pickle(value, protocol), "byteorder": b"little",
               **{f"data/{key}": data for key, data in (records or {"0": numbers}).items()}, "version": b"3\n", **more}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for name, data in entries.items():
            written.writestr(zipfile.ZipInfo(f"w/{name}"), data, method)
    return file.getvalue()


class Command:
    """Runs a command where a pickle is loaded as Python does it."""

    def __reduce__(self):
        return __import__("os").system, ("echo this must not run",)


def archives():
    floats = Storage("0", 16)
    state = collections.OrderedDict({"conv.weight": StoredTensor(floats, [2, 1, 2, 2]), "bn.running_mean": StoredTensor(floats, [2], offset=8),
                                     "bn.running_var": StoredTensor(floats, [2], offset=10), "fc.weight": StoredTensor(floats, [2, 2], [1, 2], 12)})
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    tensor = lambda *arguments, **more: {"w": StoredTensor(*arguments, **more)}
    several = {kind: StoredTensor(Storage("0", 8, kind + "Storage"), [2, 2]) for kind in ("Double", "Half", "BFloat16", "Long", "Byte", "Bool")}
    twice = torch_pickle({"a": StoredTensor(floats, [1]), "b": StoredTensor(floats, [1])})
    return {
        "state_dict": archive(state),
        "deflated": archive(state, method=zipfile.ZIP_DEFLATED),
        "protocol4": archive(state, protocol=4),
        "checkpoint": archive({"epoch": 3, "loss": [0.5, 0.25], "state_dict": state, "optimizer": {"state": {0: {"step": 1}}}}),
        "two_state_dicts": archive({"a": state, "b": state}),
        "types": archive(several),
        "complex": archive(tensor(Storage("0", 8, "ComplexFloatStorage"), [8])),
        "expanded": archive(tensor(floats, [1 << 40], [0])),
        "overlapping": archive(tensor(floats, [4, 4], [1, 1])),
        "beyond": archive(tensor(floats, [4, 4], offset=1)),
        "huge_dims": archive(tensor(floats, [1 << 40, 1 << 40], [1, 1])),
        "huge_but_empty": archive(tensor(floats, [1 << 62, 0, 1 << 62], [0, 0, 0])),
        "negative": archive(tensor(floats, [-1], [1])),
        "negative_stride": archive(tensor(floats, [2], [-1], 4)),
        "lying_storage": archive(tensor(Storage("0", 1 << 60), [2])),
        "no_record": archive(tensor(Storage("1", 16), [2])),
        "path": archive(tensor(Storage("../../../etc/passwd", 16), [2])),
        "twice": archive(twice.replace(b"\x01\0\0\0b", b"\x01\0\0\0a")),
        "big_endian": archive(state, byteorder=b"big"),
        "torchscript": archive(state, **{"constants.pkl": b"\x80\2)."}),
        "no_pickle": archive(state).replace(b"data.pkl", b"gone.pkl"),
        "command.pkl": pickle.dumps({"w": Command()}, 2),
        "command4.pkl": pickle.dumps({"w": Command()}, 4),
        "state_dict.pkl": torch_pickle(state),
        "no_tensors.pkl": torch_pickle({"epoch": 3, "names": ("a", None, True, 2.5, 1 << 70)}),
        "nested.pkl": b"\x80\2" + b"(" * 500 + b"t" * 500 + b".",
        "many_dicts.pkl": b"\x80\2]" + b"}a" * 500 + b".",
        "recursive.pkl": b"\x80\2}q\0X\1\0\0\0ah\0s.",
        "memo.pkl": b"\x80\2h\7.",
        "huge_text.pkl": b"\x80\2X\xff\xff\xff\xff.",
        "not_utf8.pkl": b"\x80\2}X\1\0\0\0\xffK\1s.",
    }
