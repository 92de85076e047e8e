"""Writes genuine .pt and .npy files: needs torch and numpy. The tests know the values; run it again only to add a file.
This folder: torch 1.13, numpy 1.24 (Debian 12: apt-get install python3-torch). torch_2: some of them by torch 2.15."""
import collections
import sys

import numpy
import torch

folder = sys.argv[1] if len(sys.argv) > 1 else "."


def save(name, value, **options):
    torch.save(value, f"{folder}/{name}.pt", **options)


# What SGLang's recorder dumps: its modes stat and stat_approx, then per_pass, then per_token.
save("stat_dump", dict(rank=0, logical_count=torch.arange(24, dtype=torch.int32).reshape(2, 3, 4), average_utilization_rate_over_window=None))
physical_to_logical = torch.tensor([[0, 1, 2, 3, 0, 1], [3, 2, 1, 0, 3, 3]])
save("per_pass_dump", dict(
    records=[dict(forward_pass_id=7 + i, rank=0, gatherer_key="primary",
                  global_physical_count=torch.arange(12, dtype=torch.int32).reshape(2, 6) * (i + 1)) for i in range(2)],
    last_physical_to_logical_map=physical_to_logical))
topk = torch.tensor([[[0, 5], [4, 1], [2, -1]], [[0, 1], [4, 5], [3, -1]]], dtype=torch.int32)
count = torch.stack([torch.bincount(layer[layer >= 0].flatten().long(), minlength=6) for layer in topk]).int()
save("per_token_dump", dict(
    records=[dict(forward_pass_id=1, rank=0, gatherer_key="primary", input_ids=[11, 12, 70000], positions=[0, 1, 2], extend_seq_lens=[3],
                  forward_mode=1, topk_ids_of_layer=topk, misc_objects=[], global_physical_count=count)],
    last_physical_to_logical_map=physical_to_logical))
save("map", {"physical_to_logical_map": physical_to_logical})

small = torch.tensor([0, 1, 2, 120])
save("dtypes", collections.OrderedDict(
    [(str(kind).split(".")[1], small.to(kind)) for kind in
     (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.float64, torch.float32, torch.float16, torch.bfloat16)]))
base = torch.arange(24, dtype=torch.int64).reshape(4, 6)
save("views", {"base": base, "transposed": base.t(), "column": base[:, 2], "corner": base[1:3, 2:5], "expanded": base[0, :1].expand(3),
               "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3)})
save("protocol_4", {"logical_count": torch.tensor([[1.5, 2.5]])}, pickle_protocol=4)
save("nested_module", torch.nn.Linear(1, 1))
save("legacy", {"logical_count": torch.tensor([[1, 2]])}, _use_new_zipfile_serialization=False)

if hasattr(torch, "uint16"):
    save("unsigned", {"two": torch.tensor([1, 65535], dtype=torch.uint16), "four": torch.tensor([4294967295], dtype=torch.uint32)})


class Attack:
    def __reduce__(self):
        return (print, ("executed",))


save("attack", {"logical_count": Attack()})
# As a GPU's tensors are saved: only the device's name differs.
torch.serialization.register_package(0, lambda storage: "cuda:0", lambda storage, location: None)
save("cuda_dump", dict(rank=0, logical_count=torch.arange(24, dtype=torch.int32).reshape(2, 3, 4), average_utilization_rate_over_window=0.75))

for name, array in dict(
        int64=numpy.arange(6, dtype="<i8").reshape(2, 3), big_endian=numpy.arange(6, dtype=">i4").reshape(2, 3),
        fortran=numpy.asfortranarray(numpy.arange(6, dtype="<f4").reshape(2, 3)), half=numpy.arange(4, dtype="<f2"),
        steps=numpy.arange(24, dtype="<u2").reshape(2, 3, 4), boolean=numpy.array([True, False]), structured=numpy.zeros(2, dtype=[("a", "<i4")]),
).items():
    numpy.save(f"{folder}/{name}.npy", array)
numpy.savez(f"{folder}/stored.npz", logical_count=numpy.arange(6).reshape(2, 3), other=numpy.zeros(2))
numpy.savez_compressed(f"{folder}/deflated.npz", logical_count=numpy.arange(6).reshape(2, 3))
