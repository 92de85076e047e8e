// Any bytes as a pickle: an error, or values that refer only to what is there.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/pickle_reader.h"

namespace {

void check(const flexpert::codec::Pickle& pickle, flexpert::codec::PickleValue value) {
  using flexpert::codec::PickleKind;
  switch (value.kind) {
    case PickleKind::kString:
    case PickleKind::kGlobal:
      if (value.index >= pickle.texts.size()) std::abort();
      return;
    case PickleKind::kTuple:
    case PickleKind::kList:
    case PickleKind::kDict:
    case PickleKind::kCall:
    case PickleKind::kPersistent:
      if (value.index >= pickle.groups.size()) std::abort();
      return;
    default: return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flexpert::codec;
  constexpr std::array<std::string_view, 4> kGlobals = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch.LongStorage",
                                                        "torch.IntStorage"};
  const PickleLimits limits{.bytes = 65536, .values = 4096, .objects = 1024, .marks = 32};
  const auto pickle = read_pickle({reinterpret_cast<const char*>(data), size}, kGlobals, limits);
  if (!pickle) return 0;
  if (pickle->texts.size() > limits.objects || pickle->groups.size() > limits.objects) std::abort();
  check(*pickle, pickle->root);
  for (const auto& group : pickle->groups)
    for (const PickleValue value : group) check(*pickle, value);
  for (std::uint32_t i = 0; i < pickle->groups.size(); ++i) {
    const PickleValue dict{PickleKind::kDict, i, 0};
    if (pickle->groups[i].size() % 2 == 0)
      if (const auto value = pickle->field(dict, "logical_count")) check(*pickle, *value);
  }
  return 0;
}
